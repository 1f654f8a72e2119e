"""Search: the passages for a question in one index or several, each by its own encoder and by words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from genarium.engines.languages import tell_of_other_languages
from genarium.errors import BadInput
from genarium.retrieval.asking import encoder_of
from genarium.retrieval.chosen import require_same
from genarium.retrieval.closeness import Closeness
from genarium.retrieval.conditions import Conditions
from genarium.retrieval.hits import Hit
from genarium.retrieval.retrieve import by_words, fuse
from genarium.retrieval.store import Index
from genarium.retrieval.vectors import DEPTH, vectors

if TYPE_CHECKING:
    pass

Place = tuple[int, int]
"""Which of the indexes, and the number of a passage in it."""


@dataclass(frozen=True)
class Found:
    """`hits` are passages for a question, best first; `close` judges texts by the encoder of the first index."""

    hits: list[Hit]
    close: Closeness


def search(
    names: Sequence[str], question: str, *, conditions: Conditions, backend: str = "auto", limit: int = DEPTH
) -> Found:
    """The passages for a question, best first.

    Indexes of one encoder are searched by meaning as if they were one. Cosines of different encoders, and BM25 of
    different indexes, can't be compared; those lists are fused by rank. Raises BadInput where no passage meets the
    conditions.
    """
    rankings: list[list[Place]] = []
    nearest: dict[str, list[tuple[float, Place]]] = {}
    encoders: dict[str, Closeness] = {}
    with ExitStack() as stack:
        opened = [stack.enter_context(Index(str(name))) for name in names]
        for index in opened:
            stack.enter_context(index.reading())
        for which, index in enumerate(opened):
            known = vectors(index)
            require_same(index, names[which], known.digest)
            meta = index.meta()
            made_by = meta["encoder_digest"]
            encoder = encoder_of(index, backend)
            if made_by not in encoders:
                tell_of_other_languages(meta["encoder"], "encoder", [question])
                encoders[made_by] = Closeness(encoder, question)
            among = index.matching(conditions) if conditions else None
            found = known.nearest(encoders[made_by].vector, limit, among)
            nearest.setdefault(made_by, []).extend((cosine, (which, number)) for number, cosine in found)
            words = by_words(index, question, limit, conditions) if among is None or len(among) else []
            rankings.append([(which, number) for number in words])
        if conditions and not any(nearest.values()):
            raise BadInput(_nothing(opened, conditions))
        best = {made_by: sorted(found, key=lambda one: (-one[0], one[1]))[:limit] for made_by, found in nearest.items()}
        fused = fuse([*([place for _, place in found] for found in best.values()), *rankings])[:limit]
        hits = _hits(opened, fused)
    return Found(hits, next(iter(encoders.values())))


def _hits(opened: Sequence[Index], fused: Sequence[Place]) -> list[Hit]:
    """The passages at these places, in this order; each names its index where there are several."""
    read: dict[Place, Hit] = {}
    for which, index in enumerate(opened):
        for hit in index.hits([number for one, number in fused if one == which]):
            read[which, hit.id] = replace(hit, index=index.name) if len(opened) > 1 else hit
    return [read[place] for place in fused]


def _nothing(opened: Sequence[Index], conditions: Conditions) -> str:
    """That no passage meets the conditions, and what there is."""
    types: dict[str, int] = {}
    newest = 0
    for index in opened:
        for kept in index.files().values():
            if not kept.problem:
                ending = kept.path.rpartition("/")[2].rpartition(".")[2].lower()
                types[ending] = types.get(ending, 0) + 1
                newest = max(newest, kept.mtime)
    often = sorted(types, key=lambda ending: (-types[ending], ending))[:5]
    of = ", ".join(f"{ending} ({types[ending]})" for ending in often)
    changed = f", the newest of {_date(newest)}" if newest else ""
    names = " and ".join(index.name for index in opened)
    return f"nothing in {names} meets {conditions}; there are files of type {of}{changed}"


def _date(nanoseconds: int) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(nanoseconds // 10**9).strftime("%Y-%m-%d")

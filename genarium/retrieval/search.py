"""Search: the passages for a question in one index or several, each by its own encoder and by words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from genarium.engines.languages import tell_of_other_languages
from genarium.errors import BadInput
from genarium.retrieval.asking import encoder_of
from genarium.retrieval.chosen import require_same
from genarium.retrieval.closeness import Closeness
from genarium.retrieval.conditions import Conditions
from genarium.retrieval.hits import Hit
from genarium.retrieval.retrieve import by_words, fuse, standing
from genarium.retrieval.store import Index
from genarium.retrieval.vectors import DEPTH, highest, vectors

Place = tuple[int, int]
"""Which of the indexes, and the number of a passage in it."""


@dataclass(frozen=True)
class Found:
    """`hits` are passages for a question, best first, `scores` theirs; `close` judges texts by the encoder of the first
    index.
    """

    hits: list[Hit]
    scores: list[float]
    close: Closeness


def search(
    names: Sequence[str], question: str, *, conditions: Conditions, backend: str = "auto", limit: int = DEPTH
) -> Found:
    """The passages for a question, best first.

    Indexes of one encoder are searched by meaning as if they were one. Cosines of different encoders, and BM25 of
    different indexes, can't be compared as they are: how far a passage stands out of its search can. Raises BadInput
    where no passage meets the conditions.
    """
    compared: dict[str, list[_Compared]] = {}
    words: dict[Place, float] = {}
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
            compared.setdefault(made_by, []).append(_Compared(which, *known.cosines(encoders[made_by].vector, among)))
            if among is None or len(among):
                found = by_words(index, question, limit, conditions)
                words |= {(which, number): score for number, score in found.items()}
        if conditions and not any(len(one.numbers) for found in compared.values() for one in found):
            raise BadInput(_nothing(opened, conditions))
        meaning: dict[Place, float] = {}
        for of_one in compared.values():
            meaning |= _by_meaning(of_one, words, limit)
        fused = fuse(meaning, words, _files(opened, {*meaning, *words}))
        hits = _hits(opened, [*fused][:limit])
    return Found(hits, [*fused.values()][:limit], next(iter(encoders.values())))


@dataclass(frozen=True)
class _Compared:
    """Passages of one of the indexes by number (N,), and their cosines with the question (N,)."""

    which: int
    numbers: np.ndarray
    cosines: np.ndarray


def _by_meaning(compared: Sequence[_Compared], words: Mapping[Place, float], limit: int) -> dict[Place, float]:
    """How far the nearest passages stand out, and those found by words, too; all indexes are of one encoder."""
    which = np.concatenate([np.full(len(one.numbers), one.which) for one in compared])
    numbers = np.concatenate([one.numbers for one in compared])
    cosines = np.concatenate([one.cosines for one in compared])
    stands = standing(cosines)
    chosen = [highest(cosines, np.arange(len(cosines)), limit)]
    for one in compared:
        with_words = [number for place, number in words if place == one.which]
        chosen.append(np.flatnonzero((which == one.which) & np.isin(numbers, with_words)))
    return {(int(which[at]), int(numbers[at])): float(stands[at]) for at in np.concatenate(chosen)}


def _files(opened: Sequence[Index], places: Collection[Place]) -> dict[Place, Place]:
    """In which file of which index each passage is."""
    found: dict[Place, Place] = {}
    for which, index in enumerate(opened):
        files = index.file_of([number for one, number in places if one == which])
        found |= {(which, number): (which, file) for number, file in files.items()}
    return found


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

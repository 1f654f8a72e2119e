"""`ask`: a question to your own documents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Interval, MaxLen, MinLen

from genarium.artefacts import Answer, Citation
from genarium.recipe import MAX_SEED
from genarium.tasks.options import BACKEND, Backend
from genarium.tasks.task import Pin, model_pin, task

if TYPE_CHECKING:
    from genarium.retrieval.extract import Judged
    from genarium.retrieval.generate import Sentence
    from genarium.retrieval.hits import Hit
    from genarium.retrieval.quotes import Quote
    from genarium.retrieval.search import Found


def _pin_indexes(asked: list[str] | None, values: Mapping[str, Any]) -> Any:
    from genarium.retrieval import chosen

    return chosen.pin(asked, values)


def _open_indexes(pinned: Any) -> list[str]:
    from genarium.retrieval import chosen

    return chosen.opened(pinned)


def _pin_where(asked: list[str] | None, _: Mapping[str, Any]) -> list[str] | None:
    from genarium.retrieval.conditions import read

    return [f"{key}={value}" for key, value in read(asked or []).where] or None


def _pin_since(asked: str | None, _: Mapping[str, Any]) -> str | None:
    from genarium.retrieval.conditions import moment

    return None if asked is None else moment(asked).isoformat(timespec="seconds")


PINS = {
    "index": Pin(_pin_indexes, _open_indexes),
    "where": Pin(_pin_where, lambda recorded: recorded),
    "since": Pin(_pin_since, lambda recorded: recorded),
    "ranker": model_pin("rank"),
    "backend": BACKEND,
}


@task(starter="encoder", pins=PINS)
def ask(
    question: Annotated[str, Doc("what you want to know; - reads it from standard input"), MinLen(1)],
    *,
    index: Annotated[
        str | list[str] | None,
        Doc(
            "which documents: an index's name or its folder, or @all; may be left out where there is only one; may be "
            "repeated"
        ),
        MaxLen(64),
    ] = None,
    where: Annotated[
        str | list[Annotated[str, MaxLen(1000)]] | None,
        Doc("only passages of this kind: type=pdf, path=2024/*, heading=Install; all must hold; may be repeated"),
        MaxLen(16),
    ] = None,
    since: Annotated[
        str | None, Doc("only files changed since then: 2026-01-31, or 30d for the last 30 days"), MaxLen(100)
    ] = None,
    history: Annotated[
        list[Annotated[str, MaxLen(2000)]] | None,
        Doc("the questions before this one, oldest first, which it may refer to (and on Sundays?); may be repeated"),
        MaxLen(64),
    ] = None,
    top_k: Annotated[int, Doc("how many passages to answer from"), Interval(ge=1, le=50)] = 5,
    min_support: Annotated[
        float,
        Doc("how likely an answer must be for there to be one: 0 quotes what is closest in any case, 1 never"),
        Interval(ge=-1, le=2),
    ] = 0.35,
    ranker: Annotated[
        str | None, Doc("a cross-encoder (a folder, a hub id) that ranks the passages again, as starter/rank")
    ] = None,
    max_new_tokens: Annotated[
        int, Doc("longest answer of a model that writes, in tokens"), Interval(ge=1, le=4096)
    ] = 200,
    backend: Backend = "auto",
    model: Annotated[
        str, Doc("starter quotes sentences; a text model (a folder, a hub id, openai:NAME) writes the answer")
    ] = "starter",
    seed: Annotated[int | None, Doc("same seed, same text; drawn when not given"), Interval(ge=0, le=MAX_SEED)] = None,
) -> Iterator[Answer]:
    """Answer a question from your own documents, with citations.

    Every sentence names the file, the page and the characters it comes from. Make an index first: genarium index DIR.
    """
    from genarium.retrieval.answering import answered
    from genarium.retrieval.asking import generator, ranker_of
    from genarium.retrieval.conditions import read
    from genarium.retrieval.rank import DEPTH, rank
    from genarium.retrieval.search import search

    began = time.perf_counter()
    names = [index] if isinstance(index, str) else index or []
    conditions = read([where] if isinstance(where, str) else where or [], since)

    def generate(part: str, hits: Sequence[Hit], judged: Judged, found: Found) -> list[Sentence]:
        # Opened here: a question without an answer needs no model that writes.
        write = generator(model, found.close.encoder, max_new_tokens=max_new_tokens, seed=seed or 0, backend=backend)
        return write(part, hits, judged)

    def reorder(part: str, hits: Sequence[Hit]) -> list[Hit]:
        return rank(part, hits[:DEPTH], ranker_of(str(ranker), backend))

    numbers = Numbers()
    told = answered(
        question,
        history or [],
        lambda part: search(names, part, conditions=conditions, backend=backend),
        generate,
        numbers.cited,
        reorder=reorder if ranker else None,
        top_k=top_k,
        min_support=min_support,
    )
    yield Answer(
        question=question,
        text=told.text,
        citations=list(numbers.citations.values()),
        supported=told.supported,
        stats={"seconds": time.perf_counter() - began},
    )


class Numbers:
    """The numbers of citations, in the order in which their places are first named."""

    def __init__(self) -> None:
        self.citations: dict[tuple[str, str, int, int], Citation] = {}

    def cited(self, sentences: Sequence[Sentence]) -> str:
        """The sentences, a number after each."""
        written = []
        for sentence in sentences:
            marks = "".join(f"[{self._of(quote).number}]" for quote in sentence.quotes)
            written.append(f"{' '.join(sentence.text.split())} {marks}")
        return " ".join(written)

    def _of(self, quote: Quote) -> Citation:
        hit = quote.hit
        place = (hit.index, hit.file, hit.start + quote.start, hit.start + quote.end)
        citation = Citation(
            len(self.citations) + 1, hit.file, hit.page, place[2], place[3], quote.text, hit.index, quote.time
        )
        return self.citations.setdefault(place, citation)

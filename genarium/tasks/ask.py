"""`ask`: a question to your own documents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Interval, MaxLen, MinLen

from genarium.artefacts import Answer, Citation
from genarium.progress import note
from genarium.recipe import MAX_SEED
from genarium.tasks.options import BACKEND, Backend
from genarium.tasks.task import Pin, model_pin, task

if TYPE_CHECKING:
    from genarium.retrieval.generate import Sentence


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
    top_k: Annotated[int, Doc("how many passages to answer from"), Interval(ge=1, le=50)] = 5,
    min_support: Annotated[
        float,
        Doc("how close a passage must come to the question (cosine) for there to be an answer"),
        Interval(ge=-1, le=1),
    ] = 0.36,
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
    from genarium.retrieval.asking import generator, ranker_of
    from genarium.retrieval.conditions import read
    from genarium.retrieval.generate import NO_ANSWER, row_support
    from genarium.retrieval.rank import DEPTH, rank
    from genarium.retrieval.search import search

    began = time.perf_counter()
    names = [index] if isinstance(index, str) else index or []
    conditions = read([where] if isinstance(where, str) else where or [], since)
    found = search(names, question, conditions=conditions, backend=backend)
    encoder, closest = found.encoder, found.closest
    if ranker is None:
        hits = found.hits[:top_k]
    else:
        hits = rank(question, found.hits[:DEPTH], ranker_of(ranker, backend))[:top_k]
    if closest < min_support:
        closest = max(closest, row_support(question, found.vector, hits, encoder.embed))
    retrieved = time.perf_counter() - began
    sentences: list[Sentence] = []
    if closest >= min_support:
        answer = generator(model, encoder, max_new_tokens=max_new_tokens, seed=seed or 0, backend=backend)
        sentences = answer(question, hits)
    else:
        note(f"the closest passage has cosine {closest:.2f} with the question, below min_support {min_support:g}")
    text, citations = _with_citations(sentences)
    yield Answer(
        question=question,
        text=text or NO_ANSWER,
        citations=citations,
        supported=bool(citations),
        stats={"retrieval_seconds": retrieved, "seconds": time.perf_counter() - began},
    )


def _with_citations(sentences: Sequence[Sentence]) -> tuple[str, list[Citation]]:
    """The answer with a number after each sentence, and what the numbers stand for, in order."""
    numbers: dict[tuple[str, str, int, int], Citation] = {}
    written = []
    for sentence in sentences:
        marks = []
        for quote in sentence.quotes:
            start = quote.hit.start + quote.start
            hit, end = quote.hit, quote.hit.start + quote.end
            citation = numbers.setdefault(
                (hit.index, hit.file, start, end),
                Citation(len(numbers) + 1, hit.file, hit.page, start, end, quote.text, hit.index),
            )
            marks.append(f"[{citation.number}]")
        written.append(f"{' '.join(sentence.text.split())} {''.join(marks)}")
    return " ".join(written), list(numbers.values())

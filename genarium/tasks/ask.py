"""`ask`: a question to your own documents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Interval, MinLen

from genarium.artefacts import Answer, Citation
from genarium.engines.languages import tell_of_other_languages
from genarium.errors import BadInput
from genarium.progress import note
from genarium.recipe import MAX_SEED
from genarium.tasks.options import BACKEND, Backend
from genarium.tasks.task import Pin, model_pin, task

if TYPE_CHECKING:
    from genarium.retrieval.generate import Sentence


def _pin_index(asked: str | None, _: Mapping[str, Any]) -> dict[str, str]:
    from genarium.retrieval.store import Index, named

    with Index(named(asked)) as index:
        return {"name": index.name, "sha256": index.digest()}


def _open_index(pin: dict[str, str]) -> str:
    from genarium.retrieval.store import Index

    with Index(pin["name"]) as index:
        if index.digest() != pin["sha256"]:
            folder = index.meta()["folder"]
            raise BadInput(
                f"the index {pin['name']} changed since this recipe was written; put {folder} back as it was and give "
                f"genarium index {folder}, or ask anew"
            )
    return pin["name"]


@task(starter="encoder", pins={"index": Pin(_pin_index, _open_index), "ranker": model_pin("rank"), "backend": BACKEND})
def ask(
    question: Annotated[str, Doc("what you want to know; - reads it from standard input"), MinLen(1)],
    *,
    index: Annotated[
        str | None, Doc("which documents: an index's name or its folder; may be left out where there is only one")
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
    from genarium.retrieval.asking import encoder_of, generator, ranker_of
    from genarium.retrieval.generate import NO_ANSWER, row_support
    from genarium.retrieval.rank import DEPTH, rank
    from genarium.retrieval.retrieve import retrieve, vectors
    from genarium.retrieval.store import Index

    began = time.perf_counter()
    with Index(index or "") as opened:
        tell_of_other_languages(opened.meta()["encoder"], "encoder", [question])
        encoder = encoder_of(opened, backend)
        known = vectors(opened.name, opened.digest())
        vector = encoder.embed_search(question)[0]
        found = retrieve(opened, known, question, vector)
        if ranker is None:
            hits = opened.hits(found[:top_k])
        else:
            hits = rank(question, opened.hits(found[:DEPTH]), ranker_of(ranker, backend))[:top_k]
        nearest = known.nearest(vector, 1)
    closest = nearest[0][1] if nearest else -1.0
    if closest < min_support:
        closest = max(closest, row_support(question, vector, hits, encoder.embed))
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
    numbers: dict[tuple[str, int, int], Citation] = {}
    written = []
    for sentence in sentences:
        marks = []
        for quote in sentence.quotes:
            start = quote.hit.start + quote.start
            place = (quote.hit.file, start, quote.hit.start + quote.end)
            citation = numbers.setdefault(
                place, Citation(len(numbers) + 1, place[0], quote.hit.page, place[1], place[2], quote.text)
            )
            marks.append(f"[{citation.number}]")
        written.append(f"{' '.join(sentence.text.split())} {''.join(marks)}")
    return " ".join(written), list(numbers.values())

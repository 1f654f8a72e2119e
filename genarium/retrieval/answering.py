"""The whole way from a question to an answer with citations: understood, taken apart, searched, judged, answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genarium.progress import note
from genarium.retrieval.closeness import Closeness
from genarium.retrieval.extract import Judged, best_of, judge, otherwise
from genarium.retrieval.generate import NO_ANSWER, Sentence
from genarium.retrieval.hits import Hit
from genarium.retrieval.questions import parts, standalone
from genarium.retrieval.rank import by_sentences
from genarium.retrieval.search import Found
from genarium.retrieval.words import language_of

NEAR = 0.15
"""How far below the probability that an answer needs a passage may lie and still be named as the nearest."""
SAYS_NOTHING = {"en": NO_ANSWER, "de": "Die Dokumente sagen es nicht.", "zh": "文档里没有说明。"}
NEAREST = {
    "en": "Not found; the nearest is:",
    "de": "Nicht gefunden; am nächsten kommt:",
    "zh": "没有找到；最接近的是：",
}
DISAGREE = "the documents say different things; both are quoted"
Search = Callable[[str], Found]
Generate = Callable[[str, Sequence[Hit], Judged, Found], list[Sentence]]
Cited = Callable[[Sequence[Sentence]], str]
"""Sentences as an answer shows them, a number after each."""
Reorder = Callable[[str, Sequence[Hit]], list[Hit]]


@dataclass
class Answered:
    """`text` is as it is shown; not `supported` where no part of the question has an answer."""

    text: str
    supported: bool


def answered(
    question: str,
    before: Sequence[str],
    search: Search,
    generate: Generate,
    cited: Cited,
    *,
    reorder: Reorder | None,
    top_k: int,
    min_support: float,
) -> Answered:
    """Answer each part of the question; `before` are the questions that it follows.

    A model that writes reads the passages in the order that `reorder` gives them; None orders them by their sentences.
    """
    meant = standalone(question, before)
    if meant != question.strip():
        note(f"understood as: {meant}")
    language = language_of(question)
    asked = parts(meant)
    texts, is_supported = list[str](), False
    for part in asked:
        found = search(part)
        hits = (reorder(part, found.hits) if reorder else found.hits)[:top_k]
        judged = judge(part, hits, found.close.of)
        if reorder is None:
            hits = by_sentences(hits, found.scores[:top_k], judged)
        if judged.passed_over:
            note(f"{judged.passed_over} sentences that speak to a model, not to a reader, were passed over")
        support = judged.support if judged.quotes else -1.0
        sentences = generate(part, hits, judged, found) if support >= min_support else []
        if support >= min_support and not sentences:
            note("nothing that the model wrote stands on a passage; what answers best is quoted")
            sentences = [Sentence(quote.shown, [quote]) for quote in best_of(judged)]
        if sentences:
            is_supported = True
            texts.append(cited(_with_other_side(sentences, judged, found)))
            continue
        over = f"{part} " if len(asked) > 1 else ""
        if judged.quotes and support >= min_support - NEAR:
            nearest = judged.quotes[judged.order[0]]
            texts.append(f"{over}{NEAREST[language]} {cited([Sentence(nearest.shown, [nearest])])}")
        else:
            texts.append(f"{over}{SAYS_NOTHING[language]}")
            note(f"the closest sentence has support {support:.2f}, below min_support {min_support:g}")
    return Answered(" ".join(texts), is_supported)


def _with_other_side(sentences: list[Sentence], judged: Judged, found: Found) -> list[Sentence]:
    """The answer, and after it what another document says instead."""
    first = sentences[0].quotes[0]
    other = otherwise(first, judged, Closeness(found.close.encoder, first.searched, says=True).of)
    told = [quote for quote in other if all(quote not in sentence.quotes for sentence in sentences)]
    if other:
        note(DISAGREE)
    return [*sentences, *(Sentence(quote.shown, [quote]) for quote in told)]

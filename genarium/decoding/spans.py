"""From a reader's scores to answers: the best spans of each window, then the best answers over all windows.

The decoding of DrQA (Chen et al. 2017, arXiv:1704.00051, section 3.2) as transformers 4's `question-answering`
pipeline had it: a softmax over a window's context tokens and its first token, which stands for "no answer here"
(BERT, arXiv:1810.04805, section 4.3); a span scores P(start) P(end); it is widened to whole words; spans of the same
text, wherever they were found, add up. A score can therefore pass 1 where windows overlap.

Sums of logarithms stand here in the place of products: the same order, and nothing underflows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Span:
    """`log_score` is ln(P(start) P(end)); `start` and `end` are characters of the context, end exclusive."""

    log_score: float
    start: int
    end: int


@dataclass(frozen=True)
class WindowSpans:
    """The best spans of one window, best first, and as many that came next; what "no answer" scores there.

    `spread` says how far the window's scores lie apart: the root of the variances of its starts and its ends.
    """

    spans: list[Span]
    next: list[Span]
    null_log_score: float
    spread: float

    def at_the_edge(self, margin: float) -> list[Span]:
        """The spans within `margin` of being counted or not."""
        if not self.next:
            return []
        cut = (self.spans[-1].log_score + self.next[0].log_score) / 2
        return [span for span in (*self.spans, *self.next) if abs(span.log_score - cut) <= margin]

    def is_level(self, margin: float) -> bool:
        """Whether so many spans are at the edge that those not kept here may be as well."""
        return len(self.next) == len(self.spans) and self.next[-1] in self.at_the_edge(margin)


@dataclass(frozen=True)
class SpanAnswer:
    """`context[start:end]` is `text`; no answer is the empty text at 0."""

    text: str
    score: float
    start: int
    end: int


def window_spans(scores: np.ndarray, words: np.ndarray, *, n: int, max_answer_len: int) -> WindowSpans:
    """The `n` best spans of at most `max_answer_len` tokens.

    `scores` (1 + T, 2): of starting and ending at the first token (no answer), then at each of the T context tokens.
    `words` (T, 2): the characters of the word that each context token belongs to.
    """
    scores = scores.astype(np.float64)
    shifted = scores - scores.max(axis=0)
    logs = shifted - np.log(np.exp(shifted).sum(axis=0))
    starts, ends = logs[1:, 0], logs[1:, 1]
    tokens, longest = len(starts), min(max_answer_len, len(starts))
    # (T, longest): row i holds the spans that start at i, by length; those past the end of the window score -inf.
    behind = np.concatenate([ends, np.full(longest - 1, -np.inf)])
    table = (starts[:, None] + np.lib.stride_tricks.sliding_window_view(behind, longest)[:tokens]).ravel()
    both = min(2 * n, int(np.isfinite(table).sum()))
    best = np.argpartition(-table, both - 1)[:both]
    best = best[np.lexsort((best, -table[best]))]
    first, length = np.divmod(best, longest)
    spans = [
        Span(float(table[place]), int(words[i, 0]), int(words[i + more, 1]))
        for place, i, more in zip(best, first, length, strict=True)
    ]
    spread = float(np.hypot(*scores[1:].std(axis=0)))
    return WindowSpans(spans[:n], spans[n:], float(logs[0].sum()), spread)


def spans_wanted(top_k: int) -> int:
    """Spans to keep of each window so that `top_k` answers are left when those of the same text have become one."""
    return 2 * top_k + 10


def merge(windows: Iterable[WindowSpans], context: str, *, no_answer: bool) -> list[SpanAnswer]:
    """Every answer found in the windows of `context`, best first; the empty one among them with `no_answer`.

    "No answer" scores what it does in the window that doubts it most: the text has an answer if any window does.
    """
    found: dict[str, SpanAnswer] = {}
    null = np.inf
    for window in windows:
        null = min(null, window.null_log_score)
        for span in window.spans:
            text, score = context[span.start : span.end], float(np.exp(span.log_score))
            known = found.get(text.lower())
            found[text.lower()] = (
                replace(known, score=known.score + score) if known else SpanAnswer(text, score, span.start, span.end)
            )
    if no_answer:
        found[""] = SpanAnswer("", float(np.exp(null)), 0, 0)
    return sorted(found.values(), key=lambda answer: -answer.score)


def contenders(
    windows: Sequence[WindowSpans], answers: Sequence[SpanAnswer], context: str, *, top_k: int, margin: float
) -> list[int]:
    """Which windows to read again, more exactly, if log scores may be off by up to `margin` against each other.

    None, where that could change neither the `top_k` answers nor their order. It could where neighbours among them
    and the next are closer than that; and where a span that only just counts, or only just does not, has the text of
    one of them, or of one that would be among them with it. Then they are the windows that have a say in it.
    """
    least = answers[min(top_k, len(answers)) - 1].score * math.exp(-margin)
    at_most = {answer.text.lower(): answer.score for answer in answers}
    for window in windows:
        for span in set(window.at_the_edge(margin)).intersection(window.next):
            text = context[span.start : span.end].lower()
            at_most[text] = at_most.get(text, 0.0) + math.exp(span.log_score)
    decisive = {answer.text.lower() for answer in answers[:top_k]} | {
        text for text, score in at_most.items() if score >= least
    }
    close = any(after.score >= before.score * math.exp(-margin) for before, after in pairwise(answers[: top_k + 1]))

    def texts(spans: Iterable[Span]) -> set[str]:
        return {context[span.start : span.end].lower() for span in spans}

    if not close and not any(
        window.is_level(margin) or decisive & texts(window.at_the_edge(margin)) for window in windows
    ):
        return []
    null = min(window.null_log_score for window in windows)
    return [
        place
        for place, window in enumerate(windows)
        if window.is_level(margin)
        or decisive & texts([*window.spans, *window.next])
        or ("" in decisive and window.null_log_score <= null + margin)
    ]

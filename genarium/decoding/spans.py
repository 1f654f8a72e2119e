"""From a reader's scores to answers: the best spans of each window, then the best answers over all windows.

The decoding of DrQA (Chen et al. 2017, arXiv:1704.00051, section 3.2) as transformers 4's `question-answering`
pipeline had it: a softmax over a window's context tokens and its first token, which stands for "no answer here"
(BERT, arXiv:1810.04805, section 4.3); a span scores P(start) P(end); it is widened to whole words; spans of the same
text, wherever they were found, add up. A score can therefore pass 1 where windows overlap.

Sums of logarithms stand here in the place of products: the same order, and nothing underflows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Span:
    """`log_score` is ln(P(start) P(end)); `start` and `end` are characters of the context, end exclusive."""

    log_score: float
    start: int
    end: int


@dataclass(frozen=True)
class WindowSpans:
    """The best spans of one window, best first, what "no answer" scores there, and how far its scores spread."""

    spans: list[Span]
    null_log_score: float
    spread: float


@dataclass(frozen=True)
class Answer:
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
    n = min(n, int(np.isfinite(table).sum()))
    best = np.argpartition(-table, n - 1)[:n]
    best = best[np.lexsort((best, -table[best]))]
    first, length = np.divmod(best, longest)
    spans = [
        Span(float(table[place]), int(words[i, 0]), int(words[i + more, 1]))
        for place, i, more in zip(best, first, length, strict=True)
    ]
    spread = float(np.hypot(*scores[1:].std(axis=0)))
    return WindowSpans(spans, float(logs[0].sum()), spread)


def spans_wanted(top_k: int) -> int:
    """Spans to keep of each window so that `top_k` answers are left when those of the same text have become one."""
    return 2 * top_k + 10


def merge(windows: Iterable[WindowSpans], context: str, *, no_answer: bool) -> list[Answer]:
    """Every answer found in the windows of `context`, best first; the empty one among them with `no_answer`.

    "No answer" scores what it does in the window that doubts it most: the text has an answer if any window does.
    """
    found: dict[str, Answer] = {}
    null = np.inf
    for window in windows:
        null = min(null, window.null_log_score)
        for span in window.spans:
            text, score = context[span.start : span.end], float(np.exp(span.log_score))
            known = found.get(text.lower())
            found[text.lower()] = (
                replace(known, score=known.score + score) if known else Answer(text, score, span.start, span.end)
            )
    if no_answer:
        found[""] = Answer("", float(np.exp(null)), 0, 0)
    return sorted(found.values(), key=lambda answer: -answer.score)


def closest(answers: Sequence[Answer], top_k: int) -> float:
    """The smallest difference of log scores between neighbours that decides which answers are given, in which order."""
    scores = np.array([answer.score for answer in answers[: top_k + 1]])
    if len(scores) < 2 or scores[-1] <= 0:
        return float("inf") if len(scores) < 2 else 0.0
    return float(-np.diff(np.log(scores)).max())

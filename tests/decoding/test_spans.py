"""Span decoding is that of transformers 4's question-answering pipeline, written out here as it is described."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genarium.decoding.spans import Span, SpanAnswer, WindowSpans, contenders, merge, spans_wanted, window_spans


@dataclass
class Window:
    """A whole window as a model sees it: [CLS] question [SEP] context [SEP], with its scores (T, 2)."""

    scores: np.ndarray
    context_at: slice
    words: np.ndarray


def reference(
    windows: list[Window], context: str, *, top_k: int, max_answer_len: int, no_answer: bool
) -> list[SpanAnswer]:
    """Softmax over [CLS] and the context, start x end products over the upper triangle, equal texts added up."""
    found: list[list[object]] = []
    null = 1e6
    for window in windows:
        T = len(window.scores)
        answerable = np.zeros(T, dtype=bool)
        answerable[window.context_at] = True
        answerable[0] = True
        masked = np.where(answerable[:, None], window.scores, -10000.0)
        p = np.exp(masked - masked.max(axis=0))
        p /= p.sum(axis=0)
        null = min(null, p[0, 0] * p[0, 1])
        p[0] = 0
        table = np.tril(np.triu(np.outer(p[:, 0], p[:, 1])), max_answer_len - 1)
        order = np.argsort(-table.ravel(), kind="stable")[: 2 * top_k + 10]
        for place in order:
            i, j = divmod(int(place), T)
            if table[i, j] == 0:
                continue
            offset = window.context_at.start
            start, end = int(window.words[i - offset, 0]), int(window.words[j - offset, 1])
            text = context[start:end]
            same = [entry for entry in found if str(entry[0]).lower() == text.lower()]
            if same:
                same[0][1] += table[i, j]  # type: ignore[operator]
            else:
                found.append([text, table[i, j], start, end])
    if no_answer:
        found.append(["", null, 0, 0])
    found.sort(key=lambda entry: -float(entry[1]))  # type: ignore[arg-type]
    return [SpanAnswer(*entry) for entry in found[:top_k]]  # type: ignore[arg-type]


WORDS = ["the", "cat", "The", "sat", "on", "a", "mat", "and", "dog", "near", "of", "that", "Cat"]


@st.composite
def asked(draw: st.DrawFn) -> tuple[list[Window], str]:
    """A context of words cut into one to three tokens each, seen through overlapping windows with random scores."""
    chosen = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=25))
    context = " ".join(chosen)
    word_of_token: list[tuple[int, int]] = []
    at = 0
    for word in chosen:
        pieces = draw(st.integers(1, min(3, len(word))))
        word_of_token += [(at, at + len(word))] * pieces
        at += len(word) + 1
    words = np.array(word_of_token)
    room = draw(st.integers(2, 12))
    stride = draw(st.integers(0, room - 1))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    spread = draw(st.sampled_from([0.1, 1.0, 8.0]))
    windows = []
    for first in range(0, len(words), room - stride):
        part = words[first : first + room]
        question = draw(st.integers(1, 5))
        scores = random.normal(scale=spread, size=(question + 2 + len(part) + 1, 2))
        windows.append(Window(scores, slice(question + 2, question + 2 + len(part)), part))
        if first + room >= len(words):
            break
    return windows, context


@settings(max_examples=300, deadline=None)
@given(asked(), st.integers(1, 5), st.integers(1, 15), st.booleans())
def test_decoding_equals_the_reference(
    case: tuple[list[Window], str], top_k: int, max_answer_len: int, no_answer: bool
) -> None:
    windows, context = case
    expected = reference(windows, context, top_k=top_k, max_answer_len=max_answer_len, no_answer=no_answer)
    found = merge(
        [
            window_spans(
                np.concatenate([w.scores[:1], w.scores[w.context_at]]),
                w.words,
                n=spans_wanted(top_k),
                max_answer_len=max_answer_len,
            )
            for w in windows
        ],
        context,
        no_answer=no_answer,
    )
    answers = found[:top_k]
    assert [(a.text, a.start, a.end) for a in answers] == [(a.text, a.start, a.end) for a in expected]
    assert [a.score for a in answers] == pytest.approx([a.score for a in expected], rel=1e-9)
    # What top_k promises: sorted, distinct, and exact ranges of the context.
    assert [a.score for a in answers] == sorted((a.score for a in answers), reverse=True)
    assert len({a.text.lower() for a in answers}) == len(answers)
    assert all(context[a.start : a.end] == a.text for a in answers)


def test_scores_far_apart_do_not_underflow() -> None:
    scores = np.array([[0.0, 0.0], [-2000.0, -3000.0], [-3000.0, -2000.0]])
    words = np.array([[0, 3], [4, 7]])
    best = merge([window_spans(scores, words, n=12, max_answer_len=15)], "one two", no_answer=False)
    assert best[0].text == "one two"


def test_no_answer_wins_where_the_first_token_does() -> None:
    words = np.array([[0, 3], [4, 7]])
    sure = np.array([[9.0, 9.0], [0.0, 0.0], [0.0, 0.0]])
    unsure = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    [null, *_] = merge([window_spans(sure, words, n=12, max_answer_len=15)], "one two", no_answer=True)
    assert (null.text, null.start, null.end) == ("", 0, 0)
    assert null.score > 0.99
    # One window that sees an answer is enough, whatever the others say.
    both = [window_spans(scores, words, n=12, max_answer_len=15) for scores in (sure, unsure)]
    assert merge(both, "one two", no_answer=True)[0].text == "one two"
    assert "" not in [answer.text for answer in merge(both, "one two", no_answer=False)]


@settings(max_examples=200, deadline=None)
@given(asked(), st.integers(1, 3), st.booleans(), st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 0.02, 0.3]))
def test_scores_that_are_a_little_off_are_found_out(
    case: tuple[list[Window], str], top_k: int, no_answer: bool, seed: int, error: float
) -> None:
    windows, context = case
    random = np.random.default_rng(seed)

    def spans(window: Window, error: float) -> WindowSpans:
        scores = np.concatenate([window.scores[:1], window.scores[window.context_at]])
        off = random.uniform(-error, error, scores.shape)
        return window_spans(scores + off, window.words, n=spans_wanted(top_k), max_answer_len=15)

    exact = [spans(window, 0.0) for window in windows]
    rough = [spans(window, error) for window in windows]
    # Each of the two scores of a span is off by an error, and so is each of the two sums it is divided by.
    margin = 8 * error
    found = merge(rough, context, no_answer=no_answer)
    for place in contenders(rough, found, context, top_k=top_k, margin=margin):
        rough[place] = exact[place]
    found = merge(rough, context, no_answer=no_answer)[:top_k]
    assert [a.text.lower() for a in found] == [
        a.text.lower() for a in merge(exact, context, no_answer=no_answer)[:top_k]
    ]


def test_what_a_span_at_the_edge_would_lift_among_the_answers_is_read_again() -> None:
    context = "cat dog end"

    def window(kept: list[tuple[float, int, int]], after: list[tuple[float, int, int]]) -> WindowSpans:
        spans = [[Span(math.log(share), start, end) for share, start, end in part] for part in (kept, after)]
        return WindowSpans(*spans, null_log_score=-20, spread=1.0)

    first, second = [(0.30, 0, 3), (0.28, 4, 7)], [(0.05, 8, 11)]
    windows = [window(first, []), window([*second, (0.04, 0, 11)], [(0.0399, 4, 7), (0.01, 0, 7)])]
    answers = merge(windows, context, no_answer=False)
    assert [answer.text for answer in answers[:2]] == ["cat", "dog"]
    assert contenders(windows, answers, context, top_k=1, margin=0.01) == [0, 1]  # 0.28 + 0.0399 is more than 0.30
    assert contenders(windows, answers, context, top_k=1, margin=0.001) == []


def test_a_clear_case_is_read_once() -> None:
    words = np.array([[0, 3], [4, 7]])
    clear = window_spans(np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]), words, n=12, max_answer_len=15)
    close = window_spans(np.array([[0.0, 0.0], [9.0, 9.0], [0.0, 8.99]]), words, n=12, max_answer_len=15)
    for window, expected in ((clear, []), (close, [0])):
        answers = merge([window], "one two", no_answer=True)
        assert contenders([window], answers, "one two", top_k=1, margin=0.1) == expected

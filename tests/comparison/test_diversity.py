"""Answers that differ little are told by the share of their runs of words that differ."""

from __future__ import annotations

from genarium.comparison.diversity import diversity


def test_distinct_runs_are_counted_over_all_texts() -> None:
    told = diversity(["A cat. A cat.", "a dog"])
    # a cat . a cat . / a dog: 8 words, 4 differ; 5 + 1 pairs: a-cat twice, cat-. twice, .-a, a-dog
    assert told == {"words": 4.0, "distinct_1": 0.5, "distinct_2": round(4 / 6, 6), "distinct_3": round(3 / 4, 6)}
    assert diversity(["你好吗"])["words"] == 3
    assert diversity([""]) == {"words": 0.0, "distinct_1": None, "distinct_2": None, "distinct_3": None}

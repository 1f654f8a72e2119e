"""Both searches and their fusion."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from genarium.retrieval.hits import Hit, Kept
from genarium.retrieval.passages import Passage
from genarium.retrieval.places import create, writing
from genarium.retrieval.rank import rank
from genarium.retrieval.retrieve import by_words, fuse
from genarium.retrieval.store import Index
from genarium.retrieval.vectors import PassageVectors
from genarium.retrieval.words import keywords

RANKINGS = st.lists(st.lists(st.integers(0, 30), unique=True, max_size=20), max_size=4)


@given(rankings=RANKINGS, k=st.integers(1, 100))
def test_fusion_is_the_sum_of_reciprocal_ranks(rankings: list[list[int]], k: int) -> None:
    scores = {
        item: sum(Fraction(1, k + ranking.index(item) + 1) for ranking in rankings if item in ranking)
        for ranking in rankings
        for item in ranking
    }
    fused = fuse(rankings, k=k)
    assert sorted(fused) == sorted(scores)
    for better, worse in itertools.pairwise(fused):
        # Sums of a few floats: equal to the exact ones but for the last bits.
        assert scores[better] - scores[worse] > -Fraction(1, 10**12)
    assert fuse(rankings[::-1], k=k) == pytest.approx(fused) or len(set(scores.values())) < len(scores)


def test_common_words_are_left_out_unless_there_is_nothing_else() -> None:
    assert keywords("Who was the Hatter, and where did he go?") == ["hatter", "go"]
    assert keywords("to be or not to be") == ["to", "be", "or", "not"]
    assert keywords("?!") == []


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path))
    texts = ["A fox runs over hills.", "Foxes sleep at night.", 'She said "AND" loudly.', "Ein Fuchs läuft."]
    vectors = np.eye(4, dtype=np.float32)
    with writing("animals"):
        create("animals", {})
    opened = Index("animals")
    with opened.transaction():
        found = [Passage(10 * n, 10 * n + len(text), text) for n, text in enumerate(texts)]
        opened.put(Kept("a.txt", 1, 1, "x"), found, ["animals"] * 4, vectors)
    return opened


def test_words_are_found_in_every_form_and_operators_are_only_words(index: Index) -> None:
    assert set(by_words(index, "a running fox")) == {1, 2}
    assert by_words(index, "running fox")[0] == 1
    assert by_words(index, 'AND OR NOT "loudly* (NEAR') == [3]
    assert by_words(index, "laufen Fuchs lauft") == [4]
    assert by_words(index, "-- ;") == []


def test_the_nearest_vectors_come_first_and_all_are_compared(index: Index) -> None:
    random = np.random.default_rng(3)
    known = PassageVectors(index)
    assert known.matrix.dtype == np.float32
    for _ in range(20):
        vector = random.standard_normal(4).astype(np.float32)
        best = [number for number, _ in known.nearest(vector, 3)]
        assert best == list(1 + np.argsort(-vector)[:3])
    dense = [number for number, _ in known.nearest(np.eye(4, dtype=np.float32)[1])]
    assert fuse([dense, by_words(index, "night")])[0] == 2


def test_ranking_goes_by_the_scores_it_is_given() -> None:
    hits = [Hit(n, "a", 0, 1, None, "", text) for n, text in enumerate(["one", "three", "four", "five"])]
    assert [hit.id for hit in rank("?", hits, lambda _, texts: [len(text) for text in texts])] == [1, 2, 3, 0]

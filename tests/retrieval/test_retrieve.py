"""Both searches and their fusion."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from genarium.retrieval.extract import Judged
from genarium.retrieval.hits import Hit, Kept
from genarium.retrieval.passages import Passage
from genarium.retrieval.places import create, writing
from genarium.retrieval.quotes import quotes_of
from genarium.retrieval.rank import by_sentences, rank
from genarium.retrieval.retrieve import by_words, fuse, standing
from genarium.retrieval.store import Index
from genarium.retrieval.vectors import PassageVectors
from genarium.retrieval.words import keywords

SCORES = st.dictionaries(st.integers(0, 30), st.floats(0, 1, width=16), max_size=20)


@given(meaning=SCORES, words=SCORES, files=st.lists(st.integers(0, 4), min_size=31, max_size=31))
def test_fusion_adds_both_scores_and_some_of_the_files_best(
    meaning: dict[int, float], words: dict[int, float], files: list[int]
) -> None:
    file = dict(enumerate(files))
    exact = {one: Fraction(3, 5) * Fraction(meaning.get(one, 0)) for one in {*meaning, *words}}
    exact = {one: score + Fraction(2, 5) * Fraction(words.get(one, 0)) for one, score in exact.items()}
    best = {files[one]: max(exact[other] for other in exact if files[other] == files[one]) for one in exact}
    fused = list(fuse(meaning, words, file))
    assert sorted(fused) == sorted(exact)
    for better, worse in itertools.pairwise(fused):
        scores = [exact[one] + Fraction(3, 10) * best[files[one]] for one in (better, worse)]
        assert scores[0] - scores[1] > -Fraction(1, 10**5)
        assert scores[0] != scores[1] or better < worse
    assert list(fuse(dict(reversed(meaning.items())), dict(reversed(words.items())), file)) == fused
    assert list(fuse(meaning, words, file).values()) == sorted(fuse(meaning, words, file).values(), reverse=True)


@given(score=st.floats(0, 1), other=st.one_of(st.just(0.0), st.floats(1e-5, 1)))
def test_what_both_searches_found_is_not_below_what_one_did(score: float, other: float) -> None:
    first = 2 if other else 1
    assert next(iter(fuse({1: score, 2: score}, {2: other}, {1: 1, 2: 2}))) == first
    assert next(iter(fuse({2: other}, {1: score, 2: score}, {1: 1, 2: 2}))) == first


def test_how_far_a_cosine_stands_out_is_the_same_on_every_scale() -> None:
    random = np.random.default_rng(5)
    cosines = random.uniform(0, 1, 200).astype(np.float32)
    stands = standing(cosines)
    np.testing.assert_allclose(standing(0.7 + 0.2 * cosines), stands, atol=1e-5)
    assert stands[np.argmax(cosines)] == pytest.approx((cosines.max() - cosines.mean()) / cosines.std() / 5, rel=1e-5)
    for few in (2, 3, 10):
        assert standing(np.eye(few, dtype=np.float32)[0])[0] == pytest.approx(1)
    for alike in (np.zeros(0, np.float32), np.ones(1, np.float32), np.full(7, 0.3, np.float32)):
        assert not standing(alike).any()


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
    assert next(iter(by_words(index, "running fox"))) == 1
    assert list(by_words(index, 'AND OR NOT "loudly* (NEAR')) == [3]
    assert list(by_words(index, "laufen Fuchs lauft")) == [4]
    assert list(by_words(index, "-- ;")) == []


def test_the_nearest_vectors_come_first_and_all_are_compared(index: Index) -> None:
    random = np.random.default_rng(3)
    known = PassageVectors(index)
    assert known.matrix.dtype == np.float32
    for _ in range(20):
        vector = random.standard_normal(4).astype(np.float32)
        best = [number for number, _ in known.nearest(vector, 3)]
        assert best == list(1 + np.argsort(-vector)[:3])
    numbers, cosines = known.cosines(np.eye(4, dtype=np.float32)[1])
    dense = dict(zip(numbers.tolist(), standing(cosines), strict=True))
    assert next(iter(fuse(dense, by_words(index, "night"), index.file_of([1, 2, 3, 4])))) == 2


def test_a_passage_is_lifted_by_its_best_sentence() -> None:
    hits = [Hit(n, "a", 40 * n, 40 * n + 28, None, "", "Nothing much. The gull lands.") for n in range(4)]
    quotes = quotes_of([hits[1], hits[2]])
    judged = Judged(quotes, np.array([0.1, 0.6, 0.2, 0.1]))  # two sentences of each; none of the others may be quoted
    assert by_sentences(hits, [0.9, 0.5, 0.5, 0.4], judged) == [hits[1], hits[0], hits[2], hits[3]]
    assert by_sentences(hits, [0.9, 0.1, 0.9, 0.9], judged) == [hits[2], hits[0], hits[3], hits[1]]
    assert by_sentences(hits, [0.5] * 4, Judged([], np.zeros(0))) == hits


def test_ranking_goes_by_the_scores_it_is_given() -> None:
    hits = [Hit(n, "a", 0, 1, None, "", text) for n, text in enumerate(["one", "three", "four", "five"])]
    assert [hit.id for hit in rank("?", hits, lambda _, texts: [len(text) for text in texts])] == [1, 2, 3, 0]

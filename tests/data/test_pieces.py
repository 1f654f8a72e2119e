"""Pieces are clauses of a text, once each, and labels keep their shares among them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from genarium.data.labelled import LabelledText
from genarium.data.pieces import SHARE, WORDS, pieces

TEXT = st.lists(st.sampled_from(["a", "b", "call", "now", "and", "yes,", "no!", "so..", "&"]), min_size=1, max_size=40)
EXAMPLES = st.lists(st.builds(LabelledText, TEXT.map(" ".join), st.sampled_from(["ham", "spam"])), min_size=1)


@given(EXAMPLES, st.integers(1, 6), st.integers(0, 9))
def test_pieces_are_parts_of_their_texts_and_none_comes_twice(
    examples: list[LabelledText], most: int, seed: int
) -> None:
    found = pieces(examples, most, seed)
    assert found == pieces(examples, most, seed)
    texts = [piece.text for piece in found]
    assert len(set(texts)) == len(texts)
    assert not set(texts) & {example.text for example in examples}
    for piece in found:
        assert len(piece.text.split()) in WORDS
        # Clauses are parted at dots that follow each other; a text of one clause, cut in half, keeps them.
        wholes = [f"{one.text} {one.text.replace('..', ' ')}" for one in examples if one.label == piece.label]
        assert any(set(piece.text.split()) <= set(whole.split()) for whole in wholes)


def test_a_text_is_cut_at_its_marks_and_conjunctions() -> None:
    text = "come to the shop today, and bring your friends! it is free of charge if you ask for me"
    found = {piece.text for piece in pieces([LabelledText(text, "spam")], 99, 0)}
    assert {"come to the shop today,", "and bring your friends!", "it is free of charge", "if you ask for me"} <= found
    assert "and bring your friends! it is free of charge" in found
    assert max(map(len, found)) <= SHARE * len(text)


def test_a_text_of_one_clause_is_halved_and_a_short_one_left() -> None:
    assert [piece.text for piece in pieces([LabelledText("one two three four five six seven", "x")], 9, 0)] != []
    assert pieces([LabelledText("ok see you", "x")], 9, 0) == []


def test_a_label_with_longer_texts_has_no_larger_share_of_the_pieces() -> None:
    ham = [LabelledText(f"see you at {n} o'clock, my dear friend {n}", "ham") for n in range(80)]
    spam = [
        LabelledText(f"call {n} now to win! it costs {n} pounds, no more. text {n} to stop it, or ring us.", "spam")
        for n in range(20)
    ]
    counted = Counter(piece.label for piece in pieces(ham + spam, 6, 0))
    assert counted["ham"] > 80
    assert abs(counted["spam"] / counted.total() - 0.2) < 0.02

"""Answers: sentences that stand somewhere, and none where nothing says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest

from genarium.engines import registry
from genarium.retrieval.closeness import Closeness
from genarium.retrieval.extract import best_of, judge
from genarium.retrieval.generate import NO_ANSWER, Sentence, prompt, write
from genarium.retrieval.hits import Hit

HITS = [
    Hit(
        7,
        "tower.md",
        100,
        0,
        2,
        "tower",
        "The tower was built in 1889. It is 330 metres tall. Visitors climb 1665 steps.",
    ),
    Hit(9, "bridge.md", 0, 0, None, "bridge", "The bridge spans the river. It carries trains at night."),
]


@pytest.fixture(scope="module")
def embed() -> Callable[[str, Sequence[str]], np.ndarray]:
    """How close texts are to a question."""
    encoder = registry.open_encoder("starter/encoder")
    return lambda question, texts: Closeness(encoder, question, says=True).of(texts)


def test_extracted_sentences_are_those_that_come_closest(embed: Callable[..., np.ndarray]) -> None:
    def extract(question: str, hits: list[Hit]) -> list[str]:
        return [quote.text for quote in best_of(judge(question, hits, partial(embed, question)))]

    [quote, *_] = best_of(judge("When was the tower built?", HITS, partial(embed, "When was the tower built?")))
    assert (quote.hit.id, quote.text) == (7, "The tower was built in 1889.")
    assert extract("How high?", []) == []
    doctor = Hit(3, "d.txt", 0, 0, None, "d", "Mr. Bennet saw Dr. Grant. He left.")
    assert extract("Whom did Mr. Bennet see?", [doctor])[0] == "Mr. Bennet saw Dr. Grant."


def written(text: str, embed: Callable[..., np.ndarray]) -> tuple[list[Sentence], list[str]]:
    asked: list[str] = []

    def complete(given: str) -> str:
        asked.append(given)
        return text

    kept = write("How high is the tower?", HITS, complete, embed)
    assert asked == [prompt("How high is the tower?", HITS)]
    return kept


def test_the_prompt_numbers_the_passages() -> None:
    asked = prompt("How high is the tower?", HITS)
    assert "[1] tower\nThe tower was built" in asked
    assert "[2] bridge\nThe bridge spans" in asked
    assert asked.endswith("Question: How high is the tower?\nAnswer:")


def test_written_sentences_stand_with_their_citations_checked(embed: Callable[..., np.ndarray]) -> None:
    kept, left_out = written("The tower is 330 metres high. [1] Trains use the bridge at night [2].", embed)
    assert [(sentence.text, [quote.hit.id for quote in sentence.quotes]) for sentence in kept] == [
        ("The tower is 330 metres high.", [7]),
        ("Trains use the bridge at night.", [9]),
    ]
    assert kept[0].quotes[0].text == "It is 330 metres tall."
    assert left_out == []


def test_a_sentence_that_cites_nothing_is_looked_for_in_all_passages(embed: Callable[..., np.ndarray]) -> None:
    kept, left_out = written("Trains use the bridge at night. The tower is 330 metres high.", embed)
    assert [[quote.hit.id for quote in sentence.quotes] for sentence in kept] == [[9], [7]]
    assert left_out == []


@pytest.mark.parametrize(
    "wrong",
    [
        "The tower is 500 metres high.",  # cites nothing, and is said nowhere
        "The tower is 330 metres high [3].",  # cites what was not given
        "The tower is 500 metres high [1].",  # a number that is not there
        "The tower is 330 metres high [2].",  # cites another passage
        "Bananas are rich in potassium [1].",  # said nowhere
    ],
)
def test_sentences_that_stand_on_nothing_are_left_out(wrong: str, embed: Callable[..., np.ndarray]) -> None:
    kept, left_out = written(f"{wrong} The bridge carries trains at night [2].", embed)
    assert [sentence.text for sentence in kept] == ["The bridge carries trains at night."]
    assert len(left_out) == 1


def test_a_wrong_citation_beside_a_right_one_is_dropped(embed: Callable[..., np.ndarray]) -> None:
    [sentence], _ = written("The tower is 330 metres tall [1, 2].", embed)
    assert [quote.hit.id for quote in sentence.quotes] == [7]


def test_a_model_that_says_it_does_not_know_is_believed(embed: Callable[..., np.ndarray]) -> None:
    assert written(NO_ANSWER, embed) == ([], [])
    assert written("", embed) == ([], [])


def test_the_question_again_a_title_and_what_was_said_before_are_left_out(embed: Callable[..., np.ndarray]) -> None:
    once = "The tower is 330 metres tall. [1]"
    said = f"How high is the tower? [1] {once} {once} tower: high. [1]"
    kept, left_out = written(said, embed)
    assert [sentence.text for sentence in kept] == ["The tower is 330 metres tall."]
    assert left_out == ["How high is the tower?", "tower: high."]

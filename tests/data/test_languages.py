"""Other languages are noticed, and English is not taken for one, however short or odd it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from genarium.data.languages import foreign
from genarium.run import call

ENGLISH = """
A red bus.
flying batman with colorful sky
Who stole the blue lantern?
May I go now?
Wait!
odd and weird
it's a charming and often affecting journey
Tom runs fast.
A man skis.
OK lol
iPhone 15 Pro
New York
Müller
naïve
What does 你好 mean?
C'est la vie, as they say in France.
Schadenfreude is a German word
def f(x): return x + 1
SELECT * FROM t WHERE id = 3
https://example.com/a/b?c=d
2 + 2 = 4
🎉🎉🎉
XIV.
U r 2 late m8 c u l8r
"""
OTHERS = {
    "German": ["Der Film war schlecht und langweilig.", "Es war einmal ein kleiner Fuchs", "ein fliegender Vogel"],
    "French": ["Où est la gare ?", "un oiseau volant dans le ciel"],
    "Spanish": ["¿Dónde está el gato?", "El perro rojo corre por la calle."],
    "Portuguese": ["Um pássaro voando no céu azul."],
    "Italian": ["Il gatto è sul tavolo."],
    "Dutch": ["De kat zit op de mat en slaapt."],
    "Polish": ["Kot siedzi na macie i śpi."],
    "Vietnamese": ["Con mèo ở đâu?"],
    "Chinese": ["一只飞翔的鸟", "我用Twitter", "走吧。"],
    "Japanese": ["こんにちは", "猫はどこですか。"],
    "Korean": ["나는 학생입니다"],
    "Cyrillic script": ["Привет, как дела?"],
    "Arabic script": ["أين القطة؟"],
    "Thai": ["สวัสดี"],
    "Devanagari script": ["शुभ प्रभात"],
    "Greek": ["Πού είναι η γάτα;"],
}


def test_english_is_not_taken_for_another_language() -> None:
    assert [(text, language) for text in ENGLISH.strip().splitlines() if (language := foreign(text))] == []


@pytest.mark.parametrize("language", OTHERS)
def test_another_language_is_named(language: str) -> None:
    assert [foreign(text) for text in OTHERS[language]] == [language] * len(OTHERS[language])


def test_nothing_and_hostile_text_are_no_language() -> None:
    for text in ("", "   ", "\x00\ud800", "\u200b" * 5000, "a" * 10_000):
        assert foreign(text) is None


@pytest.mark.parametrize(
    ("asked", "looks"),
    [
        (lambda: call("classify", ["Der Film war schlecht.", "A fine film."], model="starter/sentiment"), "1 of 2 tex"),
        (lambda: call("rank", "狗", ["一只狗在跑", "a cat"]), "2 of 3 texts look like Chinese"),
        (lambda: call("text", "Es war einmal ein Fuchs", max_new_tokens=1), "this looks like German"),
        (lambda: call("answer", "Wer wohnt dort?", context="Dort wohnt ein alter Mann."), "2 of 2 texts look like Ger"),
        (lambda: call("summarize", "Der Hund lief schnell. Es regnete viel.", sentences=1), "this looks like German"),
    ],
    ids=["classify", "rank", "text", "answer", "summarize"],
)
def test_a_starter_says_that_it_was_made_for_english(asked: Callable[[], Any], looks: str) -> None:
    first, *_ = asked().notes
    assert "was made for English" in first
    assert looks in first


def test_english_gets_no_such_note() -> None:
    asked = call("classify", ["A fine film.", "Terrible."], model="starter/sentiment")
    assert not any("English" in note for note in asked.notes)

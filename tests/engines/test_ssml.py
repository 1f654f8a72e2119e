"""SSML: what is understood of it, and what is refused by name."""

from __future__ import annotations

import pytest

from genarium.engines.audio import ssml
from genarium.engines.audio.plan import MOST, Chunk, chunks
from genarium.engines.audio.said import Said, written
from genarium.engines.audio.ssml import Mark, Script
from genarium.errors import BadInput


def words(text: str, start: int, end: int) -> list[Said]:
    """Each word as it is written, and marks at its end."""
    said, place = [], start
    for word in text[start:end].split():
        place = text.index(word, place)
        bare = word.rstrip(".,!?")
        if bare:
            said.append(Said(place, place + len(bare), phonemes=bare))
        if bare != word:
            said.append(Said(place + len(bare), place + len(word), mark=word[len(bare)]))
        place += len(word)
    return said


def told(script: Script) -> list[tuple[str, float, float]]:
    def phonemes(text: str, start: int, end: int) -> list[Said]:
        return [Said(start, end, phonemes=f"/{text[start:end]}/")]

    return [(written(chunk.said)[0], chunk.rate, chunk.pause) for chunk in chunks(script, words, phonemes)]


def test_what_is_a_document() -> None:
    assert ssml.is_ssml('<?xml version="1.0"?>\n<speak version="1.1">a</speak>')
    assert not ssml.is_ssml("a <speak> b")
    assert not ssml.is_ssml("<speaker>")


def test_a_document_is_text_with_marks() -> None:
    script = ssml.read(
        '<speak>Hi <break time="500ms"/>there <sub alias="World Wide Web">WWW</sub>, '
        '<phoneme ph="tɛst">x</phoneme> <emphasis level="strong">now</emphasis></speak>'
    )
    assert script.text == "Hi there WWW, x now"
    assert script.marks == (
        Mark(3, 3, "break", 0.5),
        Mark(9, 12, "sub", "World Wide Web"),
        Mark(14, 15, "phoneme", "tɛst"),
        Mark(16, 19, "emphasis", "strong"),
    )


def test_it_is_said_as_it_asks() -> None:
    script = ssml.read(
        '<speak>Hello there<break time="1s"/> friend. <prosody rate="slow">Slowly now.</prosody> '
        '<sub alias="Doctor Who">DW</sub> says <phoneme ph="tɛst">x</phoneme>.</speak>'
    )
    assert told(script) == [
        ("Hello there", 1.0, 1.0),
        ("friend.", 1.0, 0.0),
        ("Slowly now.", 0.8, 0.0),
        ("Doctor Who says /tɛst/.", 1.0, 0.0),
    ]


def test_breaks_at_the_ends_are_kept() -> None:
    assert told(ssml.read('<speak><break time="2s"/>Hello.<break time="3s"/></speak>')) == [
        ("", 1.0, 2.0),
        ("Hello.", 1.0, 3.0),
    ]


@pytest.mark.parametrize(
    ("rate", "value"), [("slow", 0.8), ("1.5", 1.5), ("150%", 1.5), ("+50%", 1.5), ("-20%", 0.8), ("medium", 1.0)]
)
def test_rates(rate: str, value: float) -> None:
    [mark] = ssml.read(f'<speak><prosody rate="{rate}">a</prosody></speak>').marks
    assert mark.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("inside", "sentence"),
    [
        ('<audio src="x.wav"/>', "<audio> is not understood"),
        ('<prosody pitch="high">a</prosody>', "<prosody pitch> can't be done"),
        ('<prosody rate="tomorrow">a</prosody>', "got 'tomorrow'"),
        ('<prosody rate="0">a</prosody>', "got '0'"),
        ('<break time="3h"/>', "got '3h'"),
        ('<break time="999s"/>', "at most 60 s"),
        ('<break strength="huge"/>', "got 'huge'"),
        ('<emphasis level="wild">a</emphasis>', "got 'wild'"),
        ("<sub>a</sub>", "needs an alias"),
        ('<phoneme alphabet="x-sampa" ph="a">a</phoneme>', "the alphabet ipa"),
        ("<phoneme>a</phoneme>", "needs ph"),
        ("a & b", "not well-formed"),
        ("<p>", "not well-formed"),
        ("<![CDATA[x]]>", "is not read"),
    ],
)
def test_all_else_is_refused_by_name(inside: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence.replace("(", r"\(")):
        ssml.read(f"<speak>{inside}</speak>")


def test_entities_are_never_expanded() -> None:
    with pytest.raises(BadInput, match="DOCTYPE"):
        ssml.read('<!DOCTYPE s [<!ENTITY a "aaaa">]><speak>&a;</speak>')


def test_short_sentences_are_said_together_and_long_ones_cut_at_marks() -> None:
    assert told(Script("One. Two. Three. And this is another one that is said.\n\nThe end.")) == [
        ("One. Two. Three. And this is another one that is said.", 1.0, 0.35),
        ("The end.", 1.0, 0.0),
    ]
    long = "word " * 60 + "here, " + "word " * 60
    parts = told(Script(long))
    assert [part[0].endswith("here,") for part in parts[:-1]] == [True]
    assert all(len(part[0]) <= MOST for part in parts)
    assert " ".join(part[0] for part in parts).split() == long.split()
    assert [len(part[0]) for part in told(Script("x" * 3000))] == [MOST]


def test_emphasis_moves_the_stress() -> None:
    script = Script("a b", (Mark(0, 1, "emphasis", "strong"), Mark(2, 3, "emphasis", "reduced")))

    def reader(text: str, start: int, end: int) -> list[Said]:
        return [Said(0, 1, phonemes="nəv"), Said(2, 3, phonemes="nˈɑv")]

    [chunk] = chunks(script, reader, reader)
    assert isinstance(chunk, Chunk)
    assert [one.phonemes for one in chunk.said] == ["nˈəv", "nˌɑv"]

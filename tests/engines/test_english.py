"""English as it is read aloud: what is written to words, words to phonemes."""

from __future__ import annotations

import pytest

from genarium.engines.audio import ipa
from genarium.engines.audio.english.numbers import cardinal, decimal, ordinal, year
from genarium.engines.audio.english.reading import pieces
from genarium.engines.audio.english.words import English
from genarium.engines.audio.said import written
from genarium.errors import BadInput
from tests.kokoro_folders import lexicon


def read(text: str, *, british: bool = False) -> str:
    return " ".join(piece.words or piece.mark for piece in pieces(text, british=british))


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("21", "twenty-one"),
        ("105", "one hundred five"),
        ("1000", "one thousand"),
        ("1204", "one thousand two hundred four"),
        ("1000001", "one million one"),
        ("1" + "0" * 30, "one" + " zero" * 30),
    ],
)
def test_cardinals(digits: str, words: str) -> None:
    assert cardinal(digits) == words


def test_other_numbers() -> None:
    assert cardinal("1204", british=True) == "one thousand two hundred and four"
    assert [ordinal(n) for n in ("1", "2", "12", "20", "21", "100")] == [
        "first", "second", "twelfth", "twentieth", "twenty-first", "one hundredth"
    ]  # fmt: skip
    assert [year(n) for n in ("1984", "1900", "1906", "2000", "2005", "2024")] == [
        "nineteen eighty-four",
        "nineteen hundred",
        "nineteen oh six",
        "two thousand",
        "two thousand five",
        "twenty twenty-four",
    ]
    assert decimal("1,234.05") == "one thousand two hundred thirty-four point zero five"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Dr. Smith met Mr. Jones.", "doctor Smith met mister Jones ."),
        ("at 3:05 p.m. or 15:30, 9 am; 12:00", "at three oh five P.M or fifteen thirty , nine A.M ; twelve o'clock"),
        ("March 5, 2024", "March fifth, twenty twenty-four"),
        ("2024-03-05", "March fifth, twenty twenty-four"),
        ("5/6/2021", "May sixth, twenty twenty-one"),
        ("5 May 1980", "the fifth of May, nineteen eighty"),
        ("$3.50, £5.01 and $1", "three dollars and fifty cents , five pounds and one penny and one dollar"),
        ("$1.2 million or €20", "one point two million dollars or twenty euros"),
        ("5 km, 1 kg, 60 mph", "five kilometers , one kilogram , sixty miles per hour"),
        ("20°C, 100%", "twenty degrees Celsius , one hundred percent"),
        ("1/2, 3/4 and 2/3", "one half , three quarters and two thirds"),
        ("the 1990s and '80s", "the nineteen nineties and eighties"),
        ("10-20 kg, 1914-18", "ten to twenty kilograms , nineteen fourteen to eighteen"),
        ("4 in ten", "four in ten"),
        ("-5 and 007", "minus five and zero zero seven"),
        ("call 555-123-4567", "call five five five, one two three, four five six seven"),
        ("bob@example.com", "bob at example dot com"),
        ("Henry VIII and Chapter IV", "Henry the eighth and Chapter four"),
        ("e.g. the U.S.A. etc.", "for example the U.S.A et cetera"),
        ("AT&T", "AT and T"),
        ("wait... well-known", "wait … well known"),
        ("only 你好 😀 words", "only words"),
    ],
)  # fmt: skip
def test_what_is_written_is_read_as_a_person_would(text: str, said: str) -> None:
    assert read(text) == said


def test_british_days_come_first() -> None:
    assert read("5/6/2021, March 5", british=True) == "the fifth of June, twenty twenty-one , the fifth of March"


def test_pieces_know_their_places() -> None:
    text = "Pay $3.50 at 3:05!"
    assert [text[piece.start : piece.end] for piece in pieces(text)] == ["Pay", "$3.50", "at", "3:05", "!"]


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> English:
    made = English(lexicon(tmp_path_factory.mktemp("lexicon")), "us", {"gif": "ʤˈɪf"})
    made.lexicon.__dict__["guess"] = type("Told", (), {"say": staticmethod(lambda word: f"<{word[1:]}>")})
    return made


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("Hello, world!", "həlˈO, wˈɜɹld!"),
        ("the world, the apple", "ðə wˈɜɹld, ði ˈæpᵊl"),
        ("to wait to apple to.", "tə wˈAt tʊ ˈæpᵊl tˈu."),
        ("they have", "ðA hˈæv"),
        ("I have read the record", "ˌI hæv ɹˈɛd ðə ɹˈɛkəɹd"),
        ("they record", "ðA ɹəkˈɔɹd"),
        ("a use of they use", "ɐ jˈus <of> ðA jˈuz"),
        ("they used to", "ðA jˈust tˈu"),
        ("boss's worlds waits", "bˈɔsᵻz wˈɜɹldz wˈAts"),
        ("tried stopping waiting waited", "tɹˈId stˈɑpɪŋ wˈATɪŋ wˈATᵻd"),
        ("NASA ABC U.S.A.", "nˈæsə ˌAˌbiˈsi ˌjuˌɛsˈA"),
        ("Zebra GIF glorp's", "zˈibɹə ʤˈɪf <glorp>z"),
        ("$1.05", "wˈʌn dˈɑləɹ ænd fˈIv sˈɛnts"),
    ],
)
def test_words_are_said_by_the_lexicon(text: str, phonemes: str, english: English) -> None:
    assert written(english(text, 0, len(text)))[0] == phonemes


def test_ipa_becomes_the_models_signs() -> None:
    known = set("ʧAɪIæsˈdʤɹəOk ")
    assert ipa.phonemes("/ˈdʒaɪ.sə/", known) == "ˈʤIsə"
    with pytest.raises(BadInput, match="which the voice can't say"):
        ipa.phonemes("ʘ", known)
    with pytest.raises(BadInput, match="empty pronunciation"):
        ipa.phonemes("//", known)

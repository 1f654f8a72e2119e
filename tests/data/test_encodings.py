"""Encodings: what bytes say is what is read, in the encoding they are in, and what was guessed or lost is said."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from genarium.data.encodings import decode
from genarium.errors import BadInput

TEXTS = {
    "cp1252": "Der Käufer zahlt 12,50 € – so heißt es – für den Schlüssel, und er läuft über fünf Hügel.",
    "iso-8859-2": "Zażółć gęślą jaźń. Każdy człowiek ma prawo do wolności myśli, sumienia i wyznania.",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy. Všichni lidé se rodí svobodní a sobě rovní.",
    "cp1251": "Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства.",
    "koi8-r": "Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства.",
    "cp866": "Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства.",
    "cp1253": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "cp1254": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler.",
    "cp1255": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "gb18030": "渡轮早上七点半离开港口，星期天没有渡轮。",
    "big5": "渡輪早上七點半離開港口，星期天沒有渡輪。",
    "cp932": "渡し船は朝七時半に港を出ます。日曜日は運休です。①",
    "euc-jp": "渡し船は朝七時半に港を出ます。日曜日は運休です。",
    "iso-2022-jp": "渡し船は朝七時半に港を出ます。日曜日は運休です。",
    "cp949": "나룻배는 아침 일곱 시 반에 항구를 떠납니다.",
    "utf-16-le": "Größe 12\n渡轮早上七点半离开港口。\n",
    "utf-16-be": "渡轮早上七点半离开港口，\n星期天没有 10 渡轮。\n",
    "utf-32-le": "The ferry leaves.\n",
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_text_is_read_in_the_encoding_it_is_in_and_a_guess_is_said(encoding: str) -> None:
    decoded = decode(TEXTS[encoding].encode(encoding))
    assert decoded.text == TEXTS[encoding]
    [said] = decoded.notes
    assert said.startswith("not UTF-8, read as ")


WESTERN = ("Peñón", "The ferry to Peñón leaves at seven.", "Müller;12,50 €", "naïve", "it’s “so”", "20 °C", "José, Zoë")


@pytest.mark.parametrize("text", WESTERN)
def test_a_word_of_western_text_is_read_as_western(text: str) -> None:
    """A guess without a preference quotes Peñón as Peńón: nothing in two bytes tells them apart."""
    assert decode(text.encode("cp1252")).text == text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_is_believed_and_is_no_part_of_the_text(encoding: str) -> None:
    decoded = decode("Größe".encode(encoding))
    assert (decoded.text, decoded.notes) == ("Größe", [])


def test_undecodable_bytes_are_counted() -> None:
    cut = "Größe über fünf Hügel, für Käufer.".encode() + "ß".encode()[:1]
    decoded = decode(cut)
    assert (decoded.text, decoded.lost) == ("Größe über fünf Hügel, für Käufer.\ufffd", 1)
    assert decoded.notes == ["1 character could not be decoded as UTF-8"]
    assert decode("a \ufffd that the file has".encode()).notes == []


def test_an_encoding_that_is_named_is_used_as_browsers_do() -> None:
    assert decode(b"\x93so\x94", "latin1").text == "“so”"
    assert decode("①".encode("cp932"), "Shift_JIS").text == "①"
    for wrong in ("klingon", "rot13", "base64", "unicode_escape\0"):
        with pytest.raises(BadInput, match="unknown encoding"):
            decode(b"x", wrong)


@pytest.mark.parametrize("content", [bytes(range(256)) * 20, b"\x01\x02\x03abc" * 50, b"\x00" * 100, b"a\x00b" * 9])
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput, match="binary"):
        decode(content)


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=200))
def test_utf8_is_never_taken_for_another_encoding(text: str) -> None:
    decoded = decode(text.encode())
    assert (decoded.text, decoded.notes) == (text.removeprefix("\ufeff"), [])


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(content: bytes) -> None:
    try:
        decoded = decode(content)
    except BadInput:
        return
    assert decoded.lost == 0 or "\ufffd" in decoded.text

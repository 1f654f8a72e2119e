"""Bytes as text in whatever encoding they are: by their mark, as UTF-8, or as they look.

What was guessed, and what could not be decoded, is said. chardet guesses among the encodings that browsers know
(https://encoding.spec.whatwg.org); where windows-1252, the Western one, is nearly as likely as its best guess, it is
taken: in a short text nothing else tells "Peñón" from "Peńón".
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass

from genarium.errors import BadInput
from genarium.extras import missing

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LEGACY = tuple(
    "big5 cp932 euc-jp iso-2022-jp cp949 gb18030 cp866 iso-8859-2 iso-8859-5 iso-8859-7 koi8-r koi8-u macroman "
    "cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp874".split()
)
# How they are known, where that is not Python's name.
NAMES = {"cp932": "Shift_JIS", "cp949": "EUC-KR", "big5hkscs": "Big5", "mac-roman": "macintosh"} | {
    f"cp{number}": f"windows-{number}" for number in (874, *range(1250, 1259))
}
# What browsers decode these as: a superset, which a file of that label may well use.
SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
SAMPLE = 2**18
NEARLY, UNSURE = 0.9, 0.6
"""windows-1252 is taken where its score is this share of the best, the second for English with a word or two in it.
Chosen on Django's translations in 32 languages and on English sentences with a foreign name."""
LITTLE = 0.1
FEW = 4
ENGLISH = re.compile(rb"(?i)\b(?:the|and|of|is|to|with)\b")
TYPOGRAPHY = frozenset("‘’“”„‚–—…€£¢§°©®«»¿¡ºª·•´²³½¼¾×™\xa0\xad")
# What no Western text has: a capital after a small letter, a sign inside a word, three accented letters in a row.
UNLIKELY = re.compile(r"[a-zà-öø-ÿ][À-ÖØ-ÞŠŽŒ¿¡]|[A-Za-z][²³¹£©®«»ª°§¢][A-Za-z]|[À-ÖØ-öø-ÿ]{3}|[^\0-\x7fÀ-ÿ]{3}")
BINARY = "binary, not text"
UNKNOWN = "not UTF-8, and in an encoding that can't be told; save it as UTF-8"


@dataclass(frozen=True)
class Decoded:
    """`encoding` is Python's name; `guessed` where nothing said so; `lost` bytes couldn't be decoded and are U+FFFD."""

    text: str
    encoding: str
    guessed: bool = False
    lost: int = 0

    @property
    def notes(self) -> list[str]:
        """What the user should know about how it was read."""
        name = shown(self.encoding)
        lost = f"{self.lost} character{'s' if self.lost > 1 else ''} could not be decoded as {name}"
        return [f"not UTF-8, read as {name}"] * self.guessed + [lost] * bool(self.lost)


def shown(encoding: str) -> str:
    """An encoding as people call it."""
    name = codecs.lookup(encoding).name
    return NAMES.get(name, name.upper().replace("_", "-").replace("ISO8859", "ISO-8859"))


def decode(content: bytes, encoding: str | None = None) -> Decoded:
    """The text in these bytes: in `encoding` (any of its names) where it is given, else as they look.

    A mark at the beginning is believed first, and is no part of the text. Raises BadInput for an unknown encoding and
    for bytes that are no text.
    """
    for mark, name in MARKS:
        if content.startswith(mark):
            return _replaced(content[len(mark) :], name)
    if encoding is not None:
        return _replaced(content, checked(encoding))
    if b"\x00" in content:
        decoded = _wide(content)
    elif re.search(rb"\x1b\$[@B]", content):
        decoded = _replaced(content, "iso2022_jp", guessed=True)
    else:
        try:
            decoded = Decoded(content.decode("utf-8"), "utf-8")
        except UnicodeDecodeError:
            decoded = _nearly_utf8(content) or _replaced(content, _guess(content[:SAMPLE]), guessed=True)
    text = decoded.text
    controls = sum(map(text.count, map(chr, [*range(9), *range(14, 27), *range(28, 32), 127])))
    if controls > len(text) / 100 or decoded.lost > len(text) / 10:
        raise BadInput(BINARY)
    return decoded


def checked(encoding: str) -> str:
    """Python's codec for an encoding's name, the superset that browsers take it for. Raises BadInput."""
    try:
        name = codecs.lookup(encoding.strip()).name
        "".encode(name)  # hex, rot13 and others are codecs, and no encodings of text
    except (LookupError, ValueError, UnicodeError):
        raise BadInput(f"unknown encoding {encoding!r}; utf-8, windows-1252 and gb18030 are some") from None
    return SUPERSETS.get(name, name)


def _replaced(content: bytes, encoding: str, *, guessed: bool = False) -> Decoded:
    text = content.decode(encoding, errors="replace")
    there = content.count("\ufffd".encode()) if encoding == "utf-8" else 0
    lost = 0 if encoding.startswith("utf-16") else max(0, text.count("\ufffd") - there)
    return Decoded(text, encoding, guessed, lost)


def _nearly_utf8(content: bytes) -> Decoded | None:
    """UTF-8 with a few damaged characters, as where a file was cut: other encodings hardly ever look like it."""
    decoded = _replaced(content, "utf-8")
    whole = sum(ord(character) > 127 for character in decoded.text) - decoded.text.count("\ufffd")
    return decoded if whole >= 4 * decoded.lost else None


def _wide(content: bytes) -> Decoded:
    """UTF-16 or UTF-32 without a mark: the one in which the bytes are letters. Raises BadInput where none is."""
    best, most = None, 0.0
    for encoding, width in (("utf-16-le", 2), ("utf-16-be", 2), ("utf-32-le", 4), ("utf-32-be", 4)):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        sample = text[:4096]
        likely = sum(_is_likely(character) for character in sample) / max(1, len(sample))
        # The right order has line ends and blanks; a wrong one makes of them what hardly any text has.
        likely += sum(character in " \n" for character in sample) / max(1, len(sample)) + width / 100
        if "\x00" not in sample and likely > most:
            best, most = Decoded(text, encoding, guessed=True), likely
    if best is None or most < 0.95:
        raise BadInput(BINARY)
    return best


def _is_likely(character: str) -> bool:
    return character in "\n\r\t" or unicodedata.category(character)[0] in "LMNPSZ"


def _guess(sample: bytes) -> str:
    western = _is_western(sample)
    if western and not re.search(rb"[\xc0-\xff\x8a\x8c\x8e\x9a\x9c\x9e\x9f]", sample):
        return "cp1252"  # quotes, dashes, a sign of a currency: no other letters
    try:
        import chardet
    except ImportError:
        if western:
            return "cp1252"
        raise BadInput(f"not UTF-8, and {missing('guessing its encoding', 'chardet')}") from None
    found = chardet.detect_all(sample, ignore_threshold=True, include_encodings=LEGACY)
    scores = {checked(one["encoding"]): one["confidence"] for one in found if one["encoding"]}
    if any(0x80 <= byte < 0xA0 for byte in sample):  # control characters in ISO 8859, which no text has
        scores = {name: score for name, score in scores.items() if not name.startswith("iso8859")}
    if not scores:
        if western:
            return "cp1252"
        raise BadInput(UNKNOWN)
    best = max(scores, key=lambda name: (scores[name], name.startswith("cp")))
    share = NEARLY
    if sum(byte > 127 for byte in sample) < FEW:
        share = 0 if scores[best] < LITTLE else UNSURE if ENGLISH.search(sample) else NEARLY
    return "cp1252" if western and scores.get("cp1252", 0) >= share * scores[best] else best


def _is_western(sample: bytes) -> bool:
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    others = {character for character in text if ord(character) > 127} - TYPOGRAPHY
    return all("LATIN" in unicodedata.name(character, "") for character in others) and not UNLIKELY.search(text)

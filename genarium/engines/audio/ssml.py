"""SSML (Speech Synthesis Markup Language 1.1, W3C 2010), of which these are understood: speak, p, s, break,
emphasis, sub, phoneme, and prosody's rate. All else is refused by name, so that
nothing that was asked for is silently left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from genarium.errors import BadInput, first_line

BREAKS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
RATES = {"x-slow": 0.6, "slow": 0.8, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}
EMPHASIS = ("strong", "moderate", "reduced", "none")
LONGEST_BREAK = 60.0
SLOWEST, FASTEST = 0.25, 4.0
ATTRIBUTES = {
    "speak": {"version", "lang", "schemaLocation"},
    "p": set[str](),
    "s": set[str](),
    "break": {"time", "strength"},
    "emphasis": {"level"},
    "sub": {"alias"},
    "phoneme": {"ph", "alphabet"},
    "prosody": {"rate"},
}


@dataclass(frozen=True)
class Mark:
    """Of characters `start` to `end`: `kind` is break (with `value` in seconds), emphasis, sub, phoneme or rate."""

    start: int
    end: int
    kind: str
    value: str | float


@dataclass(frozen=True)
class Script:
    """What is to be said: `text`, and what is asked of places in it."""

    text: str
    marks: tuple[Mark, ...] = ()

    def over(self, kind: str, start: int, end: int) -> Mark | None:
        """The innermost mark of that kind that covers these characters."""
        covering = [mark for mark in self.marks if mark.kind == kind and mark.start <= start and mark.end >= end]
        return min(covering, key=lambda mark: mark.end - mark.start, default=None)


def is_ssml(text: str) -> bool:
    """Whether a text is a document of SSML."""
    return re.match(r"\s*(<\?xml[^>]*>\s*)?<speak[\s>]", text) is not None


def read(text: str) -> Script:
    """Raises BadInput where it is no well-formed document, or asks for what can't be done here."""
    if "<!" in text.replace("<!--", ""):
        raise BadInput("SSML with a DOCTYPE, entities or CDATA is not read; write the text itself")
    try:
        root = ElementTree.fromstring(text.strip())
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise BadInput(
            f"the SSML is not well-formed ({first_line(error)}); close every tag, and write &amp; for &"
        ) from None
    reader = _Reader()
    try:
        reader.enter(root)
    except RecursionError:
        raise BadInput("the SSML has tags too deep in one another; flatten it") from None
    return Script("".join(reader.parts), tuple(reader.marks))


class _Reader:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.marks: list[Mark] = []
        self.length = 0

    def add(self, text: str | None) -> None:
        if text:
            self.parts.append(text)
            self.length += len(text)

    def enter(self, element: ElementTree.Element) -> None:
        name = element.tag.rpartition("}")[2]
        if name not in ATTRIBUTES:
            raise BadInput(
                f"SSML's <{name}> is not understood here; use {', '.join(sorted(ATTRIBUTES))}, or leave it out"
            )
        given = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        if beyond := sorted(set(given) - ATTRIBUTES[name]):
            known = ", ".join(sorted(ATTRIBUTES[name])) or "none"
            raise BadInput(f"SSML's <{name} {beyond[0]}> can't be done here (its attributes: {known}); leave it out")
        start = self.length
        if name in ("p", "s"):
            self.add("\n\n")
        self.add(element.text)
        for child in element:
            self.enter(child)
            self.add(child.tail)
        if name in ("p", "s"):
            self.add("\n\n")
        if (value := _value(name, given)) is not None:
            self.marks.append(Mark(start, self.length, "rate" if name == "prosody" else name, value))


def _value(name: str, given: Mapping[str, str]) -> str | float | None:
    match name:
        case "break":
            return _seconds(given)
        case "emphasis":
            level = given.get("level", "moderate")
            if level not in EMPHASIS:
                raise BadInput(f"emphasis has the levels {', '.join(EMPHASIS)}, got {level!r}")
            return level
        case "sub":
            if not given.get("alias", "").strip():
                raise BadInput("SSML's <sub> needs an alias, which is said in its place")
            return given["alias"]
        case "phoneme":
            if (alphabet := given.get("alphabet", "ipa")) != "ipa":
                raise BadInput(f"phonemes are read in the alphabet ipa, got {alphabet!r}")
            if not given.get("ph", "").strip():
                raise BadInput("SSML's <phoneme> needs ph, its pronunciation in IPA")
            return given["ph"]
        case "prosody":
            return _rate(given.get("rate", "medium"))
    return None


def _seconds(given: Mapping[str, str]) -> float:
    if (time := given.get("time")) is None:
        strength = given.get("strength", "medium")
        if strength not in BREAKS:
            raise BadInput(f"break has the strengths {', '.join(BREAKS)}, got {strength!r}")
        return BREAKS[strength]
    found = re.fullmatch(r"\s*(\d*\.?\d+)(ms|s)\s*", time)
    seconds = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else -1.0
    if not 0 <= seconds <= LONGEST_BREAK:
        raise BadInput(f"a break is written like 500ms or 1.5s, at most {LONGEST_BREAK:g} s, got {time!r}")
    return seconds


def _rate(written: str) -> float:
    found = re.fullmatch(r"\s*([+-]?\d*\.?\d+)(%?)\s*", written)
    if written.strip() in RATES:
        rate = RATES[written.strip()]
    elif found is None:
        rate = 0.0
    elif found[2]:
        rate = float(found[1]) / 100 + (1 if found[1][0] in "+-" else 0)
    else:
        rate = float(found[1])
    if not SLOWEST <= rate <= FASTEST:
        raise BadInput(
            f"prosody's rate is {', '.join(RATES)}, a number such as 1.2, or a share such as 120%, got {written!r}"
        )
    return rate

"""The numbers that Word puts before paragraphs: they are not in the text, and clauses are cited by them."""

from __future__ import annotations

import re
from typing import Any

from genarium.retrieval.formats.word_names import kind, value

LEVELS = 9
ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
         (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


class Numbering:
    """Counts the paragraphs of each list. Bullets have no number and are not written."""

    def __init__(self, numbering: Any | None, styles: Any | None):
        self.levels: dict[str, dict[int, dict[str, str]]] = {}  # of each abstract list: start, format, text
        self.lists: dict[str, str] = {}
        self.starts: dict[tuple[str, int], int] = {}
        self.counts: dict[str, list[int | None]] = {}
        self.styles = _of_styles(styles)
        for one in () if numbering is None else numbering:
            if kind(one) == "w:abstractNum":
                self.levels[value(one, "abstractNumId")] = _levels(one)
            elif kind(one) == "w:num":
                self._list(one)

    def _list(self, one: Any) -> None:
        identifier = value(one, "numId")
        for inner in one:
            if kind(inner) == "w:abstractNumId":
                self.lists[identifier] = value(inner)
            elif kind(inner) == "w:lvlOverride" and value(inner, "ilvl").isdigit():
                for start in inner:
                    if kind(start) == "w:startOverride" and value(start).isdigit():
                        self.starts[identifier, int(value(inner, "ilvl"))] = int(value(start))

    def label(self, properties: Any | None) -> str:
        """The number of this paragraph, which is counted: "3.2", "(a)"; empty where it has none."""
        if properties is None:
            return ""
        found, style = _number(properties), next((value(p) for p in properties if kind(p) == "w:pStyle"), "")
        number, level = found if found is not None else self.styles.get(style, ("", 0))
        levels = self.levels.get(self.lists.get(number, ""))
        if not levels or level not in levels:
            return ""
        counts = self.counts.setdefault(self.lists[number], [None] * LEVELS)
        if (number, level) in self.starts:
            counts[level] = self.starts.pop((number, level)) - 1
        start = int(levels[level].get("start", "1")) - 1
        counts[level] = (start if counts[level] is None else counts[level] or 0) + 1
        counts[level + 1 :] = [None] * (LEVELS - level - 1)
        if levels[level].get("format") in ("bullet", "none"):
            return ""

        def counted(match: re.Match[str]) -> str:
            place = int(match[1]) - 1
            one = levels.get(place, {})
            here = counts[place] if counts[place] is not None else int(one.get("start", "1"))
            return _written(here or 0, one.get("format", "decimal"))

        return re.sub(r"%([1-9])", counted, levels[level].get("text", "")).strip()


def _levels(abstract: Any) -> dict[int, dict[str, str]]:
    found = {}
    for one in abstract:
        if kind(one) == "w:lvl" and value(one, "ilvl").isdigit() and int(value(one, "ilvl")) < LEVELS:
            parts = {kind(part): value(part) for part in one}
            start = parts.get("w:start", "1")
            found[int(value(one, "ilvl"))] = {
                "start": start if re.fullmatch(r"\d{1,6}", start) else "1",
                "format": parts.get("w:numFmt", "decimal"),
                "text": parts.get("w:lvlText", ""),
            }
    return found


def _number(properties: Any) -> tuple[str, int] | None:
    for one in properties:
        if kind(one) == "w:numPr":
            parts = {kind(part): value(part) for part in one}
            level = parts.get("w:ilvl", "0")
            return (parts["w:numId"], int(level) if level.isdigit() else 0) if "w:numId" in parts else None
    return None


def _of_styles(styles: Any | None) -> dict[str, tuple[str, int]]:
    found = {}
    for style in () if styles is None else styles:
        for one in style:
            if kind(one) == "w:pPr" and (number := _number(one)) is not None:
                found[value(style, "styleId")] = number
    return found


def _written(number: int, how: str) -> str:
    if how in ("lowerLetter", "upperLetter") and number > 0:
        letters = chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, 9)
        return letters.upper() if how == "upperLetter" else letters
    if how in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        roman = ""
        for worth, sign in ROMAN:
            roman += sign * (number // worth)
            number %= worth
        return roman.upper() if how == "upperRoman" else roman
    return f"{number:02}" if how == "decimalZero" else str(number)

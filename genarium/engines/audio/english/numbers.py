"""Numbers in English words, as they are read aloud."""

from __future__ import annotations

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = ("", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split())
SCALES = ("", *"thousand million billion trillion quadrillion quintillion".split())
ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
MOST_DIGITS = 3 * len(SCALES)
"""A longer number is read digit by digit."""


def cardinal(digits: str, *, british: bool = False) -> str:
    """`1204` as “one thousand two hundred four”, in British English “… and four”."""
    digits = digits.lstrip("0") or "0"
    if len(digits) > MOST_DIGITS:
        return spelt(digits)
    if digits == "0":
        return ONES[0]
    padded = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [int(padded[place : place + 3]) for place in range(0, len(padded), 3)]
    words: list[str] = []
    for place, group in enumerate(groups):
        if group:
            last = place == len(groups) - 1
            words.append(_group(group, "and " if british else "", first=not words or not last))
            words.append(SCALES[len(groups) - 1 - place])
    return " ".join(filter(None, words))


def _group(value: int, link: str, *, first: bool) -> str:
    hundreds, rest = divmod(value, 100)
    small = ONES[rest] if rest < 20 else TENS[rest // 10] + (f"-{ONES[rest % 10]}" if rest % 10 else "")
    if not hundreds:
        return small if first else f"{link}{small}"
    return f"{ONES[hundreds]} hundred" + (f" {link}{small}" if rest else "")


def ordinal(digits: str, *, british: bool = False) -> str:
    """`21` as “twenty-first”."""
    words = cardinal(digits, british=british)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    return words[:cut] + ORDINALS.get(last, last[:-1] + "ieth" if last.endswith("y") else last + "th")


def year(digits: str) -> str:
    """`1984` as “nineteen eighty-four”, `2005` as “two thousand five”, `1900` as “nineteen hundred”."""
    century, rest = digits[:-2], digits[-2:]
    if digits[-3:-1] == "00":
        return cardinal(digits)
    if rest == "00":
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest[0] == '0' else ''}{cardinal(rest)}"


def spelt(digits: str) -> str:
    """Digit by digit."""
    return " ".join(ONES[int(digit)] for digit in digits)


def decimal(text: str, *, british: bool = False) -> str:
    """A number with or without commas and a point, as “three point one four”."""
    whole, point, part = text.replace(",", "").partition(".")
    said = cardinal(whole or "0", british=british)
    return f"{said} point {spelt(part)}" if point and part else said


def plural(word: str) -> str:
    """Of a number's last word: “nineties”, “sixes”."""
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("x", "s")) else "s")

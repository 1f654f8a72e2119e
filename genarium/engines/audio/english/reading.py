"""English as it is written into words as they are read aloud: numbers, dates, times, money, abbreviations, signs.

Each piece keeps the place it has in the text, so that what is heard can be told of what was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from genarium.engines.audio.english.numbers import cardinal, decimal, ordinal, plural, spelt, year

MONTHS = "January February March April May June July August September October November December".split()
SHORT_MONTHS = {name[:3]: name for name in MONTHS} | {"Sept": "September"}
TITLES = {
    "Mr": "mister",
    "Mrs": "missus",
    "Ms": "miz",
    "Dr": "doctor",
    "Prof": "professor",
    "St": "saint",
    "Mt": "mount",
    "Rev": "reverend",
    "Hon": "honorable",
    "Gen": "general",
    "Col": "colonel",
    "Capt": "captain",
    "Lt": "lieutenant",
    "Sgt": "sergeant",
    "Gov": "governor",
    "Sen": "senator",
    "Messrs": "messieurs",
}
"""Before a name."""
SHORT = {
    "Jr": "junior",
    "Sr": "senior",
    "Inc": "incorporated",
    "Ltd": "limited",
    "Co": "company",
    "Corp": "corporation",
    "Ave": "avenue",
    "Blvd": "boulevard",
    "Rd": "road",
    "vs": "versus",
    "etc": "et cetera",
    "approx": "approximately",
    "dept": "department",
    "est": "established",
    "Fig": "figure",
    "fig": "figure",
    "vol": "volume",
    "Vol": "volume",
    "ch": "chapter",
    "Ch": "chapter",
    "pp": "pages",
    "al": "al",
}
LATIN = {"e.g.": "for example", "i.e.": "that is", "a.m.": "A.M", "p.m.": "P.M", "A.M.": "A.M", "P.M.": "P.M"}
UNITS = {
    "km": "kilometer",
    "cm": "centimeter",
    "mm": "millimeter",
    "m": "meter",
    "kg": "kilogram",
    "g": "gram",
    "mg": "milligram",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "ml": "milliliter",
    "l": "liter",
    "L": "liter",
    "ft": "foot",
    "in": "inch",
    "mi": "mile",
    "mph": "mile per hour",
    "km/h": "kilometer per hour",
    "Hz": "hertz",
    "kHz": "kilohertz",
    "MHz": "megahertz",
    "GHz": "gigahertz",
    "KB": "kilobyte",
    "MB": "megabyte",
    "GB": "gigabyte",
    "TB": "terabyte",
    "W": "watt",
    "kW": "kilowatt",
    "V": "volt",
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
    "°C": "degree Celsius",
    "°F": "degree Fahrenheit",
    "°": "degree",
    "%": "percent",
}
MONEY = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "")}
PLURALS = {"foot": "feet", "inch": "inches", "penny": "pence", "yen": "yen", "hertz": "hertz", "percent": "percent"}
SIZES = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "bn": "billion", "B": "billion"}
SIGNS = {
    "&": "and",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "#": "number",
    "%": "percent",
    "×": "times",
    "÷": "divided by",
    "±": "plus or minus",
    "<": "less than",
    ">": "greater than",
    "©": "copyright",
    "™": "trademark",
    "°": "degrees",
    "§": "section",
    "½": "one half",
    "¼": "one quarter",
    "¾": "three quarters",
    "²": "squared",
    "³": "cubed",
    "µ": "micro",
}
ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
NUMBERED = "Chapter|CHAPTER|Part|PART|Book|BOOK|Volume|Act|ACT|Scene|SCENE|Section|Canto|Appendix|War"
RULERS = (
    "Henry|Louis|George|Edward|Charles|James|William|Richard|Elizabeth|Mary|Frederick|Philip|Napoleon|Pius|John|Paul|"
    "Benedict|Leo|Gregory|Ivan|Peter|Catherine|Nicholas|Alexander|Ferdinand|Ptolemy|Innocent|Clement|Urban"
)
NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+"


@dataclass(frozen=True)
class Piece:
    """`words` are said for characters `start` to `end` of the text; `mark` stands for a pause, as punctuation does."""

    start: int
    end: int
    words: str = ""
    mark: str = ""


def pieces(text: str, *, british: bool = False) -> Iterator[Piece]:
    """What is said of a text, in order. What can't be said (emoji, letters of other scripts) is left out."""
    place = 0
    while place < len(text):
        if text.startswith("...", place):
            yield Piece(place, place + 3, mark="…")
            place += 3
            continue
        for pattern, said in _rules():
            found = pattern.match(text, place)
            if found is None or (words := said(found, british)) is None:
                continue
            if words:
                yield Piece(place, found.end(), words)
            place = found.end()
            break
        else:
            if (mark := MARKS.get(text[place])) is not None:
                yield Piece(place, place + 1, mark=mark)
            place += 1


MARKS = {mark: mark for mark in ";:,.!?—…"} | {
    "–": "—",
    "(": ",",
    ")": ",",
    "[": ",",
    "]": ",",
    "\n": ";",
    "“": "“",
    "”": "”",
    '"': '"',
}
"""Punctuation as the model knows it."""

Rule = Callable[[re.Match[str], bool], str | None]


@cache
def _rules() -> list[tuple[re.Pattern[str], Rule]]:
    """Patterns in the order they are tried; what says None leaves the place to the next."""
    month = "|".join([*MONTHS, *(f"{short}\\.?(?=\\s)" for short in SHORT_MONTHS if short != "May")])
    units = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
    table: list[tuple[str, Rule]] = [
        (
            r"(?<!\w)(?:https?://)?(?:www\.)?[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|io|uk|de|cn)\b(?:/[\w./-]*)?",
            _address,
        ),
        (r"(?<!\w)[\w.+-]+@[\w-]+(?:\.[\w-]+)+", _address),
        (r"(?<![\w.,-])(\d{4})-(\d\d)-(\d\d)(?![\w-])", _iso),
        (r"(?<![\w.,/])(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?![\w/])", _slashed),
        (rf"\b({month}) (\d{{1,2}})(?:st|nd|rd|th)?(?:,? (\d{{4}}))?(?![\d:])", _month_first),
        (rf"(?<![\w.,])(\d{{1,2}})(?:st|nd|rd|th)? ({month})(?:,? (\d{{4}}))?(?!\d)", _day_first),
        (rf"(?:{'|'.join(m for m in SHORT_MONTHS if m != 'May')})\. (\d{{4}})\b", _month_year),
        (r"(?<![\w.,:])(\d{1,2}):(\d\d)(?::(\d\d))?(?:\s?([AaPp])\.?[Mm]\b\.?)?(?![\w:])", _clock),
        (r"(?<![\w.,:])(\d{1,2})\s?([AaPp])\.?[Mm]\b\.?", _hour),
        (rf"([$£€¥])\s?({NUMBER})(?:\s?(thousand|million|billion|trillion)\b|(k|K|m|M|bn|B)\b)?", _money),
        (
            r"(?<![\w.])(\d{3})-(\d{3})-(\d{4})(?!\w)|(?<![\w.])\+?\d[\d ]{0,4}\(?\d{3}\)?[ -]\d{3}[ -]\d{4}(?!\w)",
            _phone,
        ),
        (r"(?<![\w.,/])(\d{1,3})/(\d{1,3})(?![\w/])", _fraction),
        (r"(?<![\w.,])(\d{3}0)s\b|(?<![\w.,])['’](\d0)s\b", _decade),
        (r"(?<![\w.,-])(\d{4})\s?[-–—]\s?(\d{4}|\d\d)(?![\w%])", _years),
        (rf"(?<![\w.,-])({NUMBER})\s?[-–—]\s?({NUMBER})(?:\s?({units}))?(?![\w-])", _range),
        (rf"(?<![\w.])([-−]?)({NUMBER})\s?({units})(?![\w/])", _unit),
        (r"(?<![\w.,])(\d[\d,]*)(?:st|nd|rd|th)\b", lambda m, b: ordinal(m[1].replace(",", ""), british=b)),
        (r"\b[Nn]o\. ?(?=\d)", lambda m, b: "number"),
        (rf"(?<![\w.])([-−]?)({NUMBER})(?:(k|K|bn)\b)?", _plain),
        (rf"\b((?:{NUMBERED}) )([IVXLC]+)\b(?!['’])", _numbered),
        (rf"\b((?:{RULERS}) )([IVX]+)\b(?!['’])", _ruler),
        (r"(?:e\.g\.|i\.e\.|[ap]\.m\.|[AP]\.M\.)", lambda m, b: LATIN[m[0]]),
        (r"(?<!\w)(?:[A-Za-z]\.){2,}", lambda m, b: m[0].rstrip(".").upper()),
        (rf"\b({'|'.join(TITLES)})\.?(?=\s+[A-Z])", _title),
        (rf"\b({'|'.join(SHORT)})\.", _short),
        (r"[A-Za-zÀ-ÖØ-öø-ÿ]+(?:['’][A-Za-zÀ-ÖØ-öø-ÿ]+)*['’]?|['’](?:em|tis|twas|til|cause|n)\b", _word),
        (r"(?<=\w)['’](?:s|d|ll|re|ve|m|t)\b", lambda m, b: m[0].replace("’", "'")),
        (rf"[{re.escape(''.join(SIGNS))}]", _sign),
        (r"(?<=\w)/(?=\w)", lambda m, b: "slash" if m.string[m.start() - 1].isdigit() else ""),
    ]
    return [(re.compile(pattern), said) for pattern, said in table]


def _word(match: re.Match[str], british: bool) -> str:
    return match[0].replace("’", "'")


def _sign(match: re.Match[str], british: bool) -> str:
    sign = SIGNS[match[0]]
    return {"number": "hash"}.get(sign, sign) if match.string[match.end() : match.end() + 1].isalpha() else sign


def _title(match: re.Match[str], british: bool) -> str | None:
    before = match.string[: match.start()].rstrip()
    if match[1] == "St" and before and before[-1].isalpha() and not match[0].endswith(".") and before[-1].islower():
        return "street"
    return None if match[1] in ("Col", "Gen", "Gov", "Sen", "Hon") and "." not in match[0] else TITLES[match[1]]


def _short(match: re.Match[str], british: bool) -> str | None:
    return SHORT[match[1]]


def _address(match: re.Match[str], british: bool) -> str:
    text = re.sub(r"^https?://(www\.)?", "", match[0]).rstrip("./")
    said = re.sub(
        r"[./@_+-]",
        lambda sign: {".": " dot ", "/": " slash ", "@": " at ", "_": " underscore ", "+": " plus ", "-": " dash "}[
            sign[0]
        ],
        text,
    )
    return " ".join(decimal(word) if word.isdigit() else word for word in re.findall(r"[^\W\d]+|\d+", said))


def _month(written: str) -> str:
    return SHORT_MONTHS.get(written.rstrip("."), written)


def _date(month: str, day: str, years: str | None, british: bool) -> str:
    that = ordinal(day, british=british)
    told = f"the {that} of {month}" if british else f"{month} {that}"
    return f"{told}, {year(years)}" if years else told


def _iso(match: re.Match[str], british: bool) -> str | None:
    years, month, day = match[1], int(match[2]), int(match[3])
    if not (1 <= month <= 12 and 1 <= day <= 31) or years[0] == "0":
        return None
    return _date(MONTHS[month - 1], str(day), years, british)


def _slashed(match: re.Match[str], british: bool) -> str | None:
    first, second = int(match[1]), int(match[2])
    month, day = (second, first) if british or first > 12 else (first, second)
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    years = match[3] if len(match[3]) == 4 else f"{'19' if int(match[3]) > 40 else '20'}{match[3]}"
    return _date(MONTHS[month - 1], str(day), years, british)


def _month_first(match: re.Match[str], british: bool) -> str | None:
    return _date(_month(match[1]), match[2], match[3], british) if 1 <= int(match[2]) <= 31 else None


def _day_first(match: re.Match[str], british: bool) -> str | None:
    return _date(_month(match[2]), match[1], match[3], True) if 1 <= int(match[1]) <= 31 else None


def _month_year(match: re.Match[str], british: bool) -> str:
    return f"{_month(match[0].partition('.')[0])} {year(match[1])}"


def _clock(match: re.Match[str], british: bool) -> str | None:
    hours, minutes, seconds = int(match[1]), int(match[2]), match[3]
    if hours > 24 or minutes > 59 or int(seconds or 0) > 59:
        return None
    half = f" {match[4].upper()}.M" if match[4] else ""
    if seconds:
        told = [cardinal(match[1]) + f" hour{'s' * (hours != 1)}"] if hours else []
        told += [
            f"{cardinal(match[2])} minute{'s' * (minutes != 1)}",
            f"{cardinal(seconds)} second{'s' * (int(seconds) != 1)}",
        ]
        return " ".join(told) + half
    if not minutes:
        return cardinal(match[1]) + (half or (" o'clock" if 0 < hours <= 12 else " hundred"))
    return f"{cardinal(match[1])} {'oh ' if minutes < 10 else ''}{cardinal(match[2])}{half}"


def _hour(match: re.Match[str], british: bool) -> str | None:
    return f"{cardinal(match[1])} {match[2].upper()}.M" if 1 <= int(match[1]) <= 12 else None


def _some(number: str, unit: str) -> str:
    """The unit as one or several of it: “dollar”, “miles per hour”."""
    if number == "1":
        return unit
    first, _, rest = unit.partition(" ")
    many = PLURALS.get(first, first + "s")
    return f"{many} {rest}".rstrip()


def _money(match: re.Match[str], british: bool) -> str:
    large, small = MONEY[match[1]]
    number = match[2].replace(",", "")
    size = match[3] or SIZES.get(match[4] or "")
    if size:
        return f"{decimal(number, british=british)} {size} {_some('2', large)}"
    whole, _, part = number.partition(".")
    if not part or not small or len(part) > 2:
        return f"{decimal(number, british=british)} {_some(number, large)}"
    cents = str(int(part.ljust(2, "0")))
    told = [f"{cardinal(whole, british=british)} {_some(whole, large)}"] if int(whole or 0) else []
    if int(cents):
        told.append(f"{cardinal(cents)} {_some(cents, small)}")
    return " and ".join(told) or f"zero {_some('0', large)}"


def _phone(match: re.Match[str], british: bool) -> str:
    groups = re.findall(r"\d+", match[0])
    return ", ".join(spelt(group) for group in groups)


def _fraction(match: re.Match[str], british: bool) -> str | None:
    above, below = match[1], match[2]
    if not 2 <= int(below) <= 100 or above == "0":
        return f"{cardinal(above)} over {cardinal(below)}"
    if int(below) in (2, 4):
        one = {2: "half", 4: "quarter"}[int(below)]
        many = {2: "halves", 4: "quarters"}[int(below)]
    else:
        one = ordinal(below)
        many = one + "s"
    return f"{cardinal(above)} {one if above == '1' else many}"


def _decade(match: re.Match[str], british: bool) -> str:
    return plural(year(match[1]) if match[1] else cardinal(match[2]))


def _is_year(digits: str) -> bool:
    return len(digits) == 4 and digits.isdigit() and 1100 <= int(digits) <= 2099


def _years(match: re.Match[str], british: bool) -> str | None:
    if not _is_year(match[1]) or (len(match[2]) == 4 and not _is_year(match[2])):
        return None
    return f"{year(match[1])} to {year(match[2]) if len(match[2]) == 4 else cardinal(match[2])}"


def _range(match: re.Match[str], british: bool) -> str | None:
    unit = f" {_some('2', UNITS[match[3]])}" if match[3] else ""
    return f"{decimal(match[1], british=british)} to {decimal(match[2], british=british)}{unit}"


def _unit(match: re.Match[str], british: bool) -> str | None:
    unit = UNITS[match[3]]
    if match[3] == "in" and re.match(r"\s+\w", match.string[match.end() :]):
        return None  # “4 in ten”: a preposition
    minus = "minus " if match[1] else ""
    return f"{minus}{decimal(match[2], british=british)} {_some(match[2], unit)}"


def _plain(match: re.Match[str], british: bool) -> str:
    minus, digits, size = "minus " if match[1] else "", match[2], match[3]
    if size:
        return f"{minus}{decimal(digits, british=british)} {SIZES[size]}"
    if not minus and _is_year(digits):
        return year(digits)
    if digits.isdigit() and len(digits) > 1 and digits[0] == "0":
        return minus + spelt(digits)
    return minus + decimal(digits, british=british)


def _roman(text: str) -> int:
    values = [ROMAN[letter] for letter in text]
    return sum(-value if value < max(values[place:]) else value for place, value in enumerate(values))


def _numbered(match: re.Match[str], british: bool) -> str:
    return match[1] + cardinal(str(_roman(match[2])))


def _ruler(match: re.Match[str], british: bool) -> str | None:
    if match[2] == "I" and re.match(r"\s+[a-z]", match.string[match.end() :]):
        return None  # “Mary I know”
    return f"{match[1]}the {ordinal(str(_roman(match[2])))}"

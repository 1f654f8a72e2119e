"""Which language a text is in, as far as it takes to say that a model which reads English was given something else.

Letters of other scripts say so by themselves. Among Latin letters py3langid decides (naive Bayes over bytes; Lui and
Baldwin 2012, "langid.py"), and only where its odds against English are high: a false alarm over good English costs
more trust than a note that is missing costs help.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

READ = 2000
"""Characters of a text that are looked at."""
LONGEST = 40
"""Characters without a space between from which on they are no word: an address, a key, a picture in letters."""
ODDS = 10.0
"""Nats by which the text must be likelier in another language than in English."""
ODDS_OF_A_WORD = 20.0
"""The same where the text is a single word, which may be a name."""
ANOTHER = "another language than English"
OTHER_LETTERS = 0.3
"""The share of letters of another script from which on a text is in it."""

# Languages by their codes of ISO 639. Rare ones are what the identifier takes slang and names for.
NAMES = {
    "af": "Afrikaans",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fi": "Finnish",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "ms": "Malay",
    "mt": "Maltese",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sq": "Albanian",
    "sv": "Swedish",
    "sw": "Swahili",
    "tl": "Tagalog",
    "tr": "Turkish",
    "vi": "Vietnamese",
}
# By the word that the names of a script's letters begin with in Unicode.
SCRIPTS = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CYRILLIC": "Cyrillic script",
    "ARABIC": "Arabic script",
    "HEBREW": "Hebrew",
    "GREEK": "Greek",
    "DEVANAGARI": "Devanagari script",
    "BENGALI": "Bengali",
    "TAMIL": "Tamil",
    "THAI": "Thai",
    "GEORGIAN": "Georgian",
    "ARMENIAN": "Armenian",
}
# Words that are common in English, and in no other language of NAMES.
ENGLISH = frozenset(
    """the of and with what who where when how why which this that these those are were been has have had does did not
    it its his her their they you your my our she from there would could should about into than because them him out if
    know said like people very then only two three woman women wearing standing through while white black between
    before down again never always really something nothing much many any other first think want see look thing tell
    please love life but more just can't don't isn't too even there's it's i'm""".split()
)
ENOUGH_ENGLISH = 0.2
"""The share of such words from which on a text is taken for English without another look."""


def foreign(text: str) -> str | None:
    """The language of a text that is not in English, in English words; None for English and where that is unsure."""
    read = unicodedata.normalize("NFC", text[:READ])
    letters = [letter for letter in read if letter.isalpha()]
    if not letters:
        return None
    if (script := _script(letters)) is not None:
        return script
    read = " ".join(part for part in read.split() if len(part) <= LONGEST)
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", read.lower().replace("’", "'"))
    if sum(word in ENGLISH for word in words) >= ENOUGH_ENGLISH * len(words):
        return None
    scores = dict(_identifier().rank(read))
    likeliest = max(NAMES, key=scores.__getitem__)
    wanted = ODDS if len(words) > 1 else ODDS_OF_A_WORD
    return NAMES[likeliest] if scores[likeliest] - scores["en"] > wanted else None


def _script(letters: list[str]) -> str | None:
    """What most of the letters that aren't Latin are of, where they are many."""
    counts: Counter[str] = Counter()
    for letter in letters:
        if letter < "\u0370":  # Latin, and marks
            continue
        named = re.split("[ -]", unicodedata.name(letter, ""))[0]
        if named not in LATIN:
            counts[SCRIPTS.get(named, ANOTHER)] += 2 if named in SYLLABLES else 1
    if counts.total() < OTHER_LETTERS * (counts.total() + sum(letter < "\u0370" for letter in letters)):
        return None
    if "Japanese" in counts:  # which is written with Chinese characters as well
        return "Japanese"
    return max(counts, key=counts.__getitem__)


SYLLABLES = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")
"""Scripts whose letters say as much as several Latin ones."""
LATIN = ("LATIN", "FULLWIDTH", "MATHEMATICAL", "DOUBLE", "SCRIPT", "MODIFIER", "FRAKTUR", "BLACK")
"""So do the names of Latin letters in other shapes begin."""


@cache
def _identifier() -> LanguageIdentifier:
    from genarium.data.language_model import identifier

    return identifier()

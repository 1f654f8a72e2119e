"""A word's phonemes by the lexicon of `misaki`: as it stands there, or from its stem, or letter by letter.

Which of several ways a word like “read” or “present” is said follows from the words before it alone: no parser is run.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from genarium.data.lexicon import ACCENTS, read
from genarium.engines.audio.english.guess import Guess
from genarium.engines.audio.english.stress import PRIMARY, SECONDARY, at_least_secondary

FLAPPED = frozenset("AIOWYiuæɑəɛɪɹʊʌ")
"""After these an American t between vowels is a flap."""
SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z']+")
"""Parts of a word such as iPhone or OpenAI."""
VERB_AFTER = frozenset(
    "to will would can could should must may might shall i you we they don't didn't doesn't won't can't couldn't "
    "wouldn't shouldn't let let's please cannot not i'll you'll we'll they'll he'll she'll it'll i'd you'd we'd".split()
)
NOUN_AFTER = frozenset("the a an this that these those my your his her its our their some any no every each of".split())
PARTICIPLE_AFTER = frozenset(
    "have has had having i've you've we've they've was were been be being is are am he'd she'd they'd".split()
)
PAST_AFTER = frozenset("he she it who".split())
ADVERBS = frozenset("just also always never already often really only still ever not almost even then".split())


class Lexicon:
    """How English words are said in one accent, `us` or `gb`. `folder` has the lexicon's files and the network's."""

    def __init__(self, folder: Path, accent: str):
        self.folder, self.accent = folder, accent
        self.british = accent == "gb"
        self.gold = read(folder / f"{accent}_gold.json")

    @cached_property
    def silver(self) -> dict[str, str | dict[str, str | None]]:
        return read(self.folder / f"{self.accent}_silver.json")

    @cached_property
    def guess(self) -> Guess:
        return Guess(self.folder / "g2p.safetensors")

    def say(self, word: str, part: str = "", *, last: bool = False, shouted: bool = False) -> str:
        """Phonemes of a word. `part` is its part of speech where that is known, `last` whether a pause follows, and
        `shouted` whether the words beside it are in capitals too. Empty where there is nothing to say in it.
        """
        spelt = "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))
        if "." in spelt or (spelt.isupper() and len(spelt) > 1 and not self._as_word(spelt, shouted)):
            return self.letters(spelt)
        said = self.known(spelt, part, last=last)
        if said is None and spelt.endswith("'s") and (stem := self.say(spelt[:-2], part)):
            return self._with_s(stem)
        if said is None and (parts := SPLIT.findall(spelt)) and len(parts) > 1 and "".join(parts) == spelt:
            return " ".join(filter(None, (self.say(one) for one in parts)))
        if said is None:
            plain = spelt.lower().strip("'")
            vowels = any(letter in "aeiouy" for letter in plain)
            said = self.guess.say(ACCENTS[self.accent] + plain) if vowels else self.letters(plain)
        return at_least_secondary(said) if word[:1].isupper() else said

    def _as_word(self, spelt: str, shouted: bool) -> bool:
        """Whether capitals are a word, not letters to be spelt."""
        if self._entry(spelt, exact=True) is not None:
            return True
        known = self.known(spelt.lower()) is not None
        return (known and (shouted or len(spelt) > 4)) or len(spelt) > 6

    def letters(self, word: str) -> str:
        """Letter by letter, the last one stressed."""
        names = [self.gold.get(letter.upper(), "") for letter in word if letter.isalpha()]
        joined = "".join(name for name in names if isinstance(name, str)).replace(PRIMARY, SECONDARY)
        before, mark, after = joined.rpartition(SECONDARY)
        return f"{before}{PRIMARY}{after}" if mark else joined

    def known(self, word: str, part: str = "", *, last: bool = False) -> str | None:
        """By the lexicon: the word itself, or a stem that it has with -s, -'s, -ed or -ing."""
        for one in dict.fromkeys((word, word.lower())):
            if (said := self._looked_up(one, part, last=last)) is not None:
                return said
        low = word.lower()
        for stems in (self._s, self._ed, self._ing):
            if (said := stems(low, part)) is not None:
                return said
        return None

    def _entry(self, word: str, *, exact: bool = False) -> str | dict[str, str | None] | None:
        for shelf in (self.gold, self.silver):
            for one in (word,) if exact else (word, word.lower(), word.capitalize()):
                if (found := shelf.get(one)) is not None:
                    return found
        return None

    def _looked_up(self, word: str, part: str = "", *, last: bool = False) -> str | None:
        entry = self._entry(word)
        if not isinstance(entry, dict):
            return entry
        if last and entry.get("None"):
            return entry["None"]
        chosen = entry.get(part) or (entry.get("VERB") if part == "VBD" else None)
        return chosen or entry["DEFAULT"]

    def _s(self, word: str, part: str) -> str | None:
        stems = []
        if word.endswith("s'"):
            stems = [word[:-1], word[:-2]]
        elif word.endswith("'s"):
            stems = [word[:-2]]
        elif word.endswith("s") and not word.endswith("ss"):
            stems = [word[:-1], *([word[:-2]] if word.endswith("es") else [])]
            stems += [word[:-3] + "y"] if word.endswith("ies") else []
        stem = next((said for one in stems if len(one) > 1 and (said := self._looked_up(one, part))), None)
        if stem is None:
            return None
        if word.endswith("s'") and stem[-1] in "sz":
            return stem
        return self._with_s(stem)

    def _with_s(self, stem: str) -> str:
        if stem[-1] in "ptkfθ":
            return stem + "s"
        return stem + (f"{'ɪ' if self.british else 'ᵻ'}z" if stem[-1] in "szʃʒʧʤ" else "z")

    def _ed(self, word: str, part: str) -> str | None:
        if not word.endswith("ed") or len(word) < 4:
            return None
        stem = self._stem(word, 2, "VERB")
        if stem is None:
            return None
        weak = "ɪ" if self.british else "ᵻ"
        if stem[-1] in "pkfθʃsʧ":
            return stem + "t"
        if stem[-1] == "d":
            return f"{stem}{weak}d"
        if stem[-1] != "t":
            return stem + "d"
        flap = not self.british and len(stem) > 1 and stem[-2] in FLAPPED
        return f"{stem[:-1]}ɾᵻd" if flap else f"{stem}{weak}d"

    def _ing(self, word: str, part: str) -> str | None:
        if not word.endswith("ing") or len(word) < 5:
            return None
        stem = self._stem(word, 3, "VERB")
        if stem is None or (self.british and stem[-1] in "əː"):
            return None
        if not self.british and len(stem) > 1 and stem[-1] == "t" and stem[-2] in FLAPPED:
            return f"{stem[:-1]}ɾɪŋ"
        return stem + "ɪŋ"

    def _stem(self, word: str, ending: int, part: str) -> str | None:
        """Of -ed and -ing: the word without, with an e for it, or with its doubled letter once."""
        bare = word[:-ending]
        tried = [bare, bare + "e"]
        if len(bare) > 2 and bare[-1] == bare[-2]:
            tried.append(bare[:-1])
        if bare.endswith("i") and ending == 2:
            tried.append(bare[:-1] + "y")
        return next((said for one in tried if len(one) > 1 and (said := self._looked_up(one, part))), None)


def part_of(words: Sequence[str], place: int) -> str:
    """A word's part of speech by the words before it: VERB, NOUN, VBD (past), VBN (participle), or none."""
    before = [word.lower() for word in words[max(0, place - 2) : place]]
    while before and before[-1] in ADVERBS:
        before.pop()
    if not before:
        return ""
    if before[-1] in PARTICIPLE_AFTER:
        return "VBN"
    if before[-1] in PAST_AFTER:
        return "VBD"
    if before[-1] in VERB_AFTER:
        return "VERB"
    return "NOUN" if before[-1] in NOUN_AFTER else ""

"""English text to phonemes: what is read aloud, each word by the lexicon and by what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genarium.engines.audio.english.lexicon import Lexicon, part_of
from genarium.engines.audio.english.reading import Piece, pieces
from genarium.engines.audio.english.stress import CONSONANTS, VOWELS
from genarium.engines.audio.said import QUOTES, Said


@dataclass(frozen=True)
class _Word:
    piece: Piece
    text: str = ""
    mark: str = ""


class English:
    """Reads English in one accent, `us` or `gb`. `pronounce` has the phonemes of words as they are to be said."""

    def __init__(self, folder: Path, accent: str, pronounce: Mapping[str, str]):
        self.lexicon = Lexicon(folder, accent)
        self.pronounce = {word.lower(): said for word, said in pronounce.items()}

    def __call__(self, text: str, start: int, end: int) -> list[Said]:
        words = list(self._words(text[start:end]))
        spoken = [word.text for word in words]
        said: list[Said] = []
        vowel: bool | None = None  # whether the next sound is one; None before a pause
        to = False
        for place in range(len(words) - 1, -1, -1):
            word = words[place]
            if word.mark:
                said.append(Said(start + word.piece.start, start + word.piece.end, mark=word.mark))
                vowel = vowel if word.mark in QUOTES else None
                continue
            sounds = self._said(spoken, place, vowel, to=to)
            to = word.text.lower() == "to"
            if not sounds:
                continue
            if not self.lexicon.british:
                sounds = sounds.replace("ɾ", "T")
            sounds = sounds.replace("ʔ", "t")
            vowel = next((sound in VOWELS for sound in sounds if sound in VOWELS or sound in CONSONANTS), vowel)
            said.append(Said(start + word.piece.start, start + word.piece.end, phonemes=sounds))
        return said[::-1]

    def _words(self, text: str) -> list[_Word]:
        found = []
        for piece in pieces(text, british=self.lexicon.british):
            if piece.mark:
                found.append(_Word(piece, mark=piece.mark))
            for part in piece.words.replace(",", " , ").replace("-", " ").split():
                found.append(_Word(piece, mark=",") if part == "," else _Word(piece, text=part))
        return found

    def _said(self, words: list[str], place: int, vowel: bool | None, *, to: bool) -> str:
        word = words[place]
        low = word.lower()
        if (own := self.pronounce.get(low)) is not None:
            return own
        if low == "a":
            following = words[place + 1] if place + 1 < len(words) else ""
            letter = word == "A" and len(following) == 1 and following.isupper() and following != "I"
            return "ˈA" if vowel is None or letter else "ɐ"
        match low:
            case "an" if vowel is not None:
                return "ɐn"
            case "the":
                return "ði" if vowel else "ðə"
            case "to":
                return {None: "tˈu", False: "tə", True: "tʊ"}[vowel]
            case "in":
                return "ˈɪn" if vowel is None else "ɪn"
            case "i" if word == "I":
                return "ˌI"
            case "am" if vowel is not None:
                return "ɐm"
            case "used" if to:
                return "jˈust"
        beside = [one for one in (*words[max(0, place - 1) : place], *words[place + 1 : place + 2]) if len(one) > 1]
        shouted = any(one.isupper() for one in beside)
        return self.lexicon.say(word, part_of(words, place), last=vowel is None, shouted=shouted)

"""Text in English, Chinese or both to phonemes, each part by its own letters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from genarium.engines.audio.chinese import HAN, chinese
from genarium.engines.audio.said import Said
from genarium.errors import BadInput
from genarium.extras import is_installed, missing
from genarium.progress import note

if TYPE_CHECKING:
    from genarium.engines.audio.english.words import English

CHINESE = re.compile(
    rf"[{HAN}，、。．！？：；…—《》「」『』“”（）【】\d.,:\s%％¥￥-]*[{HAN}][{HAN}，、。．！？：；…—《》「」『』”（）【】\d.:%％]*"
)
HAN_LETTER = re.compile(f"[{HAN}]")


class Mixed:
    """A reader. `language` is the voice's; in what has no letters, numbers are read in that one."""

    def __init__(self, lexicon: Path, accent: str, pronounce: Mapping[str, str], language: str):
        self.folder, self.accent, self.pronounce, self.language = lexicon, accent, pronounce, language
        self.left_out: Counter[str] = Counter()

    @cached_property
    def english(self) -> English:
        from genarium.engines.audio.english.words import English

        return English(self.folder, self.accent, self.pronounce)

    def __call__(self, text: str, start: int, end: int) -> list[Said]:
        self._count(text[start:end])
        if not HAN_LETTER.search(text, start, end):
            letters = any(letter.isalpha() for letter in text[start:end])
            return self._one(text, start, end, chinese_too=self.language == "zh" and not letters)
        said, place = [], start
        for found in CHINESE.finditer(text, start, end):
            said += self._one(text, place, found.start(), chinese_too=False)
            said += self._one(text, found.start(), found.end(), chinese_too=True)
            place = found.end()
        return said + self._one(text, place, end, chinese_too=False)

    def _one(self, text: str, start: int, end: int, *, chinese_too: bool) -> list[Said]:
        if not text[start:end].strip():
            return []
        if not chinese_too:
            return self.english(text, start, end)
        own = {word: said for word, said in self.pronounce.items() if HAN_LETTER.search(word)}
        if not own:
            return chinese(text, start, end)
        said, place = [], start
        for found in re.finditer("|".join(map(re.escape, sorted(own, key=len, reverse=True))), text[:end]):
            if found.start() >= place:
                said += chinese(text, place, found.start())
                said.append(Said(found.start(), found.end(), phonemes=own[found[0]], joined=bool(said)))
                place = found.end()
        return said + chinese(text, place, end)

    def _count(self, text: str) -> None:
        """Letters that nothing here reads."""
        for letter in text:
            if letter.isalpha() and not HAN_LETTER.match(letter) and "LATIN" not in unicodedata.name(letter, ""):
                self.left_out[unicodedata.name(letter, "?").split()[0].capitalize()] += 1

    def refuse_silence(self, text: str) -> None:
        """Raises BadInput where there is no word or number in the text."""
        if not any(letter.isalnum() for letter in text):
            raise BadInput("there is nothing in the text that can be said: no word, no number; write some")
        readable = any(
            letter.isdigit() or HAN_LETTER.match(letter) or "LATIN" in unicodedata.name(letter, "")
            for letter in text
            if letter.isalnum()
        )
        if not readable:
            raise BadInput(
                "the text has no English and no Chinese in it, which are what this voice reads; write it in those"
            )
        if HAN_LETTER.search(text) and not (is_installed("jieba") and is_installed("pypinyin")):
            raise missing("Chinese", "jieba")

    def tell_left_out(self) -> None:
        if self.left_out:
            told = ", ".join(f"{count} {script}" for script, count in self.left_out.most_common())
            note(f"letters that are neither English nor Chinese were left out: {told}")

"""One word in several sentences: its vector in each (contextual), and its row in the embedding table (static).

That a contextual vector moves with its sentence and a static one cannot is what separates BERT and ELMo (Peters et
al. 2018, arXiv:1802.05365) from word2vec; how far words move, layer by layer: Ethayarajh 2019, arXiv:1909.00512.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Encoding

from genarium.engines.embed.encoder import NativeEncoder
from genarium.errors import BadInput


@dataclass(frozen=True)
class WordInText:
    """Where `text` has the word, as characters [start, end), and its pieces there."""

    text: str
    start: int
    end: int
    pieces: list[str]

    @property
    def marked(self) -> str:
        """The text with the word in brackets."""
        return f"{self.text[: self.start]}[{self.text[self.start : self.end]}]{self.text[self.end :]}"

    @property
    def short(self) -> str:
        """`marked` on one line, cut around the brackets."""
        return _short(self.marked)


@dataclass(frozen=True)
class Comparison:
    """A word at every place the texts have it: vectors (places, C) float32, and their cosines (places, places)."""

    word: str
    places: list[WordInText]
    contextual: np.ndarray
    static: np.ndarray

    def cosines(self, kind: str) -> np.ndarray:
        """Between all places; `kind` is contextual or static."""
        vectors = self.contextual if kind == "contextual" else self.static
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit @ unit.T

    def rows(self) -> list[dict[str, Any]]:
        """One JSON object a place: its cosines to the word's first place, contextual and static, and to all places."""
        contextual, static = self.cosines("contextual"), self.cosines("static")
        return [
            {
                "text": place.text,
                "start": place.start,
                "end": place.end,
                "pieces": place.pieces,
                "contextual": round(float(contextual[0, i]), 4),
                "static": round(float(static[0, i]), 4),
                "contextual_to_each": [round(float(c), 4) for c in contextual[i]],
            }
            for i, place in enumerate(self.places)
        ]

    def table(self) -> str:
        """The cosines for a terminal."""
        contextual, static = self.cosines("contextual"), self.cosines("static")
        names = [f"{i + 1} {place.short}" for i, place in enumerate(self.places)]
        width = max(map(len, names))
        numbers = "".join(f"{i + 1:>8}" for i in range(len(names)))
        lines = [f"{'cosine between':<{width}}{numbers}{'static':>10}"]
        for i, name in enumerate(names):
            cells = "".join(f"{c:8.3f}" for c in contextual[i])
            lines.append(f"{name:<{width}}{cells}{static[0, i]:10.3f}")
        return "\n".join(lines)

    def summary(self) -> str:
        """What the figures say, in a sentence."""
        lowest = int(self.cosines("contextual")[0].argmin())
        if lowest == 0:
            return f"The vector of {self.word!r} is the same in every text."
        return (
            f"The vector of {self.word!r} moves most in {self.places[lowest].text!r}: cosine "
            f"{self.cosines('contextual')[0, lowest]:.3f} to where it stands first; static vectors stay at "
            f"{self.cosines('static')[0, lowest]:.3f}."
        )


def compare_word(encoder: NativeEncoder, word: str, texts: Sequence[str]) -> Comparison:
    """The word's vectors at every place in `texts`: the mean over its pieces of the last hidden state, and of the
    embedding table. Raises BadInput where a text lacks the word, or is cut before it.
    """
    places: list[WordInText] = []
    contextual: list[np.ndarray] = []
    static: list[np.ndarray] = []
    for text in texts:
        [encoding] = encoder.tokenize([text])
        text = encoder.prepared(text)  # which places are counted in  # noqa: PLW2901
        found = find_word(word, text)
        if not found:
            raise BadInput(
                f"{word!r} is not a word of {text!r}; --compare takes the word first, then texts that have it"
            )
        pieces = [pieces_of(encoding, start, end) for start, end in found]
        for (start, end), at in zip(found, pieces, strict=True):
            if not at:
                raise BadInput(
                    f"{word!r} at character {start} of {text[:40]!r}… is after the {encoder.context} tokens that are "
                    "read; shorten the text"
                )
            places.append(WordInText(text, start, end, [encoding.tokens[i] for i in at]))
        moving, still = encoder.network.words(encoding.ids, pieces)
        contextual += moving
        static += still
    return Comparison(word, places, np.stack(contextual), np.stack(static))


def find_word(word: str, text: str) -> list[tuple[int, int]]:
    """Where `text` has `word` as a whole word or phrase, in any case: characters [start, end)."""
    pattern = rf"(?<!\w){re.escape(word.strip())}(?!\w)"
    return [match.span() for match in re.finditer(pattern, text, re.IGNORECASE)]


def pieces_of(encoding: Encoding, start: int, end: int) -> list[int]:
    """The places in `encoding` of the tokens that share a character with [start, end)."""
    spans = zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
    return [i for i, ((a, b), special) in enumerate(spans) if not special and a < end and start < b]


def _short(text: str, width: int = 48) -> str:
    """One line of at most `width` characters around the brackets."""
    flat = " ".join(text.split())
    if len(flat) <= width:
        return flat
    middle = flat.index("[")
    begin = max(0, min(middle - width // 3, len(flat) - width + 1))
    return ("…" if begin else "") + flat[begin : begin + width - 2] + "…"

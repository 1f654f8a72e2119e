"""What is to be said, piece by piece: phonemes with the place in the text that they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

OPENING = "“("
QUOTES = '"“”()'


@dataclass(frozen=True)
class Said:
    """Characters `start` to `end` of a text: a word's `phonemes`, or a `mark` of punctuation. `joined` says that no
    space stands before it, as between Chinese words; `factor` makes it slower above 1.
    """

    start: int
    end: int
    phonemes: str = ""
    mark: str = ""
    joined: bool = False


Reader = Callable[[str, int, int], list[Said]]
"""Of characters `start` to `end` of a text, what is said. Letters that it can't read are left out."""


def written(pieces: Sequence[Said]) -> tuple[str, list[tuple[int, int]]]:
    """The pieces as one line of phonemes, and of each where it is in there."""
    line, places = "", []
    for one in pieces:
        text = one.phonemes or one.mark
        glued = one.mark and one.mark not in OPENING
        if line and not glued and line[-1] not in OPENING:
            line += " "
        places.append((len(line), len(line) + len(text)))
        line += text
    return line, places

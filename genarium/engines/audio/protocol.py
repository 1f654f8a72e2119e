"""What an engine that speaks is, and what it gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Word:
    """A word as it is written, heard from `start` to `end` seconds. `joined` says that no space stands before it."""

    text: str
    start: float
    end: float
    joined: bool = False

    def as_row(self, after: float) -> dict[str, Any]:
        """As it is told of in a whole in which this begins `after` so many seconds."""
        times = {"start": round(after + self.start, 3), "end": round(after + self.end, 3)}
        return {"word": self.text, **times} | ({"joined": True} if self.joined else {})


@dataclass(frozen=True)
class SpeechRequest:
    """What is to be said, and how: `speed` 2 takes half the time, `pronounce` has IPA of words.

    `language` is `auto`, `en` or `zh`; an engine of other languages says which it has. Empty is the model's own voice.
    """

    text: str
    voice: str = ""
    speed: float = 1.0
    language: str = "auto"
    pronounce: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Spoken:
    """A part of what was said, a sentence or so: `samples` (n,) float32 in [-1, 1], and its words by its own seconds.

    `text` is the part of the text that it says. `done` and `total` are characters of the whole.
    """

    samples: np.ndarray
    text: str
    words: Sequence[Word] = ()
    done: int = 0
    total: int = 0


class SpeechEngine(Protocol):
    """Says texts."""

    name: str
    rate: int
    """Samples a second."""

    @property
    def voices(self) -> Sequence[str]:
        """Empty where it has one alone, or its makers don't say."""

    def voice_of(self, request: SpeechRequest) -> str:
        """The voice that will be heard. Raises BadInput where it isn't there."""

    def speak(self, request: SpeechRequest) -> Iterator[Spoken]:
        """Part by part, each as soon as it is made. Raises BadInput where there is nothing to say."""

"""Sound that a model made, with its recipe inside the file."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from genarium.artefacts import waves
from genarium.artefacts.captions import SUBTITLES, subtitles
from genarium.artefacts.media import Media
from genarium.artefacts.png import RECIPE_CHUNK, data_url

if TYPE_CHECKING:
    import numpy as np

WORDS = "words.vtt"
LONGEST_TITLE = 500
CUE_SECONDS, CUE_LETTERS = 6.0, 80
"""A subtitle is at most so long."""


@dataclass(kw_only=True)
class Audio(Media):
    """`samples` (n,) float32 in [-1, 1], `rate` of them a second; `text` is what is heard.

    `words` are `word`, `start` and `end` in seconds, where they are known. The file is a WAV of 16 bits.
    """

    kind: ClassVar[str] = "audio"
    suffix: ClassVar[str] = ".wav"
    media_type: ClassVar[str] = "audio/wav"

    samples: np.ndarray
    rate: int
    text: str
    voice: str = ""
    words: list[dict[str, Any]] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    """Further facts."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def tags(self) -> dict[str, str]:
        """What stands in the file's own metadata."""
        recipe = {} if self.recipe is None else {RECIPE_CHUNK: self.recipe.canonical().decode()}
        return {waves.TITLE: self.title()[:LONGEST_TITLE]} | recipe

    def content(self) -> bytes:
        return self._wav

    @cached_property
    def _wav(self) -> bytes:
        return waves.wav(self.samples, self.rate, self.tags())

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        return (*waves.FORMATS, *SUBTITLES)

    def as_file(self, suffix: str) -> bytes:
        """Also FLAC, MP3 and Ogg Opus; `.srt` and `.vtt` are its words as subtitles."""
        suffix = suffix.lower()
        if suffix in SUBTITLES:
            return subtitles(self.cues(), suffix)
        if suffix == self.suffix or suffix not in waves.FORMATS:
            return self.content()
        return waves.encoded(self.samples, self.rate, suffix, self.tags())

    def cues(self) -> list[dict[str, Any]]:
        """Words that are read together: `start`, `end`, `caption`. Without times it is one, of the whole text."""
        if not self.words:
            return [{"start": 0.0, "end": self.seconds, "caption": self.title()}]
        cues: list[dict[str, Any]] = []
        for one in self.words:
            last = cues[-1] if cues else None
            if last is None or last["caption"].endswith((".", "!", "?", "。", "！", "？")) or (
                one["end"] - last["start"] > CUE_SECONDS or len(last["caption"]) + len(one["word"]) > CUE_LETTERS
            ):  # fmt: skip
                cues.append({"start": one["start"], "end": one["end"], "caption": one["word"]})
            else:
                gap = "" if one.get("joined") else " "
                last.update(end=one["end"], caption=f"{last['caption']}{gap}{one['word']}")
        return cues

    def beside(self) -> dict[str, bytes]:
        """Each word with its time, as WebVTT, where they are known."""
        moments = [{"start": one["start"], "end": one["end"], "caption": one["word"]} for one in self.words]
        return {WORDS: subtitles(moments, ".vtt")} if moments else {}

    def in_folder(self, name: str) -> Iterator[tuple[str, bytes]]:
        yield from super().in_folder(name)
        yield from ((f"{name}-{beside}", content) for beside, content in self.beside().items())

    def facts(self) -> dict[str, Any]:
        known = {"text": self.text, "voice": self.voice, "seconds": round(self.seconds, 3), "sample_rate": self.rate}
        return known | self.told

    def as_json(self) -> dict[str, Any]:
        return self.facts() | ({"words": self.words} if self.words else {})

    def as_html(self) -> str:
        title = html.escape(self.title()[:LONGEST_TITLE], quote=True)
        return f'<audio src="{data_url(self.content(), self.media_type)}" title="{title}" controls></audio>'

    def _repr_html_(self) -> str:
        return self.as_html()

    def title(self) -> str:
        return " ".join(self.text.split())

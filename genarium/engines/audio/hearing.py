"""What an engine that writes down what is heard is, and how speech is checked by one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from genarium.data.edits import edits
from genarium.engines.audio.protocol import SpeechEngine, SpeechRequest, Spoken, Word
from genarium.engines.audio.ssml import is_ssml

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000
"""Samples a second that a transcriber is given."""


@dataclass(frozen=True)
class Hearing:
    """How to write down: `language` is ISO 639-1, empty to find out; `translate` writes English, `words` gives times of
    words, `prompt` has words that may come, `keep_silence` listens to what seems to be silence too.
    """

    language: str = ""
    translate: bool = False
    words: bool = False
    prompt: str = ""
    keep_silence: bool = False


@dataclass(frozen=True)
class Segment:
    """What is heard from `start` to `end` seconds."""

    start: float
    end: float
    text: str
    words: Sequence[Word] = ()


@dataclass(frozen=True)
class Heard:
    """`language` is that of the speech, ISO 639-1; empty where none was found."""

    segments: Sequence[Segment]
    language: str


class Transcriber(Protocol):
    """Writes down what is heard."""

    name: str

    def check(self, asked: Hearing) -> None:
        """Raises BadInput where the model can't do what is asked. Nothing is loaded for it."""

    def hear(self, samples: np.ndarray, asked: Hearing) -> Heard:
        """Of some minutes at RATE, mono float32 in [-1, 1]."""


SLOWER, SLOWEST = 0.85, 0.25
"""Speed at which a sentence is said again that was not understood."""


def checked(engine: SpeechEngine, ears: Transcriber, request: SpeechRequest) -> Iterator[tuple[Spoken, dict[str, Any]]]:
    """Each part as it is said, with what was heard of it; one that was misheard is said again, more slowly, and the
    better of both is kept. A row has `text`, `heard`, `errors` and `words` (characters in Chinese), `again`,
    and `first_errors`, those of the first try.
    """
    for part in engine.speak(request):
        row = _row(part, engine.rate, ears)
        if not row["errors"] or is_ssml(request.text):  # what SSML asks of a sentence isn't known of its text alone
            yield part, row
            continue
        voice = engine.voice_of(request)
        slower = replace(request, text=part.text, voice=voice, speed=max(SLOWEST, request.speed * SLOWER))
        second = joined(list(engine.speak(slower)), part, engine.rate)
        other = _row(second, engine.rate, ears)
        better = other["errors"] < row["errors"]
        again = {"again": True, "first_errors": row["errors"]}
        yield (second, other | again) if better else (part, row | again)


def joined(parts: Sequence[Spoken], whole: Spoken, rate: int) -> Spoken:
    """Several parts as one, which stands in the text where `whole` does."""
    import numpy as np

    words: list[Word] = []
    length = 0
    for part in parts:
        words += [replace(w, start=w.start + length / rate, end=w.end + length / rate) for w in part.words]
        length += len(part.samples)
    return replace(whole, samples=np.concatenate([part.samples for part in parts]), words=words)


def _row(part: Spoken, rate: int, ears: Transcriber) -> dict[str, Any]:
    if not spelt(part.text):
        return {"text": part.text, "heard": "", "errors": 0, "words": 0, "again": False, "first_errors": 0}
    heard = " ".join(s.text.strip() for s in ears.hear(resampled(part.samples, rate), Hearing()).segments)
    wanted, got = spelt(part.text), spelt(heard)
    errors = edits(wanted, got)
    return {
        "text": part.text,
        "heard": heard,
        "errors": errors,
        "words": len(wanted),
        "again": False,
        "first_errors": errors,
    }


def resampled(samples: np.ndarray, rate: int, wanted: int = RATE) -> np.ndarray:
    """At the rate wanted: what is above half of it is filtered out (a windowed sinc), then places are read between."""
    import numpy as np

    if rate == wanted or not len(samples):
        return samples
    cutoff = min(1.0, wanted / rate)
    half = round(32 / cutoff)
    taps = np.arange(-half, half + 1)
    kernel = np.sinc(taps * cutoff) * np.hanning(2 * half + 3)[1:-1] * cutoff
    filtered = np.convolve(samples, kernel, "same") if rate > wanted else samples
    places = np.arange(round(len(samples) * wanted / rate)) * (rate / wanted)
    return np.interp(places, np.arange(len(filtered)), filtered).astype(np.float32)


def spelt(text: str) -> list[str]:
    """The words of a text as they are compared: small letters, numbers as they are read, no punctuation; Chinese by
    characters, simplified or not as they are written.
    """
    from genarium.engines.audio.chinese import HAN, NUMBER, read_number
    from genarium.engines.audio.english.reading import pieces

    text = unicodedata.normalize("NFKC", text)
    if re.search(f"[{HAN}]", text):
        text = NUMBER.sub(read_number, text)
        return [letter for letter in text if re.match(rf"[{HAN}]", letter)] + re.findall(r"[a-z]+", text.lower())
    said = " ".join(piece.words for piece in pieces(text.replace("’", "'"))).lower().replace("-", " ")
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", said.replace(".", ""))

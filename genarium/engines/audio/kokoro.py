"""Kokoro (hexgrad 2025; StyleTTS 2, Li et al. 2023, arXiv:2306.07691), as ONNX: phonemes and a voice to speech.

The network says itself how long each phoneme lasts, in frames of 25 ms; that output, which published graphs keep
inside, is added to them, so that times of words are those that the sound was made with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.layouts import kokoro as layout
from genarium.engines.audio import ipa, ssml
from genarium.engines.audio.plan import Chunk, chunks
from genarium.engines.audio.protocol import SpeechRequest, Spoken, Word
from genarium.engines.audio.reader import Mixed
from genarium.engines.audio.said import QUOTES, Said, written
from genarium.errors import BadInput
from genarium.progress import emit, note

Samples = NDArray[np.float32]
LEAD, TAIL = 0.08, 0.30
"""Seconds of silence that are kept before and after a chunk, of those that the network makes."""
LANGUAGES = {"a": ("en", "us"), "b": ("en", "gb"), "z": ("zh", "us")}
"""By a voice's first letter: its language, and the accent of English words."""
USUAL = {"en": ("af_heart", "am_michael", "bf_emma"), "zh": ("zf_xiaoxiao", "zf_xiaobei")}
"""The voices that are taken where none was asked for, the first that is there."""


class Kokoro:
    """Speaks with a folder of Kokoro's. Raises BadCheckpoint."""

    def __init__(self, path: Path, *, name: str = "", lexicon: Path):
        self.path, self.name, self.lexicon = path, name or str(path), lexicon
        self.rate = layout.RATE
        self.files = layout.read(path)

    @property
    def voices(self) -> Sequence[str]:
        return list(self.files.voices)

    @cached_property
    def _session(self) -> layout.Session:
        emit("loading", preview=self.name)
        return layout.open(self.files.model)

    def voice_of(self, request: SpeechRequest) -> str:
        from genarium.engines.audio.chinese import is_chinese

        there = self.files.voices
        if request.voice and request.voice not in there:
            raise BadInput(f"{self.name} has no voice {request.voice!r}; it has {', '.join(there)}")
        if request.language not in ("auto", *USUAL):
            raise BadInput(f"{self.name} speaks en (English) and zh (Chinese), got {request.language!r}")
        if request.voice:
            return request.voice
        language = request.language
        if language == "auto":
            language = "zh" if is_chinese(request.text) else "en"
        begin = {"en": ("a", "b"), "zh": ("z",)}[language]
        wanted = [*USUAL[language], *(name for name in there if name.startswith(begin))]
        found = next((name for name in wanted if name in there), None)
        if found is None:
            raise BadInput(f"{self.name} has no voice for {language}; it has {', '.join(there)}")
        return found

    def speak(self, request: SpeechRequest) -> Iterator[Spoken]:
        voice = self.voice_of(request)
        language, accent = LANGUAGES.get(voice[0], ("en", "us"))
        if request.language not in ("auto", language):
            note(f"the voice {voice} was not made for {request.language}, and will have an accent")
        script = ssml.read(request.text) if ssml.is_ssml(request.text) else ssml.Script(request.text)
        own = {word: ipa.phonemes(said, self.files.vocabulary) for word, said in request.pronounce.items()}
        reader = Mixed(self.lexicon, accent, own, language)
        reader.refuse_silence(script.text)

        def phonemes(text: str, start: int, end: int) -> list[Said]:
            return [Said(start, end, phonemes=ipa.phonemes(text[start:end], self.files.vocabulary))]

        style = self.files.voices[voice]
        for chunk in chunks(script, reader, phonemes, language=language):
            yield self._spoken(chunk, script.text, style(), request.speed * chunk.rate)
        reader.tell_left_out()

    def _spoken(self, chunk: Chunk, text: str, style: Samples, speed: float) -> Spoken:
        """One chunk as sound, with its words' times."""
        silence = np.zeros(round(chunk.pause * self.rate), np.float32)
        line, places = written(chunk.said)
        ids, position = self._ids(line)
        if not any(one.phonemes for one in chunk.said):
            return Spoken(silence, "", done=chunk.end, total=len(text))
        audio, frames = self._session.run(ids, style[min(len(ids) - 2, len(style)) - 1], speed)
        edges = _edges(frames, ids, len(audio))
        begin = max(0, int(edges[1]) - round(LEAD * self.rate))
        stop = min(len(audio), int(edges[-2]) + round(TAIL * self.rate))
        words = _words(chunk.said, places, position, (edges - begin) / self.rate, text)
        sound = np.concatenate((_faded(audio[begin:stop], self.rate), silence))
        said = text[chunk.said[0].start : chunk.end]
        return Spoken(sound, said, words, chunk.end, len(text))

    def _ids(self, line: str) -> tuple[list[int], list[int]]:
        """Tokens with 0 at both ends, and of each place in the line which token is the first from there on."""
        ids, position = [0], []
        for sign in line:
            position.append(len(ids))
            if (number := self.files.vocabulary.get(sign)) is not None:
                ids.append(number)
        position.append(len(ids))
        return [*ids, 0], position


def _edges(frames: NDArray[np.float32] | None, ids: Sequence[int], length: int) -> NDArray[np.float64]:
    """Where each token begins, and the last one ends, in samples. Without frames each takes the same time."""
    parts = np.ones(len(ids)) if frames is None else frames.astype(np.float64)
    edges = np.concatenate(([0.0], np.cumsum(parts)))
    return edges * (length / edges[-1])


def _words(
    said: Sequence[Said],
    places: Sequence[tuple[int, int]],
    position: Sequence[int],
    seconds: NDArray[np.float64],
    text: str,
) -> list[Word]:
    """What was written with its times, and the punctuation that stands at it; what is said in several words is one."""
    words: list[Word] = []
    span = (-1, -1)
    for one, (first, last) in zip(said, places, strict=True):
        if one.mark and words and one.mark not in QUOTES and one.start == span[1]:
            span = span[0], one.end
            words[-1] = replace(words[-1], text=text[span[0] : span[1]].rstrip())
        if not one.phonemes or position[first] == position[last]:
            continue
        start, end = float(seconds[position[first]]), float(seconds[position[last]])
        if words and span[0] <= one.start and one.end <= span[1]:
            words[-1] = replace(words[-1], end=end)
            continue
        span = one.start, one.end
        words.append(Word(text[one.start : one.end], start, end, one.joined))
    return words


def _faded(sound: Samples, rate: int) -> Samples:
    """With its first and last five milliseconds rising and falling, so that nothing clicks where chunks meet."""
    ramp = np.linspace(0, 1, min(len(sound) // 2, rate // 200), dtype=np.float32)
    made = sound.copy()
    made[: len(ramp)] *= ramp
    made[len(made) - len(ramp) :] *= ramp[::-1]
    return made

"""Any endpoint that speaks OpenAI's `/audio/speech` and `/audio/transcriptions`."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from genarium.data.sentences import sentences
from genarium.engines.audio.hearing import RATE, Heard, Hearing, Segment
from genarium.engines.audio.protocol import SpeechRequest, Spoken, Word
from genarium.engines.endpoint import Endpoint
from genarium.errors import BadInput, RemoteError

if TYPE_CHECKING:
    import numpy as np

PCM_RATE = 24_000
"""Samples a second of the protocol's `pcm`: signed 16 bits, one channel."""
MOST = 4000
"""Characters that are sent at a time; the protocol takes 4,096."""
USUAL = "alloy"


class OpenAISpeech(Endpoint):
    """Speaks with the model called `model` behind the endpoint. Raises RemoteError."""

    rate = PCM_RATE

    def __init__(self, model: str):
        super().__init__(model)
        self.name = f"openai:{model}"

    @property
    def voices(self) -> Sequence[str]:
        return ()

    def voice_of(self, request: SpeechRequest) -> str:
        if request.pronounce:
            raise BadInput(f"{self.name} takes no pronunciations; write the words as they sound, or use starter/speech")
        return request.voice or USUAL

    def speak(self, request: SpeechRequest) -> Iterator[Spoken]:
        """Raises RemoteError, BadInput."""
        import numpy as np
        import openai

        voice, text = self.voice_of(request), request.text
        for start, end in _parts(text):
            try:
                got = self.client.audio.speech.create(
                    model=self.model,
                    voice=voice,
                    input=text[start:end],
                    speed=request.speed,
                    response_format="pcm",
                )
            except openai.OpenAIError as error:
                raise RemoteError(self.explained(error)) from None
            content = got.content
            if not content or content[:4] in (b"RIFF", b"fLaC", b"OggS") or content[:1] in (b"{", b"<"):
                raise RemoteError(f"{self.client.base_url} sent no samples (pcm); name an endpoint that speaks")
            samples = np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.float32) / 32768
            yield Spoken(samples, text[start:end], done=end, total=len(text))


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """As many whole sentences as are sent at a time."""
    begin = last = None
    for start, end in sentences(text):
        if begin is not None and last is not None and end - begin > MOST:
            yield begin, last
            begin = None
        begin = start if begin is None else begin
        last = end
    if begin is None or last is None:
        raise BadInput("there is nothing in the text that can be said; write some")
    yield begin, last


class OpenAITranscriber(Endpoint):
    """Writes down what is heard with the model called `model` behind the endpoint. Raises RemoteError."""

    def __init__(self, model: str):
        super().__init__(model)
        self.name = f"openai:{model}"

    def check(self, asked: Hearing) -> None:
        if asked.keep_silence:
            raise BadInput(f"{self.name} decides itself what is silence; leave that out")

    def hear(self, samples: np.ndarray, asked: Hearing) -> Heard:
        """Raises RemoteError."""
        import openai

        file = ("sound.wav", io.BytesIO(_wav(samples)), "audio/wav")
        given: dict[str, Any] = {"model": self.model, "file": file, "response_format": "verbose_json"}
        given |= {"prompt": asked.prompt} if asked.prompt else {}
        try:
            if asked.translate:
                told = self.client.audio.translations.create(**given)
            else:
                given |= {"language": asked.language} if asked.language else {}
                given |= {"timestamp_granularities": ["segment", "word"]} if asked.words else {}
                told = self.client.audio.transcriptions.create(**given)
        except openai.OpenAIError as error:
            raise RemoteError(self.explained(error)) from None
        return _heard(told, len(samples) / RATE, str(self.client.base_url))


def _wav(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples.clip(-1, 1) * 32767).round().astype("<i2").tobytes())
    return out.getvalue()


def _heard(told: Any, seconds: float, where: str) -> Heard:
    text = getattr(told, "text", None)
    if not isinstance(text, str):
        raise RemoteError(f"{where} answered with no text; name an endpoint that transcribes")
    words = [Word(w.word, float(w.start), float(w.end)) for w in getattr(told, "words", None) or ()]
    segments = [
        Segment(
            float(s.start), float(s.end), s.text.strip(), [w for w in words if float(s.start) <= w.start < float(s.end)]
        )
        for s in getattr(told, "segments", None) or ()
    ]
    if not segments and text.strip():
        segments = [Segment(0.0, seconds, text.strip(), words)]
    return Heard(segments, str(getattr(told, "language", "") or "")[:20] if segments else "")

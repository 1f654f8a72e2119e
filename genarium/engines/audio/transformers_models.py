"""Models that the transformers library runs: VITS and MMS, Bark and others that speak, and Whisper that hears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.data.sentences import sentences
from genarium.devices import pick_device
from genarium.engines.audio.hearing import RATE, Heard, Hearing, Segment
from genarium.engines.audio.protocol import SpeechRequest, Spoken, Word
from genarium.errors import BadCheckpoint, BadInput, first_line
from genarium.progress import emit

if TYPE_CHECKING:
    import numpy as np

BEAMS = 5


def _opened(task: str, path: Path, name: str) -> Any:
    """The library's pipeline for that. Raises BadCheckpoint."""
    from transformers import pipeline

    emit("loading", preview=name)
    try:
        return pipeline(task, model=str(path), device=pick_device("auto"))
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise BadCheckpoint(f"{name}: transformers can't open it ({first_line(error)})") from None


class TransformersSpeech:
    """Speaks sentence by sentence. Raises BadCheckpoint."""

    def __init__(self, path: Path, *, name: str = "", kind: str = ""):
        self.path, self.name, self.kind = path, name or str(path), kind

    @cached_property
    def _pipeline(self) -> Any:
        return _opened("text-to-audio", self.path, self.name)

    @property
    def rate(self) -> int:
        return int(self._pipeline.sampling_rate)

    @property
    def voices(self) -> Sequence[str]:
        return ()

    def voice_of(self, request: SpeechRequest) -> str:
        if request.pronounce:
            raise BadInput(f"{self.name} takes no pronunciations; write the words as they sound, or use starter/speech")
        if request.voice and self.kind != "bark":
            raise BadInput(f"{self.name} has one voice; leave voice out")
        if request.speed != 1 and self.kind != "vits":
            raise BadInput(f"{self.name} has one speed; leave speed out")
        return request.voice

    def speak(self, request: SpeechRequest) -> Iterator[Spoken]:
        """Raises BadInput, BadCheckpoint."""
        import numpy as np
        import torch

        voice, text = self.voice_of(request), request.text
        if not any(letter.isalnum() for letter in text):
            raise BadInput("there is nothing in the text that can be said: no word, no number; write some")
        model = self._pipeline.model
        if self.kind == "vits":
            model.speaking_rate = model.config.speaking_rate * request.speed
        torch.manual_seed(request.seed)
        given = {"preprocess_params": {"voice_preset": voice}} if voice else {}
        for start, end in sentences(text):
            if not any(letter.isalnum() for letter in text[start:end]):
                continue
            try:
                made = self._pipeline(text[start:end], **given)
            except (ValueError, RuntimeError, IndexError, OSError) as error:
                raise BadInput(f"{self.name} can't say {text[start:end][:60]!r} ({first_line(error)})") from None
            samples = np.asarray(made["audio"], np.float32).reshape(-1)
            if not np.isfinite(samples).all():
                raise BadCheckpoint(f"{self.name} made sound that is no numbers; get its files again")
            yield Spoken(samples, text[start:end], done=end, total=len(text))


class TransformersWhisper:
    """Writes down what is heard with a Whisper folder of transformers' layout. Raises BadCheckpoint."""

    def __init__(self, path: Path, *, name: str = ""):
        self.path, self.name = path, name or str(path)

    @cached_property
    def _pipeline(self) -> Any:
        return _opened("automatic-speech-recognition", self.path, self.name)

    def check(self, asked: Hearing) -> None:
        from transformers.models.whisper.tokenization_whisper import LANGUAGES

        if asked.language and asked.language not in LANGUAGES:
            raise BadInput(f"Whisper writes down {', '.join(sorted(LANGUAGES))}, got {asked.language!r}; name one")

    def hear(self, samples: np.ndarray, asked: Hearing) -> Heard:
        import numpy as np

        if not asked.keep_silence and float(np.abs(samples).max(initial=0.0)) < SILENCE:
            return Heard([], asked.language)
        run = self._pipeline
        given: dict[str, Any] = {"task": "translate" if asked.translate else "transcribe", "num_beams": BEAMS}
        given |= {"language": asked.language} if asked.language else {}
        if asked.prompt:
            prompt = run.tokenizer.get_prompt_ids(asked.prompt, return_tensors="pt")
            given["prompt_ids"] = prompt.to(run.model.device)
        try:
            told = run(
                {"raw": samples, "sampling_rate": RATE},
                return_timestamps="word" if asked.words else True,
                return_language=True,
                generate_kwargs=given,
            )
        except (ValueError, RuntimeError, IndexError) as error:
            raise BadInput(f"{self.name} can't do what is asked of it ({first_line(error)})") from None
        spoken = [_word(one, len(samples) / RATE) for one in told.get("chunks", ()) if one["text"].strip()]
        language = asked.language or next((one.get("language") or "" for one in told.get("chunks", ())), "")
        if not asked.words:
            return Heard([Segment(word.start, word.end, word.text) for word in spoken], _code(language))
        whole = [Segment(spoken[0].start, spoken[-1].end, told["text"].strip(), spoken)] if spoken else []
        return Heard(whole, _code(language) if whole else "")


SILENCE = 0.003
"""A sound that is nowhere louder is silence: -50 dB of the loudest there can be."""


def _word(one: dict[str, Any], seconds: float) -> Word:
    start, end = one["timestamp"]
    begin = float(start or 0.0)
    return Word(one["text"].strip(), begin, seconds if end is None else float(end), not one["text"].startswith(" "))


def _code(language: str) -> str:
    """ISO 639-1 of a language that Whisper names in English."""
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    return str(TO_LANGUAGE_CODE.get(language.lower(), language))

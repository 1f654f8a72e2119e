"""Whisper (Radford et al. 2022, arXiv:2212.04356) in CTranslate2's layout, run by faster-whisper in 8 bits."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium import devices
from genarium.engines.audio.hearing import Heard, Hearing, Segment
from genarium.engines.audio.protocol import Word
from genarium.errors import BadCheckpoint, BadInput, first_line
from genarium.progress import emit

if TYPE_CHECKING:
    import numpy as np

BEAMS = 5
SEED = 0
"""Of what is drawn where the likeliest words repeat themselves: the same sound is written down alike each time."""


class Whisper:
    """Writes down what is heard, in a hundred languages. Raises BadCheckpoint."""

    def __init__(self, path: Path, *, name: str = ""):
        self.path, self.name = path, name or str(path)

    @cached_property
    def _model(self) -> Any:
        from faster_whisper import WhisperModel

        emit("loading", preview=self.name)
        gpu = devices.has_gpu()
        try:
            return WhisperModel(
                str(self.path),
                device="cuda" if gpu else "cpu",
                compute_type="float16" if gpu else "int8",
                cpu_threads=devices.threads(),
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise BadCheckpoint(f"{self.name}: ctranslate2 refuses it ({first_line(error)}); get it again") from None

    def check(self, asked: Hearing) -> None:
        from faster_whisper.tokenizer import _LANGUAGE_CODES as codes

        if asked.language and asked.language not in codes:
            raise BadInput(
                f"Whisper writes down {', '.join(sorted(codes))}, got {asked.language!r}; name one, or leave it out"
            )

    def hear(self, samples: np.ndarray, asked: Hearing) -> Heard:
        import ctranslate2

        self.check(asked)
        model = self._model
        ctranslate2.set_random_seed(SEED)
        segments, told = model.transcribe(
            samples,
            language=asked.language or None,
            task="translate" if asked.translate else "transcribe",
            beam_size=BEAMS,
            word_timestamps=asked.words,
            initial_prompt=asked.prompt or None,
            condition_on_previous_text=False,
            vad_filter=not asked.keep_silence,
        )
        found = [
            Segment(
                float(one.start),
                float(one.end),
                one.text.strip(),
                [
                    Word(w.word.strip(), float(w.start), float(w.end), not w.word.startswith(" "))
                    for w in one.words or ()
                ],
            )
            for one in segments
        ]
        return Heard(found, told.language if found else "")

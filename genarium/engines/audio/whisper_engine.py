"""Whisper in CTranslate2's layout: starter/transcribe, and what faster-whisper opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine
from genarium.extras import require

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.audio.whisper import Whisper

VOCABULARIES = ("vocabulary.txt", "vocabulary.json")


def opens(found: Found) -> bool:
    if found.path is None or not (found.path / "model.bin").is_file():
        return False
    return any((found.path / name).is_file() for name in VOCABULARIES) and (found.path / "tokenizer.json").is_file()


def open(found: Found) -> Whisper:
    require(found.reference, "faster_whisper")
    from genarium.engines.audio.whisper import Whisper

    assert found.path is not None
    return Whisper(found.path, name=found.reference)


def refusal(found: Found) -> str | None:
    if found.path is None:
        return None
    return (
        f"{found.reference} is no model that writes down speech here; name a Whisper folder (of transformers or of "
        "CTranslate2), a hub id such as openai/whisper-small, or starter/transcribe"
    )


ENGINE = Engine("transcribe", opens, open, order=10, refusal=refusal)
"""The room is `audio`, for all that sounds."""

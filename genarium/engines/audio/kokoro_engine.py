"""Kokoro, on onnxruntime: starter/speech, and other folders with its network and voices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.audio.kokoro import Kokoro


def opens(found: Found) -> bool:
    if found.path is None:
        return False
    from genarium.checkpoints.layouts import kokoro

    return kokoro.model_of(found.path) is not None


def open(found: Found) -> Kokoro:
    from genarium.checkpoints.store.find import find
    from genarium.data.lexicon import NAMES
    from genarium.engines.audio.kokoro import Kokoro

    assert found.path is not None
    own = all((found.path / name).is_file() for name in NAMES)
    lexicon = found.path if own else find("starter/speech", default="speech").path
    assert lexicon is not None
    return Kokoro(found.path, name=found.reference, lexicon=lexicon)


def refusal(found: Found) -> str | None:
    if found.path is None:
        return None
    return (
        f"{found.reference} is no model that speaks here; name a folder of Kokoro's (an .onnx file, and its voices), "
        "one of transformers such as facebook/mms-tts-eng, or starter/speech"
    )


ENGINE = Engine("speak", opens, open, order=20, refusal=refusal)
"""The capability is `speak`; the room is `audio`, for all that sounds."""

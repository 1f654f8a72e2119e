"""Models that speak, on the transformers library: VITS and MMS, Bark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine, model_type
from genarium.extras import require

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.audio.transformers_models import TransformersSpeech

KINDS = ("vits", "bark")


def opens(found: Found) -> bool:
    if found.path is None or not (found.path / "config.json").is_file():
        return False
    return model_type(found) in KINDS


def open(found: Found) -> TransformersSpeech:
    require(found.reference, "transformers")
    from genarium.engines.audio.transformers_models import TransformersSpeech

    assert found.path is not None
    return TransformersSpeech(found.path, name=found.reference, kind=model_type(found))


ENGINE = Engine("speak", opens, open, order=60)

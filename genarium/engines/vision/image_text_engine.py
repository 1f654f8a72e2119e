"""All other models that read pictures and write, on the transformers library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine
from genarium.extras import require
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.vision.image_text import ImageTextCaption


def opens(found: Found) -> bool:
    """Whether the library lists the kind of network among those that read pictures and write."""
    if found.path is None:
        return False
    from genarium.checkpoints.store.folder import read_config

    config = read_config(found.path)
    try:
        from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KNOWN
    except ImportError:
        return "vision_config" in config
    return config["model_type"] in KNOWN


def open(found: Found, *, dtype: str = "auto") -> ImageTextCaption:
    require(found.reference, "transformers")
    emit("loading", preview=found.reference)
    from genarium.engines.vision.image_text import ImageTextCaption

    assert found.path is not None
    return ImageTextCaption(found.path, name=found.reference, dtype=dtype)


def refusal(found: Found) -> str:
    if found.path is None:
        return f"{found.reference} is behind an endpoint; name a model that is on this machine"
    return f"{found.reference} describes no pictures; name a BLIP, GIT or other image-text model, or starter/caption"


ENGINE = Engine("caption", opens, open, order=90, refusal=refusal)

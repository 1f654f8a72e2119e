"""BLIP and GIT captioners on networks of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine, model_type
from genarium.errors import BadCheckpoint
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.vision.caption import NativeCaption


def opens(found: Found) -> bool:
    if found.path is None or model_type(found) not in ("blip", "git"):
        return False
    from genarium.checkpoints.layouts import blip, git

    kind = blip.kind_of(found.path)
    if kind == "matcher":
        raise BadCheckpoint(
            f"{found.reference} judges captions and writes none: genarium explain uses it; name a captioner here, "
            "such as Salesforce/blip-image-captioning-base"
        )
    return git.opens(found.path) or kind == "captioner"


def open(found: Found, *, dtype: str = "auto") -> NativeCaption:
    emit("loading", preview=found.reference)
    from genarium.engines.vision.caption import NativeCaption

    assert found.path is not None
    return NativeCaption(found.path, name=found.reference, dtype=dtype)


ENGINE = Engine("caption", opens, open, order=10)

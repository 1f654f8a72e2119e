"""BLIP matchers: how well a text matches a picture, by reading both together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine, model_type
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.vision.match import BlipMatcher

MATCHERS = (
    "name a BLIP matcher such as Salesforce/blip-itm-base-coco, a CLIP such as openai/clip-vit-base-patch32, or "
    "starter/match"
)


def opens(found: Found) -> bool:
    from genarium.checkpoints.layouts.pipeline import is_pipeline

    if found.path is None or is_pipeline(found.path) or model_type(found) != "blip":
        return False
    from genarium.checkpoints.layouts import blip

    return blip.kind_of(found.path) == "matcher"


def open(found: Found) -> BlipMatcher:
    emit("loading", preview=found.reference)
    from genarium.engines.vision.match import BlipMatcher

    assert found.path is not None
    return BlipMatcher(found.path, name=found.reference)


def refusal(found: Found) -> str:
    from genarium.checkpoints.layouts.pipeline import is_pipeline

    if found.path is None:
        return f"{found.reference} is behind an endpoint, which shows no attention; {MATCHERS}"
    if is_pipeline(found.path):
        return (
            f"{found.reference} makes pictures: genarium image --explain shows where it looked for each word; to "
            f"explain a picture that is there, {MATCHERS}"
        )
    kind = model_type(found)
    what = f"{kind!r} captioner" if kind == "blip" else f"{kind!r} model"
    return f"{found.reference} is a {what}, which says of no text how well it matches; {MATCHERS}"


ENGINE = Engine("match", opens, open, order=20, refusal=refusal)

"""A checkpoint that was fine-tuned to classify: labels by its trained head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genarium.checkpoints.fields.encoder import BY_TYPE
from genarium.engines.cache import kept
from genarium.engines.classify.asked import no_calibration
from genarium.engines.engine import Engine, model_type
from genarium.errors import BadInput
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.classify.protocol import TrainedHead
    from genarium.engines.classify.sequence_classifier import NativeHead


def has_head(found: Found) -> bool:
    if found.path is None or model_type(found) not in BY_TYPE:
        return False
    from genarium.engines.classify.sequence_classifier import NativeHead

    return NativeHead.opens(found.path)


def open(
    found: Found,
    *,
    labels: Sequence[str] | None,
    examples: Sequence[tuple[str, str]],
    template: str | None,
    calibrate: bool,
) -> TrainedHead:
    from genarium.engines.classify.protocol import TrainedHead

    no_calibration(found, calibrate)
    for given, option in ((examples, "--few-shot"), (template, "--template")):
        if given:
            raise BadInput(f"{found.reference} has a trained head, which takes no {option}; use starter/encoder")
    return TrainedHead(open_head(found), found.reference, labels)


@kept
def open_head(found: Found) -> NativeHead:
    emit("loading", preview=found.reference)
    from genarium.engines.classify.sequence_classifier import NativeHead

    assert found.path is not None
    return NativeHead(found.path)


ENGINE = Engine("classify", has_head, open, order=10)

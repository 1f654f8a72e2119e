"""A checkpoint that was fine-tuned to classify: labels by its trained head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.checkpoints.fields.encoder import BY_TYPE
from genarium.engines.cache import kept
from genarium.engines.classify.asked import ClassifyRequest
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


def open(found: Found, *, asked: ClassifyRequest, backend: str = "auto") -> TrainedHead:
    from genarium.engines.classify.protocol import TrainedHead

    asked.refuse_calibration(found)
    for given, option in ((asked.examples, "--few-shot"), (asked.template, "--template")):
        if given:
            raise BadInput(f"{found.reference} has a trained head, which takes no {option}; use starter/encoder")
    return TrainedHead(open_head(found, backend), found.reference, asked.labels)


@kept
def open_head(found: Found, backend: str = "auto") -> NativeHead:
    emit("loading", preview=found.reference)
    from genarium.engines.classify.sequence_classifier import NativeHead

    assert found.path is not None
    return NativeHead(found.path, backend=backend)


ENGINE = Engine("classify", has_head, open, order=10)

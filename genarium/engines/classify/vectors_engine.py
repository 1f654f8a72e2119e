"""Labels by the vectors of any encoder: without examples, or from a few."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from genarium.engines.classify.asked import ClassifyRequest
from genarium.engines.engine import Engine
from genarium.errors import BadCheckpoint, ModelNotFound
from genarium.progress import note

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.classify.protocol import Classifier


def opens(found: Found) -> bool:
    return found.path is not None


def open(found: Found, *, asked: ClassifyRequest, backend: str = "auto") -> Classifier:
    asked.refuse_calibration(found)
    named = asked.named(found)
    from genarium.engines import registry
    from genarium.engines.classify import vector_labels

    encoder = registry.open_found(found, "embed", backend=backend)
    if asked.examples:
        return vector_labels.few_shot(encoder, named, asked.examples, template=asked.template)
    if trained := _trained_for(named):
        note(f"starter/{trained} was trained for just these labels and is right more often: --model starter/{trained}")
    return vector_labels.zero_shot(encoder, named, template=asked.template)


def _trained_for(labels: Sequence[str]) -> str:
    """The starter whose head gives these labels; empty where there is none."""
    from genarium.checkpoints.layouts.encoder_config import labels as labels_of
    from genarium.checkpoints.store import catalogue
    from genarium.checkpoints.store.folder import read_config
    from genarium.engines.classify.sequence_classifier import NativeHead

    wanted = sorted(label.casefold() for label in labels)
    for name, starter in catalogue.starters().items():
        with suppress(ModelNotFound, BadCheckpoint):  # one that is not installed can't be recommended
            if "classify" in starter.tasks and NativeHead.opens(starter.path):
                own = labels_of(read_config(starter.path))
                if sorted(label.casefold() for label in own) == wanted:
                    return name
    return ""


def refusal(found: Found) -> str:
    return (
        f"{found.reference}: an endpoint gives a text, not a probability for every label; name a model that is "
        "on this machine, or starter/encoder"
    )


ENGINE = Engine("classify", opens, open, order=90, refusal=refusal)

"""Labels by what a language model on this machine would write next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.classify.asked import ClassifyRequest
from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.classify.language_labels import LanguageModelLabels


def opens(found: Found) -> bool:
    from genarium.engines.text import native_engine

    return native_engine.opens(found)


def open(found: Found, *, asked: ClassifyRequest, backend: str = "auto") -> LanguageModelLabels:
    named = asked.named(found)
    from genarium.engines import registry
    from genarium.engines.classify.language_labels import LanguageModelLabels
    from genarium.engines.text.native import NativeText

    engine = registry.open_found(found, "text", dtype="auto", backend=backend)
    assert isinstance(engine, NativeText)
    return LanguageModelLabels(engine, named, asked.examples, template=asked.template, calibrate=asked.calibrate)


ENGINE = Engine("classify", opens, open, order=20)

"""Summaries of a text's own sentences, chosen by an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.summarize.summary import Extractive


def opens(found: Found) -> bool:
    from genarium.engines import registry

    return registry.can_open(found, "embed")


def open(found: Found, *, backend: str = "auto") -> Extractive:
    from genarium.engines import registry
    from genarium.engines.summarize.summary import Extractive

    return Extractive(registry.open_found(found, "embed", backend=backend), found.reference)


ENGINE = Engine("summarize", opens, open, order=10)

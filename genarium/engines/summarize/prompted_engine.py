"""Summaries written by any language model that is asked for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.summarize.summary import Abstractive


def open(found: Found, *, backend: str = "auto") -> Abstractive:
    from genarium.engines import registry
    from genarium.engines.summarize.summary import Abstractive, Prompted

    writer = registry.open_found(found, "text", dtype="auto", backend=backend)
    return Abstractive(Prompted(writer, found.reference), found.reference)


ENGINE = Engine("summarize", lambda found: True, open, order=90)

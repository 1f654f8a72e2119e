"""Ranking by the vectors of query and passages, with any encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.embed.rank import BiEncoder


def open(found: Found, *, backend: str = "auto") -> BiEncoder:
    from genarium.engines import registry
    from genarium.engines.embed.rank import BiEncoder

    return BiEncoder(registry.open_found(found, "embed", backend=backend))


ENGINE = Engine("rank", lambda found: True, open, order=90)

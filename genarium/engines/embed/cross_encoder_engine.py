"""Ranking by a trained head that reads query and passage together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.classify.head_engine import has_head, open_head
from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.embed.rank import CrossEncoder


def open(found: Found, *, backend: str = "auto") -> CrossEncoder:
    from genarium.engines.embed.rank import CrossEncoder

    return CrossEncoder(open_head(found, backend), found.reference)


ENGINE = Engine("rank", has_head, open, order=10)

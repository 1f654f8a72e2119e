"""DALL·E mini and mega."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.image.dalle import DalleImage


def opens(found: Found) -> bool:
    if found.path is None:
        return False
    from genarium.checkpoints.layouts import dalle

    return dalle.opens(found.path)


def open(found: Found, *, dtype: str = "auto") -> DalleImage:
    from genarium.engines.image.dalle import DalleImage

    assert found.path is not None
    return DalleImage(found.path, name=found.reference, dtype=dtype)


ENGINE = Engine("image", opens, open, order=20)

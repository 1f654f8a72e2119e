"""Numbers as they are written: in float32, float16 or bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genarium.errors import BadInput

SIZES = {"float32": 4, "float16": 2, "bfloat16": 2}


def encoded(values: NDArray[np.float32], dtype: str, name: str) -> NDArray[Any]:
    """The values in `dtype`, rounded to the nearest; bfloat16 as uint16. Raises BadInput beyond what float16 holds."""
    if dtype == "float32":
        return np.ascontiguousarray(values, "<f4")
    if dtype == "float16":
        with np.errstate(over="ignore"):
            halved = values.astype("<f2")
        if not np.isfinite(halved).all():
            raise BadInput(f"{name} has values beyond what float16 holds (65504); export it as bfloat16 or float32")
        return halved
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16).astype("<u2")

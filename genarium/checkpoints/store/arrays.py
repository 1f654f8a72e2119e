"""The tensors of a checkpoint folder as numpy arrays that lie in its mapped files. Imports no torch.

float32 is not copied; float16, bfloat16 and float64 become float32, other kinds stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from genarium.checkpoints.store import folder
from genarium.checkpoints.store.tensors import Stored
from genarium.errors import BadCheckpoint, first_line

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
    """Every tensor of the folder by its published name, as `folder.read_tensors` has torch's. Raises BadCheckpoint."""
    from safetensors import SafetensorError

    tensors = Stored()
    for file in folder.weight_files(path):
        try:
            more = read_file(file)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise BadCheckpoint(f"{file} is damaged or cut short ({first_line(error)}); download it again") from None
        if twice := tensors.keys() & more.keys():
            raise BadCheckpoint(f"{path}: two of its files hold {min(twice)}; download the folder again")
        tensors.update(more)
    return tensors


def read_file(file: Path) -> dict[str, Any]:
    """The tensors of one safetensors file. Raises SafetensorError, OSError or ValueError, as the library does."""
    from safetensors import safe_open

    with safe_open(file, "np"):  # the library holds the header against the file
        pass
    mapped = np.memmap(file, np.uint8, mode="r")
    size = int(mapped[:8].view("<u8")[0])
    header = json.loads(bytes(mapped[8 : 8 + size]))
    header.pop("__metadata__", None)
    return {name: _array(mapped[8 + size :], **told) for name, told in header.items()}


def _array(data: np.ndarray, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
    stored = np.asarray(data[data_offsets[0] : data_offsets[1]])
    if dtype not in KINDS:
        raise ValueError(f"tensors of the kind {dtype} are not read here")
    values = stored.view(KINDS[dtype]).reshape(shape)
    if dtype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    if dtype in FLOATS and (dtype != "F32" or not values.flags.aligned):
        return values.astype(np.float32)
    return values

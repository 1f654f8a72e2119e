"""State dicts of models that were published as pickles and never again, read without running what a pickle may ask for.

Pickled weights are refused everywhere else (see `folder.py`). Of `kuprel/min-dalle` and `microsoft/vq-diffusion-ithq`
there is nothing else to read, nor of the first form of `damo-vilab/text-to-video-ms-1.7b`, and they are tensors by name
and nothing more, so torch's `weights_only` reader opens them: it builds tensors, and refuses whatever else a pickle
asks for. It holds to that from torch 2.6 on (CVE-2025-32434).
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from genarium.errors import BadCheckpoint, first_line

Shapes = Mapping[str, tuple[int, ...]]


def read_state(file: Path) -> dict[str, Tensor]:
    """Every tensor of a `.safetensors` or `.pt` file by its published name, mapped into memory.

    Raises BadCheckpoint where the file is damaged, or holds anything but tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        raise BadCheckpoint(
            f"{file} is a pickle that asks for more than tensors, which could run any code, so it is refused; "
            "take the file that its authors published"
        ) from None
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, EOFError) as error:
        first = str(error).partition("\n")[0]
        raise BadCheckpoint(f"{file} is damaged or cut short ({first}); download it again") from None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise BadCheckpoint(f"{file} is no state dict of tensors; take the file that its authors published")
    return state


def read_own(file: Path) -> dict[str, Tensor]:
    """As `read_state`, but each tensor of a safetensors file has memory of its own, which is free when it is let go of.

    Of a mapped file all of it stays in memory while one tensor is there. Raises BadCheckpoint.
    """
    from safetensors.torch import _TYPES

    if file.suffix != ".safetensors":
        return read_state(file)
    shapes = read_shapes(file)  # which checks the file's header
    state = {}
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(size))
        for name, shape in shapes.items():
            begin, end = header[name]["data_offsets"]
            content = bytearray(end - begin)
            opened.seek(8 + size + begin)
            if opened.readinto(content) != len(content):
                raise BadCheckpoint(f"{file} is cut short; download it again")
            kind: torch.dtype = _TYPES[header[name]["dtype"]]  # type: ignore[assignment]
            state[name] = (
                torch.frombuffer(content, dtype=kind).view(shape) if content else torch.empty(shape, dtype=kind)
            )
    return state


def count(file: Path) -> int:
    """How many numbers a file holds; no weights are read. Raises BadCheckpoint."""
    return sum(math.prod(shape) for shape in read_shapes(file).values())


def read_shapes(file: Path) -> Shapes:
    """Every tensor's shape by its published name; no weights are read. Raises BadCheckpoint."""
    from safetensors import SafetensorError, safe_open

    if file.suffix != ".safetensors":
        return {name: tuple(tensor.shape) for name, tensor in read_state(file).items()}
    try:
        with safe_open(file, "pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise BadCheckpoint(f"{file} is damaged or cut short ({first_line(error)}); download it again") from None

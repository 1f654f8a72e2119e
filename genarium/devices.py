"""Which device computes, and what it is good at."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from genarium.errors import BadInput

CONTROL_GROUP = Path("/sys/fs/cgroup")


def pick_device(name: str) -> str:
    """`auto` is the first GPU, else the CPU. Raises BadInput for a device that is not here."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise BadInput(f"no device {name!r} on this machine; use cpu or auto") from None
    return name


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16 matrix products (AMX or AVX512_BF16)."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def total_memory() -> int:
    """Bytes of memory of this machine, or of its container."""
    import psutil

    return min(int(psutil.virtual_memory().total), _container("memory.max"))


def available_memory() -> int:
    """Bytes that this process can still take without swapping."""
    import psutil

    left = _container("memory.max") - _container("memory.current", unlimited=0)
    return min(int(psutil.virtual_memory().available), left)


def _container(name: str, *, unlimited: int = sys.maxsize) -> int:
    """A figure of the control group (version 2) that this process is in; `unlimited` where there is none."""
    try:
        return int((CONTROL_GROUP / name).read_text())
    except (OSError, ValueError):
        return unlimited

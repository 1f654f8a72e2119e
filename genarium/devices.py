"""Which device computes, and what it is good at."""

from __future__ import annotations

import torch

from genarium.errors import BadInput


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

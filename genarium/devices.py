"""Which device computes, and what it is good at."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genarium.errors import BadInput
from genarium.progress import note

if TYPE_CHECKING:
    import torch

SLOW_BFLOAT16 = "this processor has no instructions for bfloat16, which takes more time here than float32"
CONTROL_GROUP = Path("/sys/fs/cgroup")
THREADS = "OMP_NUM_THREADS"
"""The environment's variable that says how many threads compute, for torch and BLAS as for what runs here."""
DRIVERS = (
    *(Path(name) for name in ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/dxg", "/dev/kfd")),
    Path(os.environ.get("SYSTEMROOT", "C:/Windows"), "System32", "nvcuda.dll"),
)
"""What is there where a driver for a GPU is, of which torch can tell more."""


def pick_device(name: str) -> str:
    """`auto` is the first GPU, else the CPU. Raises BadInput for a device that is not here."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise BadInput(f"no device {name!r} on this machine; use cpu or auto") from None
    return name


def has_gpu() -> bool:
    """Whether torch is here and has a GPU; torch is imported only where the system has a driver for one."""
    could = any(driver.exists() for driver in DRIVERS) and find_spec("torch") is not None
    if "torch" not in sys.modules and not could:
        return False
    import torch

    return torch.cuda.is_available()


def computed_by(backend: str, device: str | None = None) -> Literal["onnx", "torch"]:
    """What computes an encoder of the BERT family where `backend` is asked for, and `device` of torch.

    auto is torch where a device is named or there is a GPU, else onnxruntime, which begins in a tenth of the time.
    """
    if backend in ("onnx", "torch"):
        return backend  # type: ignore[return-value]
    return "torch" if device is not None or has_gpu() else "onnx"


def cpu_bfloat16() -> Literal["native", "emulated", "plain"]:
    """How this CPU multiplies bfloat16, within what ONEDNN_MAX_CPU_ISA allows. Nothing else here asks the processor.

    native: with instructions for it (AMX, AVX512_BF16), faster than float32. emulated: oneDNN multiplies it by way of
    float32, with the rest of AVX-512. plain: oneDNN refuses it, and torch's own kernels are several times slower.
    """
    import torch

    if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return "plain"
    native = has_amx() or torch.cpu._is_avx512_bf16_supported()
    return "native" if native else "emulated"


def bfloat16_is_native() -> bool:
    """Whether torch is here and `cpu_bfloat16` is native; torch is imported only where the processor's flags say so."""
    if "torch" not in sys.modules:
        try:
            flags = Path("/proc/cpuinfo").read_text()
        except OSError:
            return False
        if find_spec("torch") is None or not ("avx512_bf16" in flags or "amx_bf16" in flags):
            return False
    return cpu_bfloat16() == "native"


def has_amx() -> bool:
    """Whether this CPU multiplies tiles (AMX)."""
    import torch

    return torch.cpu._is_amx_tile_supported()


def compute_dtype(asked: str, device: str, *, auto: torch.dtype) -> torch.dtype:
    """The type asked for by its name, `auto` where that is "auto"; a note says where it is slow on this CPU."""
    if asked == "auto":
        return auto
    if asked == "bfloat16" and device == "cpu" and cpu_bfloat16() != "native":
        note(SLOW_BFLOAT16)
    import torch

    named: torch.dtype = getattr(torch, asked)
    return named


def cores() -> int:
    """How many cores this process may use: those it is bound to, within its container's quota; at least 1."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, (CONTROL_GROUP / "cpu.max").read_text().split())
    except (OSError, ValueError):  # no control group, or "max"
        return bound
    return max(1, min(bound, quota // period)) if period > 0 else bound


def threads() -> int:
    """How many threads compute: what the environment says, else as many as `cores`."""
    try:
        return int(os.environ.get(THREADS, "").split(",")[0]) or cores()
    except ValueError:
        return cores()


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

"""What every engine over a pipeline's folder does: where it computes, what its weights take, and letting go of them."""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from genarium.checkpoints.layouts.pipeline import read_pipeline
from genarium.devices import compute_dtype, cpu_bfloat16, pick_device
from genarium.engines.drawing import is_out_of_memory
from genarium.errors import BadInput
from genarium.progress import note


class FolderEngine(ABC):
    """A pipeline's folder that is computed here. Raises BadCheckpoint."""

    state_dicts = False  # whether `*.bin` is read where there is no safetensors file

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        self.name = name or str(path)
        self.folder = read_pipeline(path, state_dicts=self.state_dicts)
        self.device = device or pick_device("auto")
        self.dtype = _dtype(dtype, self.device)
        self._loaded: Any = None

    @abstractmethod
    def _part_dtype(self, name: str, count: int) -> torch.dtype:
        """What a part of so many weights is computed in."""

    def close(self) -> None:
        """Let go of what is loaded."""
        self._loaded = None
        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    @contextmanager
    def _letting_go_without_memory(self, what: str) -> Iterator[None]:
        """Where memory runs out inside the block, what was loaded is let go. Raises BadInput then."""
        try:
            yield
        except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.close()
            raise BadInput(
                f"memory ran out at {what} with {self.name}; choose a smaller size or a smaller model, or "
                "close other programs (what was finished is kept)"
            ) from None

    @cached_property
    def _weights(self) -> int:
        return self._weights_of(tuple(self.folder.parts))

    def _weights_of(self, names: tuple[str, ...]) -> int:
        """Bytes of these parts as they are computed with."""
        counts = {name: part.count() for name, part in self.folder.parts.items() if name in names}
        return sum(count * torch.finfo(self._part_dtype(name, count)).bits // 8 for name, count in counts.items())


def _dtype(asked: str, device: str) -> torch.dtype:
    """What the networks compute in. Half precision of the other kind (float16) is for GPUs alone."""
    fast = torch.bfloat16 if device != "cpu" or cpu_bfloat16() == "native" else torch.float32
    if asked == "float16" and device == "cpu":
        note(f"a CPU computes slowly or not at all in float16; {str(fast).split('.')[1]} is used")
        return fast
    return compute_dtype(asked, device, auto=fast)

"""What every engine over a diffusers folder does: plan, load, draw one image after another, let go of memory."""

from __future__ import annotations

import contextlib
import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genarium.checkpoints.layouts.pipeline import read_pipeline
from genarium.devices import compute_dtype, cpu_bfloat16, pick_device
from genarium.engines.image.diffusers.memory import MemoryPlan
from genarium.engines.image.protocol import NOTHING_TO_EXPLAIN, GeneratedImage, ImageRequest, Limits, is_out_of_memory
from genarium.engines.vision.word_maps import Attribution, WordMaps, spans_of
from genarium.errors import BadInput
from genarium.progress import emit, note


class FolderImage(ABC):
    """Makes images with a pipeline's folder. Raises BadCheckpoint."""

    state_dicts = False  # whether `*.bin` is read where there is no safetensors file

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        self.name = name or str(path)
        self.folder = read_pipeline(path, state_dicts=self.state_dicts)
        self.device = device or pick_device("auto")
        self.dtype = _dtype(dtype, self.device)
        self._loaded: Any = None

    @property
    @abstractmethod
    def limits(self) -> Limits: ...

    @abstractmethod
    def _plan(self, request: ImageRequest) -> MemoryPlan: ...

    @abstractmethod
    def _open(self, plan: MemoryPlan) -> Any:
        """The pipeline with its weights. Raises BadCheckpoint."""

    @abstractmethod
    def _paint(self, request: ImageRequest, row: int, seed: int) -> np.ndarray:
        """One image, (height, width, 3) uint8."""

    @abstractmethod
    def _part_dtype(self, name: str, count: int) -> torch.dtype: ...

    def memory(self, request: ImageRequest) -> int:
        return self._plan(request).bytes

    def generate(self, request: ImageRequest) -> Iterator[GeneratedImage]:
        """As the protocol says. Where memory runs out, what was loaded is let go. Raises BadInput, BadCheckpoint."""
        if request.explain:
            spans_of(request.prompt)  # a prompt without a word is refused before anything is loaded
        plan = self._plan(request)
        try:
            self._load(plan)
            self._tell_what_is_cut(request)
            for row, seed in enumerate(request.seeds):
                began = time.perf_counter()
                with self._watching(request) as looked:
                    pixels = self._paint(request, row, seed)
                explained = self._word_maps(request.prompt, looked) if looked is not None else None
                yield GeneratedImage(row, seed, pixels, {"seconds": time.perf_counter() - began}, explained)
        except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.close()
            width, height = request.size or self.limits.size
            raise BadInput(
                f"memory ran out at {width}x{height} with {self.name}; choose a smaller size or a smaller model, or "
                "close other programs (what was finished is kept)"
            ) from None

    def close(self) -> None:
        """Let go of what is loaded."""
        self._loaded = None
        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    @cached_property
    def _weights(self) -> int:
        return self._weights_of(tuple(self.folder.parts))

    def _weights_of(self, names: tuple[str, ...]) -> int:
        """Bytes of these parts as they are computed with."""
        counts = {name: part.count() for name, part in self.folder.parts.items() if name in names}
        return sum(count * torch.finfo(self._part_dtype(name, count)).bits // 8 for name, count in counts.items())

    def _load(self, plan: MemoryPlan) -> None:
        if self._loaded is None:
            emit("loading", preview=self.name)
            self._loaded = self._open(plan)
        if plan.tiled:
            note("memory is short for this size: the picture is decoded in tiles, which can show at their seams")
        if hasattr(getattr(self._loaded, "vae", None), "enable_tiling"):
            (self._loaded.vae.enable_tiling if plan.tiled else self._loaded.vae.disable_tiling)()

    def _tell_what_is_cut(self, request: ImageRequest) -> None:  # noqa: B027
        """Say what no text encoder reads of a prompt that is too long; an engine that tells nothing cuts nothing."""

    @contextlib.contextmanager
    def _watching(self, request: ImageRequest) -> Iterator[Attribution | None]:
        """Inside the block, what the denoiser looks at is summed, where that is asked for."""
        if request.explain:
            raise BadInput(f"{self.name} {NOTHING_TO_EXPLAIN}; leave out explain")
        yield None

    def _word_maps(self, prompt: str, looked: Attribution) -> WordMaps:
        raise BadInput(f"{self.name} {NOTHING_TO_EXPLAIN}; leave out explain")


def _dtype(asked: str, device: str) -> torch.dtype:
    """What the networks compute in. Half precision of the other kind (float16) is for GPUs alone."""
    fast = torch.bfloat16 if device != "cpu" or cpu_bfloat16() == "native" else torch.float32
    if asked == "float16" and device == "cpu":
        note(f"a CPU computes slowly or not at all in float16; {str(fast).split('.')[1]} is used")
        return fast
    return compute_dtype(asked, device, auto=fast)

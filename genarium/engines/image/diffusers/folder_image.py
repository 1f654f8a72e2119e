"""What every engine over a diffusers folder does: plan, load, draw one image after another, let go of memory."""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from genarium.engines.diffusers.folder import FolderEngine
from genarium.engines.image.diffusers.memory import MemoryPlan
from genarium.engines.image.protocol import NOTHING_TO_EXPLAIN, GeneratedImage, ImageRequest, Limits
from genarium.engines.vision.word_maps import Attribution, WordMaps, spans_of
from genarium.errors import BadInput
from genarium.progress import emit, note


class FolderImage(FolderEngine):
    """Makes images with a pipeline's folder. Raises BadCheckpoint."""

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

    def memory(self, request: ImageRequest) -> int:
        return self._plan(request).bytes

    def generate(self, request: ImageRequest) -> Iterator[GeneratedImage]:
        """As the protocol says. Where memory runs out, what was loaded is let go. Raises BadInput, BadCheckpoint."""
        if request.explain:
            spans_of(request.prompt)  # a prompt without a word is refused before anything is loaded
        plan = self._plan(request)
        width, height = request.size or self.limits.size
        with self._letting_go_without_memory(f"{width}x{height}"):
            self._load(plan)
            self._tell_what_is_cut(request)
            for row, seed in enumerate(request.seeds):
                began = time.perf_counter()
                with self._watching(request) as looked:
                    pixels = self._paint(request, row, seed)
                explained = self._word_maps(request.prompt, looked) if looked is not None else None
                yield GeneratedImage(row, seed, pixels, {"seconds": time.perf_counter() - began}, explained)

    def _load(self, plan: MemoryPlan) -> None:
        if self._loaded is None:
            emit("loading", preview=self.name)
            self._loaded = self._open(plan)
        if plan.tiled:
            note("memory is short for this size: the picture is decoded in tiles, which can show at their seams")
        if hasattr(getattr(self._loaded, "vae", None), "enable_tiling"):
            (self._loaded.vae.enable_tiling if plan.tiled else self._loaded.vae.disable_tiling)()

    def _tell_what_is_cut(self, request: ImageRequest) -> None:
        """Say what no text encoder reads of a prompt that is too long; an engine that tells nothing cuts nothing."""

    @contextlib.contextmanager
    def _watching(self, request: ImageRequest) -> Iterator[Attribution | None]:
        """Inside the block, what the denoiser looks at is summed, where that is asked for."""
        if request.explain:
            raise BadInput(f"{self.name} {NOTHING_TO_EXPLAIN}; leave out explain")
        yield None

    def _word_maps(self, prompt: str, looked: Attribution) -> WordMaps:
        raise BadInput(f"{self.name} {NOTHING_TO_EXPLAIN}; leave out explain")

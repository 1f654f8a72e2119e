"""A denoiser whose every answer is kept until its run is finished: a killed one continues after the last of them.

Samplers are functions of what the denoiser says, and of generators that begin at the seed. So a run that is made again
with the answers that there are walks the same way to the same bytes, whatever the sampler remembers of earlier steps.
"""

from __future__ import annotations

import hashlib
import time

import numpy as np
import torch
from torch import Tensor

from genarium.diffusion.samplers import Denoise
from genarium.progress import note
from genarium.rows import rows

MEASURED = 2
"""Answers by whose seconds it is told how long the others take."""
WORTH_TELLING = 10.0
"""Seconds."""


class Recorded:
    """A `Denoise` of which `total` answers are wanted, kept under `name`; `keeps` false only tells how long they take.

    Raises StorageError where the disk is full: what was kept before stays.
    """

    def __init__(self, denoise: Denoise, name: str, total: int, *, keeps: bool = True):
        self.denoise, self.name, self.total, self.keeps = denoise, name, total, keeps
        self.calls = self.made = 0
        self.seconds = 0.0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        name = f"{self.name}-{self.calls}"
        asked = hashlib.sha256(_bytes(x) + _bytes(t)).digest()
        if self.keeps and (kept := rows().kept(name)) is not None and kept.startswith(asked):
            found = np.frombuffer(bytearray(kept[len(asked) :]), np.float32)
            if found.size == x.numel():
                return torch.from_numpy(found).view_as(x).to(x.device)
        began = time.perf_counter()
        if self.calls > 1 and not self.made:
            note(f"{self.calls - 1} of {self.total} steps were done before this run was stopped; it continues there")
        answer = self.denoise(x, t).float()
        self.made += 1
        self.seconds += time.perf_counter() - began
        if self.keeps:
            rows().keep(name, asked + _bytes(answer))
        self._tell()
        return answer

    def _tell(self) -> None:
        left = (self.total - self.calls) * self.seconds / self.made
        if self.made == MEASURED and left > WORTH_TELLING:
            note(f"a step takes {self.seconds / self.made:.1f} seconds; {self.total - self.calls} more {_about(left)}")


def _about(seconds: float) -> str:
    return f"take about {seconds / 60:.0f} minutes" if seconds >= 100 else f"take about {seconds:.0f} seconds"


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().float().cpu().contiguous().numpy().tobytes()

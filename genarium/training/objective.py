"""What a family gives the loop: networks, batches, and how one update is made of them."""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genarium.training.settings import Settings, make_optimizers, resolve_compile, resolve_precision

Models = Mapping[str, nn.Module]
Optimizers = Mapping[str, Sequence[torch.optim.Optimizer]]
ONLY = "model"
"""The name of the network where there is but one."""


class NotFinite(ArithmeticError):
    """A loss or a gradient is not a number; the weights are still those from before."""


class Compute:
    """How a run computes: what its settings come to for these networks."""

    def __init__(self, settings: Settings, models: Models):
        self.settings = settings
        together = nn.ModuleDict(dict(models))
        self.precision = resolve_precision(settings, together)
        self.compiles = resolve_compile(settings, together)
        self._compiled: dict[Any, Callable[..., Any]] = {}

    @cached_property
    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Inside the block matrices are multiplied in the run's precision."""
        if self.precision == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.settings.device.split(":")[0], dtype=self.precision)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, compiled where the run compiles."""
        if not self.compiles:
            return function
        if function not in self._compiled:
            self._compiled[function] = torch.compile(function, dynamic=False)
        return self._compiled[function]


@dataclass(frozen=True)
class Batch:
    """What one update is made from: the parts of `grad_accumulation` batches, on the run's device, drawn one by one.

    `number` counts updates from 0.
    """

    number: int
    draw: Callable[[int], tuple[Tensor, ...]]
    compute: Compute

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for micro in range(len(self)):
            parts = self.draw(self.number * len(self) + micro)
            yield tuple(part.to(self.compute.settings.device) for part in parts)

    def __len__(self) -> int:
        return self.compute.settings.grad_accumulation

    def generator(self) -> torch.Generator:
        """Random numbers that are a function of the run's seed and the update's number alone, on the CPU.

        What depends on the weights, as rollouts do, is drawn from these: a killed run then draws the same again.
        """
        words = np.random.SeedSequence([self.compute.settings.seed, self.number]).generate_state(2, np.uint32)
        return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)

    def descend(self, loss: Tensor, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> float:
        """One update of one network by the gradient of `loss` alone; the loss as a number. Raises NotFinite."""
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)  # another network's loss may have left something here
        loss.backward()
        return self.apply(float(loss.detach()), model, optimizers)

    def apply(self, value: float, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> float:
        """Clip the gradients there are and update by them; `value`, their loss. Raises NotFinite, nothing changed."""
        trained = [p for p in model.parameters() if p.requires_grad]
        norm = float(nn.utils.clip_grad_norm_(trained, self.compute.settings.grad_clip))
        if not math.isfinite(value) or not math.isfinite(norm):
            raise NotFinite
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return value


class Objective(ABC):
    """What is learned. Of one network it is a `loss`; of several, or by rollouts, a `step` of its own.

    The loop owns the rest: the learning rate's schedule, the running mean of the weights, the state on disk.
    """

    model: nn.Module
    """The network where there is one; several are in `models`, each with its name."""
    identity: dict[str, Any]
    """What must be the same for a run to be continued: the data's digest, the network's config."""
    loss: Callable[..., Tensor]
    """From the parts of a batch to their mean loss, a scalar."""
    memory: dict[str, Any] | None = None
    """What else `step` and `evaluate` go by and change, as an adaptive coefficient: JSON, kept with the state."""

    @property
    def models(self) -> Models:
        return {ONLY: self.model}

    def optimizers(self, settings: Settings) -> Optimizers:
        """Of each network its own. The loop sets their learning rates before each step."""
        return {name: make_optimizers(model, settings) for name, model in self.models.items()}

    @abstractmethod
    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Batch `index` of the run: a function of the seed and the index alone."""

    def step(self, models: Models, optimizers: Optimizers, batch: Batch) -> float:
        """One update, and the loss to show. This one descends the mean of `loss` over the batch's parts.

        What it draws at random comes from `batch.generator()`, or from torch's own generator, whose state is kept.
        Raises NotFinite.
        """
        (name,) = models
        total = torch.zeros((), device=batch.compute.settings.device)
        for parts in batch:
            with batch.compute.autocast:
                loss = batch.compute.compiled(self.loss)(*parts)
            (loss / len(batch)).backward()
            total += loss.detach()
        return batch.apply(float(total) / len(batch), models[name], optimizers[name])

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Figures on data not trained on; `loss` is the one plotted."""

    @abstractmethod
    def preview(self, step: int) -> str:
        """A sample of what the model makes at this step, to read along the way."""

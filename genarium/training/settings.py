"""What a training run is told, apart from the network and the data."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from genarium.devices import compute_dtype, cpu_bfloat16, has_amx
from genarium.errors import BadInput
from genarium.training.optimizers import Muon


@dataclass(frozen=True)
class Settings:
    """Steps count optimiser updates; one update sees `grad_accumulation` batches."""

    steps: int = 2000
    grad_accumulation: int = 1
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 1e-3
    min_learning_rate: float = 1e-4
    warmup_steps: int = 100
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.99
    grad_clip: float = 1.0
    ema: float = 0.0
    """What is kept of the running mean of the weights at each step; 0 for no mean. The mean is the result."""
    evaluate_every: int = 250
    checkpoint_minutes: float = 5.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    device: str = "cpu"
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then a cosine down to `min_learning_rate` (Loshchilov and Hutter 2016, arXiv:1608.03983)."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        return self.min_learning_rate + share * (self.learning_rate - self.min_learning_rate)


def resolve_precision(settings: Settings, model: nn.Module) -> torch.dtype:
    """bfloat16 on a GPU, and on a CPU that multiplies it natively where the matrices are large enough to gain.

    Measured on two cores with AMX: at width 128 casting costs more than it saves (33 against 25 ms a step),
    at width 320 it is 2.8 times faster; with AVX512_BF16 alone it gains at width 128 too, 27 against 36 ms
    (`benchmarks/README.md`). Raises BadInput for bfloat16 on a CPU that multiplies it in torch's slow kernels only.
    """
    if settings.precision != "auto":
        if settings.precision == "bfloat16" and settings.device == "cpu" and cpu_bfloat16() == "plain":
            raise BadInput(
                "this processor has no instructions for bfloat16 and trains in it several times slower than in "
                "float32; choose precision float32, or auto"
            )
        return compute_dtype(settings.precision, settings.device, auto=torch.float32)
    if settings.device != "cpu":
        return torch.bfloat16
    widest = max((min(p.shape) for p in model.parameters() if p.dim() == 2), default=0)
    enough = 256 if has_amx() else 128
    return torch.bfloat16 if cpu_bfloat16() == "native" and widest >= enough else torch.float32


def resolve_compile(settings: Settings, model: nn.Module) -> bool:
    """Compile where there is a compiler and enough work to repay it: over a million weights, 500 steps or more."""
    if settings.compile != "auto":
        return settings.compile == "on"
    compiler = settings.device != "cpu" or shutil.which("g++") or shutil.which("clang++")
    return bool(compiler) and settings.steps >= 500 and sum(p.numel() for p in model.parameters()) > 1_000_000


def make_optimizers(model: nn.Module, settings: Settings) -> list[torch.optim.Optimizer]:
    """AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101), decaying matrices only.

    With `muon`, the matrices inside the network are orthogonalised updates instead (Jordan et al. 2024; scaled
    as in Liu et al. 2025, arXiv:2502.16982); embeddings, head, norms and biases stay with AdamW.
    """
    named = {id(p): (name, p) for name, p in model.named_parameters() if p.requires_grad}
    matrices = [p for name, p in named.values() if p.dim() >= 2]
    vectors = [p for name, p in named.values() if p.dim() < 2]
    inner = []
    if settings.optimizer == "muon":
        inner = [p for name, p in named.values() if p.dim() == 2 and "embedding" not in name and "head" not in name]
        taken = {id(p) for p in inner}
        matrices = [p for p in matrices if id(p) not in taken]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    betas = (settings.beta1, settings.beta2)
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.learning_rate, betas=betas, fused=True)
    ]
    if inner:
        optimizers.append(Muon(inner, lr=settings.learning_rate, weight_decay=settings.weight_decay))
    return optimizers

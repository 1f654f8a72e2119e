"""How far back a language model looks: its loss by position in a long text, and the gradient by distance.

A state of one size must forget; the gradient through it fades with each step (Hochreiter 1991; Bengio et al. 1994;
Pascanu et al. 2013, arXiv:1211.5063), which is what attention was invented for (Bahdanau et al. 2014, arXiv:1409.0473).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.files import write_atomically
from genarium.progress import emit, note
from genarium.training.report import save_figure

CONTEXT = 512
"""Tokens of the texts that are looked at."""
DISTANCE = 200
"""Tokens back that the gradient is looked for, in texts that begin a quarter before."""
MOST_WINDOWS = 128
ROWS = 16
"""Windows at once."""


@dataclass(frozen=True)
class Memory:
    """`loss[p]`: nats of a token with p + 1 before it; `gradient[k - 1]`: of a token's loss by the embedding k back."""

    windows: int
    loss: list[float]
    gradient: list[float]


def measure(model: nn.Module, tokens: Tensor, *, context: int = CONTEXT) -> Memory | None:
    """Means over windows of `context` tokens beside each other in `tokens`; None where there is not one.

    `model` is from tokens (B, T) to logits (B, T, V) and has an `embedding`.
    """
    rows = list(_windows(tokens, context))
    if not rows:
        return None
    emit("measuring", preview="how far back it looks")
    losses = np.concatenate([loss_by_position(model, some) for some in rows])
    gradients = np.concatenate(
        [gradient_by_distance(model, some[:, -(DISTANCE + DISTANCE // 4) - 1 :]) for some in rows]
    )
    return Memory(len(losses), losses.mean(axis=0).tolist(), gradients.mean(axis=0).tolist())


def _windows(tokens: Tensor, context: int) -> Iterator[Tensor]:
    """Texts with the token that follows, (rows, context + 1), spread over all there is."""
    count = min(MOST_WINDOWS, (len(tokens) - 1) // context)
    starts = np.linspace(0, len(tokens) - 1 - context, max(0, count)).astype(int)
    for first in range(0, count, ROWS):
        yield torch.stack([tokens[start : start + context + 1].long() for start in starts[first : first + ROWS]])


@torch.inference_mode()
def loss_by_position(model: nn.Module, rows: Tensor) -> np.ndarray:
    """Nats of each token but the first, (B, T), of `rows` (B, T + 1)."""
    rows = rows.to(next(model.parameters()).device)
    logits = model(rows[:, :-1]).float()
    losses = F.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")
    found: np.ndarray = losses.double().cpu().numpy()
    return found


def gradient_by_distance(model: Any, rows: Tensor) -> np.ndarray:
    """|d loss of the last token / d embedding of the token k back|, (B, K), k = 1 … K, of `rows` (B, T + 1)."""
    rows = rows.to(next(model.parameters()).device)
    read: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        read.append(output.detach().requires_grad_())
        return read[0]

    hook = model.embedding.register_forward_hook(keep)
    try:
        # cuDNN derives what it has computed for training only.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            loss = F.cross_entropy(model(rows[:, :-1])[:, -1].float(), rows[:, -1], reduction="sum")
            (gradient,) = torch.autograd.grad(loss, read)
    finally:
        hook.remove()
    norms: np.ndarray = gradient.norm(dim=-1).double().cpu().numpy()
    return norms[:, ::-1][:, :DISTANCE]


def report(model: nn.Module, tokens: Tensor, folder: Path, *, name: str, trained: int) -> None:
    """`memory.png` and `memory.json` of a model that was trained on windows of `trained` tokens."""
    memory = measure(model, tokens)
    if memory is None:
        note(f"the validation text has less than {CONTEXT} tokens, so how far back the model looks is not measured")
        return
    write_atomically(folder / "memory.json", json.dumps(asdict(memory), indent=2).encode() + b"\n")
    plot({name: memory}, folder / "memory.png", trained=trained)


def smoothed(values: list[float], width: int) -> np.ndarray:
    """The mean of the `width` values around each; of fewer where the list begins, as many on both sides, and ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    before = np.minimum(width // 2, places)
    after = np.minimum(before, places[::-1])
    smooth: np.ndarray = (sums[places + after + 1] - sums[places - before]) / (before + after + 1)
    return smooth


def plot(memories: dict[str, Memory], file: Path, *, trained: int | None = None) -> None:
    """Both curves of each, as a PNG. `trained`: how far its training looked, drawn as a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (name, memory) in enumerate(memories.items()):
        positions = np.arange(1, len(memory.loss) + 1)
        if len(memories) == 1:
            left.plot(positions, memory.loss, color=f"C{number}", alpha=0.2, linewidth=0.8)
        left.plot(positions, smoothed(memory.loss, 33), color=f"C{number}", label=name)
        right.plot(np.arange(1, len(memory.gradient) + 1), memory.gradient, color=f"C{number}", label=name)
    if trained is not None:
        for axes in (left, right):
            if trained <= axes.get_xlim()[1]:
                axes.axvline(trained, color="grey", linestyle=":", label="end of the training window")
    settled = np.concatenate([smoothed(memory.loss, 33)[8:] for memory in memories.values()])
    left.set_ylim(max(0.0, settled.min() - 0.15), settled.max() + 0.15)
    left.set(title="Validation loss by position", xlabel="tokens read before", ylabel="loss (nats a token)")
    right.set(title="What a token's loss owes to the token k back", xlabel="k", ylabel="norm of the gradient")
    right.set_yscale("log")
    for axes in (left, right):
        axes.legend()
        axes.grid(alpha=0.3)
    save_figure(figure, file)

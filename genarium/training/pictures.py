"""Where training takes pictures from: composed scenes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from genarium.errors import BadInput
from genarium.files import write_atomically

if TYPE_CHECKING:
    from genarium.data.scenes import World

M = TypeVar("M", bound=nn.Module)
Pictures = tuple[np.ndarray, list[str]]


class Source(Protocol):
    """Pictures (n, size, size, 3) uint8 and their captions, by number: the same number, the same picture."""

    size: int
    identity: dict[str, Any]

    def train(self, first: int, n: int) -> Pictures: ...

    def heldout(self, first: int, n: int) -> Pictures: ...


class Scenes:
    """Composed scenes, endless. What is held out asks for pairs that training never shows."""

    def __init__(self, size: int, *, snap: int, seed: int):
        from genarium.data.scenes import World

        self.size, self.seed = size, seed
        self.world: World = World(size, snap=snap)
        self.identity: dict[str, Any] = {"scenes": {"size": size, "snap": snap, "seed": seed}}

    def train(self, first: int, n: int) -> Pictures:
        return self.world.arrays(self.seed, first, n)

    def heldout(self, first: int, n: int) -> Pictures:
        return self.world.arrays(self.seed, first, n, "heldout")


def channels_last(model: M) -> M:
    """The model with its convolutions' weights as its pictures are: channels last in memory."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def write_sheet(folder: Path, step: int, rows: Sequence[np.ndarray], *, scale: int = 2) -> str:
    """Rows of pictures (n, H, W, 3), one under the other and enlarged, as a PNG among the folder's sheets; its name."""
    lines = [np.concatenate(list(row), axis=1) for row in rows]
    whole = np.concatenate(lines, axis=0).repeat(scale, axis=0).repeat(scale, axis=1)
    out = io.BytesIO()
    Image.fromarray(whole).save(out, "png")
    name = f"sheets/{step:07}.png"
    write_atomically(folder / name, out.getvalue())
    return name


def source_of(data: str, size: int, *, seed: int, captioned: bool = False) -> Source:
    """The pictures that `data` names. Raises BadInput."""
    if data != "scenes":
        raise BadInput(f"no pictures called {data!r}; there are `scenes`, composed ones")
    return Scenes(size, snap=size // 8, seed=seed)

"""`python scripts/train_scene_checker.py FOLDER` trains the checker's detector on crowded, roughened scenes.

With `--turned` it learns what moving scenes show as well: things at any angle, and of any side in between.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from genarium.data.layers import Pose, overlaid
from genarium.scenes.backgrounds import VARIANTS, background
from genarium.scenes.degrade import roughen
from genarium.scenes.detector import PIXELS, SHADES, SIDE, STRIDE, Detector
from genarium.scenes.dice import Dice
from genarium.scenes.kinds import BACKGROUNDS, KINDS, SIZES
from genarium.scenes.motions import TURNS
from genarium.scenes.sprites import layer, paste, sprite
from genarium.training.loop import fit
from genarium.training.objective import Objective
from genarium.training.settings import Settings

_NAMES = tuple(KINDS)
_CELLS = SIDE // STRIDE
_MIDDLES = np.arange(_CELLS) * STRIDE + STRIDE / 2


_LEAST, _MOST = 14, 36
"""Pixels of a side of things that grow and shrink."""


def turned(dice: Dice) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """As `crowded`, of things at any angle and of any side, drawn as frames of moving scenes are.

    Some backgrounds are turning into another, and some things stand in flocks, side by side.
    """
    where, under = _turning(dice) if dice.chance(0.25) else _still(dice)
    heat = np.zeros((_CELLS, _CELLS), dtype=np.float32)
    parts = np.full((3, _CELLS, _CELLS), -1, dtype=np.int64)
    boxes: list[tuple[float, float, float]] = []
    layers, poses = [], []
    flock, name, angle = dice.chance(0.5), dice.pick(_NAMES), 0.0
    for _ in range(10):
        side = dice.pick(tuple(PIXELS.values())) if dice.chance(0.5) else _LEAST + dice.uniform() * (_MOST - _LEAST)
        if flock and dice.chance(0.6):
            side = PIXELS["small"]
        x, y = (side / 2 + dice.uniform() * (SIDE - side) for _ in range(2))
        if flock and boxes:
            (x, y, side), ways = dice.pick(boxes), ((1, 0), (-1, 0), (0, 1), (0, -1))
            right, down = dice.pick(ways)
            x, y = x + right * side, y + down * side
        if not all(side / 2 <= middle <= SIDE - side / 2 for middle in (x, y)):
            continue
        if any(max(abs(x - bx), abs(y - by)) < (side + b) / 2 - 1e-6 for bx, by, b in boxes):
            continue
        boxes.append((x, y, side))
        if not flock or len(boxes) == 1:
            name = dice.pick(_NAMES)
            angle = dice.uniform() * 2 * math.pi if dice.chance(0.5) else 0.0
        kind = KINDS[name]
        colour = dice.pick(kind.colours) if kind.colours and dice.chance(0.7) else None
        layers.append(layer(name, colour))
        poses.append([Pose(x / SIDE, y / SIDE, side / SIDE, angle, dice.chance(0.5))])
        size = min(range(len(SIZES)), key=lambda place: abs(PIXELS[SIZES[place]] - side))
        _mark(heat, parts, x, y, side, (_NAMES.index(name), SHADES.index(colour or kind.natural or "natural"), size))
        if len(boxes) == 6 or dice.chance(0.12):
            break
    frame = overlaid(under[None], layers, poses)[0]
    return (frame.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy(), heat, parts, where


def _still(dice: Dice) -> tuple[int, Tensor]:
    where = dice.below(len(BACKGROUNDS))
    return where, to_unit(background(BACKGROUNDS[where], dice.below(VARIANTS), SIDE))


def _turning(dice: Dice) -> tuple[int, Tensor]:
    """A background on the way to another, by the name of the nearer one."""
    pair, variant, share = dice.pick(tuple(TURNS)), dice.below(VARIANTS), dice.uniform()
    first, then = (to_unit(background(name, variant, SIDE)) for name in pair)
    return BACKGROUNDS.index(pair[share > 0.5]), first * (1 - share) + then * share


def to_unit(pixels: np.ndarray) -> Tensor:
    """(height, width, 3) uint8 to (3, height, width) from 0 to 1."""
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)


def _mark(heat: np.ndarray, parts: np.ndarray, x: float, y: float, side: float, named: tuple[int, int, int]) -> None:
    """A thing's middle in the heat map, and its kind, shade and size in the cells that are surely its own."""
    away = (_MIDDLES[None] - x) ** 2 + (_MIDDLES[:, None] - y) ** 2
    np.maximum(heat, np.exp(-away / (2 * (0.12 * side + 0.6) ** 2)).astype(np.float32), out=heat)
    nearest = away == away.min()
    heat[nearest] = 1.0
    inside = (away < (0.26 * side) ** 2) | nearest
    parts[:, inside] = np.array(named)[:, None]


def crowded(dice: Dice) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """A picture with up to six objects anywhere, its heat map, and the kind, shade and size of each cell (-1: none)."""
    where = dice.below(len(BACKGROUNDS))
    canvas = background(BACKGROUNDS[where], dice.below(VARIANTS), SIDE).copy()
    heat = np.zeros((_CELLS, _CELLS), dtype=np.float32)
    parts = np.full((3, _CELLS, _CELLS), -1, dtype=np.int64)
    boxes: list[tuple[int, int, int]] = []
    for _ in range(10):
        size = dice.below(len(SIZES)) if dice.chance(0.7) else 1
        pixels = PIXELS[SIZES[size]]
        x, y = dice.below(SIDE - pixels + 1), dice.below(SIDE - pixels + 1)
        if any(x < bx + b and bx < x + pixels and y < by + b and by < y + pixels for bx, by, b in boxes):
            continue
        boxes.append((x, y, pixels))
        # A little larger or smaller than it should be, as generated things are.
        drawn = pixels if dice.chance(0.7) else max(14, min(SIDE - max(x, y), pixels + dice.below(5) - 2))
        name = dice.pick(_NAMES)
        kind = KINDS[name]
        colour = dice.pick(kind.colours) if kind.colours and dice.chance(0.7) else None
        paste(canvas, x, y, sprite(name, colour, drawn, dice.chance(0.5)))
        named = (_NAMES.index(name), SHADES.index(colour or kind.natural or "natural"), size)
        _mark(heat, parts, x + drawn / 2, y + drawn / 2, drawn, named)
        if len(boxes) == 6 or dice.chance(0.12):
            break
    return canvas, heat, parts, where


class Seeing(Objective):
    """The objective: heat by focal loss, what cells are part of and the background by cross-entropy."""

    def __init__(self, batch_size: int, seed: int, *, turned: bool = False, init_from: Path | None = None):
        self.model = Detector()
        if init_from is not None:
            self.model.load_state_dict({name: tensor.float() for name, tensor in load_file(init_from).items()})
        self.turned = turned
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.batch_size, self.seed = batch_size, seed
        self.identity: dict[str, Any] = {"family": "scene checker", "batch_size": batch_size, "turned": turned}

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Pictures (b, 3, 64, 64), heat (b, 16, 16), parts (b, 3, 16, 16), backgrounds (b,)."""
        return self._made(self.seed, index)

    def _made(self, seed: int, index: int) -> tuple[Tensor, ...]:
        draw = turned if self.turned else crowded
        made = [draw(Dice(seed, index, place)) for place in range(self.batch_size)]
        images, heat, parts, where = zip(*made, strict=True)
        seen = roughen(np.stack(images), seed * 1_000_003 + index)
        return (
            seen.contiguous(memory_format=torch.channels_last),
            torch.from_numpy(np.stack(heat)),
            torch.from_numpy(np.stack(parts)),
            torch.tensor(where),
        )

    def loss(self, images: Tensor, heat: Tensor, parts: Tensor, where: Tensor) -> Tensor:
        """Penalty-reduced focal loss (CornerNet, arXiv:1808.01244, equation 1) and cross-entropies."""
        centres, *logits, background = self.model(images)
        centres = centres[:, 0]
        sure, unsure = F.logsigmoid(centres), F.logsigmoid(-centres)
        hit = heat == 1
        focal = torch.where(hit, (1 - sure.exp()) ** 2 * sure, (1 - heat) ** 4 * sure.exp() ** 2 * unsure)
        total = -focal.sum() / hit.sum() + 0.5 * F.cross_entropy(background, where)
        for number, (map_logits, weight) in enumerate(zip(logits, (1.0, 0.5, 0.5), strict=True)):
            total = total + weight * F.cross_entropy(map_logits, parts[:, number], ignore_index=-1)
        return total

    def evaluate(self) -> dict[str, float]:
        """Loss on scenes of another seed, and how often the cell at a centre has its kind, shade and size right."""
        losses, right, count = [], torch.zeros(3), 0
        for index in range(4):
            images, heat, parts, where = self._made(self.seed + 1, index)
            losses.append(float(self.loss(images, heat, parts, where)))
            _, *logits, _ = self.model(images)
            hit = (heat == 1) & (parts[:, 0] >= 0)
            count += int(hit.sum())
            right += torch.stack([(m.argmax(1)[hit] == parts[:, n][hit]).sum() for n, m in enumerate(logits)])
        kind, shade, size = (right / count).tolist()
        return {"loss": sum(losses) / len(losses), "kind": kind, "shade": shade, "size": size}

    def preview(self, step: int) -> str:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python scripts/train_scene_checker.py", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the run is kept")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--turned", action="store_true", help="things at any angle and of any side")
    parser.add_argument("--init-from", type=Path, help="weights to continue from")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(given.seed)
    objective = Seeing(given.batch_size, given.seed, turned=given.turned, init_from=given.init_from)
    settings = Settings(
        steps=given.steps,
        learning_rate=given.learning_rate,
        min_learning_rate=2e-5,
        weight_decay=0.02,
        precision="auto",
        compile="off",
        checkpoint_minutes=1,
        seed=given.seed,
    )
    fit(objective, settings, given.folder)
    weights = {name: tensor.half().contiguous() for name, tensor in objective.model.state_dict().items()}
    save_file(weights, given.folder / "checker.safetensors")


if __name__ == "__main__":
    main()

"""Plans of clips: what stands where, where each thing goes and how, and what the background turns into.

As a plan of a picture (`models.plan`), with two backgrounds (the first and the last), and of each thing a motion and
two boxes, where it begins and where it ends, which keep to the motion. A clip is drawn by it in layers: its first
background, and each thing as large as a picture shows one, side by side on one map (an atlas), which frames take from.
What a thing looks like is settled once, and where it is by the plan: neither changes by chance from frame to frame.

Shapes: B batch, L tokens of a plan, M model width, n cells along a side of a frame, m along that of a thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.plan import ANY, NONE, Boxes, Writing, slots_of

BACKGROUNDS = 2
OF_A_THING = 7
_ORDER = (1, 2, 5, 3, 4, 3, 4)
"""The slots of a thing's tokens: kind, colour, motion, side and place where it begins, side and place where it ends."""
_ACROSS = {"left": ((-1, 0),), "right": ((1, 0),), "up": ((0, -1),), "down": ((0, 1),), "fly": ((-1, 0), (1, 0))}
"""Motions that go somewhere, and which ways (right and down); of the others grow and shrink change the side."""
LEAST, ASIDE = 2, 1
"""Cells that what goes across goes at least, and how many aside at most."""


Corners = tuple[int, int, int, int]
Number = TypeVar("Number", int, Tensor)


@dataclass(frozen=True)
class Moved:
    """A thing to be drawn; `start` and `end` are (left, top, side) of its box, in cells."""

    kind: str
    colour: str | None
    start: tuple[int, int, int]
    end: tuple[int, int, int]
    motion: str

    def keeps(self) -> bool:
        """Whether its boxes keep to its motion."""
        (x, y, side), (left, top, last) = self.start, self.end
        return bool(_sized(self.motion, side, last) and _goes(self.motion, (x, y, side), left, top, last))


@dataclass(frozen=True)
class MovingPlan:
    background: str
    then: str
    things: tuple[Moved, ...]

    def ways(self) -> list[tuple[Corners, Corners, str]]:
        """Of each thing the boxes (left, top, right, bottom) where it begins and ends, in cells, and its motion."""
        return [(_corners(*one.start), _corners(*one.end), one.motion) for one in self.things]

    def __str__(self) -> str:
        turns = self.background if self.then == self.background else f"{self.background} to {self.then}"
        named = (
            f"{thing.colour + ' ' if thing.colour else ''}{thing.kind} {thing.start} to {thing.end}, {thing.motion}"
            for thing in self.things
        )
        return "; ".join((turns, *named))


@dataclass(frozen=True)
class MovingPlanWords:
    """What plans of clips can say, and the tokens of it: NONE, then backgrounds, kinds, colours (a thing's own first),
    sides, places, row by row, and motions."""

    backgrounds: tuple[str, ...]
    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    motions: tuple[str, ...]
    side: int = 8  # n
    most: int = 4  # things
    thing: int = 4  # m

    @property
    def length(self) -> int:
        return BACKGROUNDS + OF_A_THING * self.most

    @property
    def slots(self) -> tuple[tuple[int, int], ...]:
        """First token, and the one after the last, of backgrounds, kinds, colours, sides, places and motions."""
        named = (len(self.backgrounds), len(self.kinds), 1 + len(self.colours))
        return slots_of(*named, self.side, self.side**2, len(self.motions))

    @property
    def n_tokens(self) -> int:
        return self.slots[-1][1]

    def slot(self, position: int) -> int:
        """Which of the slots a position of a plan is."""
        return 0 if position < BACKGROUNDS else _ORDER[(position - BACKGROUNDS) % OF_A_THING]

    def writing(self) -> Writing:
        return _Writing(self)

    def embedding(self, d_model: int) -> nn.Module:
        return AtlasEmbedding(self, d_model)

    def write(self, plan: MovingPlan) -> list[int]:
        """L tokens. Raises ValueError for what plans can't say."""
        background, kind, colour, _, _, motion = (first for first, _ in self.slots)
        if len(plan.things) > self.most:
            raise ValueError(f"a plan has at most {self.most} things, not {len(plan.things)}")
        row = [background + self.backgrounds.index(name) for name in (plan.background, plan.then)]
        for thing in plan.things:
            row += [kind + self.kinds.index(thing.kind)]
            row += [colour + (1 + self.colours.index(thing.colour) if thing.colour else 0)]
            row += [motion + self.motions.index(thing.motion)]
            row += [token for box in (thing.start, thing.end) for token in self._of_box(*box)]
        return row + [NONE] * (self.length - len(row))

    def read(self, row: list[int]) -> MovingPlan:
        """What L tokens with backgrounds say."""
        background, kind, colour, _, _, motion = (first for first, _ in self.slots)
        things = []
        for first in range(BACKGROUNDS, self.length, OF_A_THING):
            k, c, m, *boxes = row[first : first + OF_A_THING]
            if k == NONE:
                break
            named = None if c == colour else self.colours[c - colour - 1]
            start, end = (self._box(*boxes[place : place + 2]) for place in (0, 2))
            things.append(Moved(self.kinds[k - kind], named, start, end, self.motions[m - motion]))
        before, then = (self.backgrounds[token - background] for token in row[:BACKGROUNDS])
        return MovingPlan(before, then, tuple(things))

    def _of_box(self, left: int, top: int, side: int) -> tuple[int, int]:
        return self.slots[3][0] + side - 1, self.slots[4][0] + top * self.side + left

    def _box(self, side: int, place: int) -> tuple[int, int, int]:
        top, left = divmod(place - self.slots[4][0], self.side)
        return left, top, side - self.slots[3][0] + 1


class _Writing:
    """Things whose boxes don't overlap where they begin, nor where they end, and which go as their motion says."""

    def __init__(self, words: MovingPlanWords):
        self.words = words
        self.boxes = (Boxes(words.side), Boxes(words.side))
        self.motion, self.start = "still", (0, 0)

    def fits(self, position: int) -> Tensor:
        slot, boxes = self.words.slot(position), self._boxes(position)
        if slot == 1:
            return torch.stack([boxes.free.any() for boxes in self.boxes]).all()
        if slot not in (3, 4):
            return ANY
        can = boxes.sides() if slot == 3 else boxes.places()
        kept = can & (self._sides(boxes) if slot == 3 else self._places(boxes))
        # Where its motion leaves no room, it goes where there is some.
        return kept if kept.any() else can

    def wrote(self, position: int, index: int) -> None:
        slot, boxes = self.words.slot(position), self._boxes(position)
        if slot == 5:
            self.motion = self.words.motions[index]
        elif slot == 3:
            boxes.side = index + 1
        elif slot == 4:
            boxes.take(index)
            top, left = divmod(index, self.words.side)
            self.start = left, top

    def _boxes(self, position: int) -> Boxes:
        """Those where things begin, or where they end."""
        return self.boxes[(position - BACKGROUNDS) % OF_A_THING > 4]

    def _sides(self, boxes: Boxes) -> Tensor:
        sides = torch.arange(1, self.words.side + 1)
        if boxes is self.boxes[0]:
            # One that shrinks must have a smaller side to come to.
            return sides > (self.motion == "shrink")
        return _sized(self.motion, self.boxes[0].side, sides)

    def _places(self, boxes: Boxes) -> Tensor:
        """Where a thing may begin, or end, as it moves: (n²,)."""
        n = self.words.side
        cells = torch.arange(n)
        left, top = cells.expand(n, n), cells[:, None].expand(n, n)
        if boxes is self.boxes[1]:
            return _goes(self.motion, (*self.start, self.boxes[0].side), left, top, boxes.side).flatten()
        room = n - boxes.side
        inside = [
            (left + LEAST * right >= 0)
            & (left + LEAST * right <= room)
            & (top + LEAST * down >= 0)
            & (top + LEAST * down <= room)
            for right, down in _ACROSS.get(self.motion, ((0, 0),))
        ]
        return torch.stack(inside).any(0).flatten()


def _sized(motion: str, before: int, after: Number) -> Number:
    """Whether a side goes with a motion that begins with the side `before`."""
    if motion == "grow":
        return 2 * after >= 3 * before
    return 3 * after <= 2 * before if motion == "shrink" else after == before


def _goes(motion: str, start: tuple[int, int, int], left: Number, top: Number, side: int) -> Number:
    """Whether places of boxes of a side go with a motion that begins at `start` (left, top, side)."""
    x, y, before = start
    ways = _ACROSS.get(motion)
    if ways is None:  # about the same middle
        return (abs(2 * left + side - 2 * x - before) <= 1) & (abs(2 * top + side - 2 * y - before) <= 1)
    right, down = left - x, top - y
    gone = [
        (right * across + down * along >= LEAST) & (abs(right * along) + abs(down * across) <= ASIDE)
        for across, along in ways
    ]
    return reduce(or_, gone)


def _corners(left: int, top: int, side: int) -> Corners:
    return left, top, left + side, top + side


class AtlasEmbedding(nn.Module):
    """Plans (B, L) to what each cell of an atlas (B, N, M) is told: its background, or which part of which thing it is.

    The atlas is n cells wide. Its first n rows are the background; below them the things stand side by side, as many as
    there is room for in a row, m cells along a side each.
    """

    def __init__(self, words: MovingPlanWords, d_model: int):
        super().__init__()
        self.words = words
        self.token_embedding = nn.Embedding(words.n_tokens, d_model)
        self.row_embedding = nn.Embedding(words.thing, d_model)
        self.column_embedding = nn.Embedding(words.thing, d_model)
        self.up = nn.Linear(d_model, 2 * d_model)
        self.down = nn.Linear(2 * d_model, d_model)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, plans: Tensor) -> Tensor:
        n, m, most = self.words.side, self.words.thing, self.words.most
        B, M = len(plans), self.down.out_features
        things = plans[:, BACKGROUNDS:].view(B, most, OF_A_THING)
        named = self.token_embedding(things[..., 0]) + self.token_embedding(things[..., 1])
        parts = self.row_embedding.weight[:, None] + self.column_embedding.weight  # (m, m, M)
        said = named[:, :, None, None] + parts
        said = said * (things[..., 0] != NONE)[..., None, None, None]
        across = n // m
        rows = said.view(B, most // across, across, m, m, M).transpose(2, 3).reshape(B, most * m * m, M)
        under = self.token_embedding(plans[:, 0])[:, None].expand(B, n * n, M)
        told = self.down(F.silu(self.up(torch.cat((under, rows), dim=1))))
        return told * (plans[:, 0] != NONE)[:, None, None]


def atlas_size(words: MovingPlanWords) -> tuple[int, int]:
    """Height and width of an atlas, in cells."""
    return words.side + words.most // (words.side // words.thing) * words.thing, words.side


def parts_of(atlas: Tensor, words: MovingPlanWords) -> tuple[Tensor, list[Tensor]]:
    """The background (C, H, H) of an atlas (C, height, width), and the layer of each of `most` things (C, s, s)."""
    side = atlas.shape[-1]
    s = side * words.thing // words.side
    below = atlas[:, side:]
    return atlas[:, :side], [
        below[:, top : top + s, left : left + s] for top in range(0, below.shape[1], s) for left in range(0, side, s)
    ]

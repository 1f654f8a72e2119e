"""Composes scenes: what is asked, where it stands, the picture and the caption, all from whole numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Literal

import numpy as np

from genarium.errors import BadInput
from genarium.scenes.ask import Ask, Wanted
from genarium.scenes.backgrounds import VARIANTS, background
from genarium.scenes.captions import caption
from genarium.scenes.dice import Dice
from genarium.scenes.kinds import (
    BACKGROUNDS,
    GROUPS,
    KINDS,
    MOST,
    PLACES,
    of_group,
)
from genarium.scenes.sprites import paste, sprite

Split = Literal["train", "heldout"]
SPLITS = ("train", "heldout")

HELD_OUT = 0.1
"""The share of pairs of each sort that training never sees."""
_PROMISED = {("superhero", "colorful sky"), ("flying animal", "blue sky")}
"""What the project's first prompts ask for is learned, not left to luck."""

_SHARES = {"small": 0.25, "medium": 0.375, "large": 0.5}
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Thing:
    """One object in a picture. `box` is (left, top, right, bottom) in pixels, the last two not included.

    `place` is the word its caption says.
    """

    kind: str
    colour: str | None
    size: str
    place: str | None
    box: Box
    flipped: bool = False


@dataclass(frozen=True)
class Scene:
    """Everything about one picture; `World.picture` paints it."""

    background: str
    variant: int
    things: tuple[Thing, ...]
    ask: Ask
    caption: str


@cache
def held_out(first: str, second: str | int) -> bool:
    """Whether a pair (kind or group with a colour, background, count or other kind) is kept from training.

    A hash decides, so that it is the same for every seed, size and world.
    """
    natural = first in KINDS and KINDS[first].natural == second
    if natural or second in (1, first) or (first, second) in _PROMISED:
        return False
    if second in KINDS:
        first, second = sorted((first, str(second)))
    digest = hashlib.sha256(f"{first}|{second}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT * 2**32


def _pairs(ask: Ask) -> Iterator[tuple[str, str | int]]:
    names = [wanted.kind or wanted.group or "" for wanted in ask.things]
    for position, (name, wanted) in enumerate(zip(names, ask.things, strict=True)):
        if wanted.colour is not None:
            yield name, wanted.colour
        if wanted.count is not None:
            yield name, wanted.count
        if wanted.motion is not None:
            yield name, wanted.motion
        if ask.background is not None:
            yield name, ask.background
        for other in names[:position]:
            yield name, other


def is_held_out(ask: Ask) -> bool:
    """Whether any pair the ask names is kept from training."""
    return any(held_out(first, second) for first, second in _pairs(ask))


@cache
def spots(size: int, snap: int, pixels: int, place: str | None, low: bool) -> list[tuple[int, int]]:
    """Where the top left corner of an object may be."""
    half, steps = size / 2, range(0, size - pixels + 1, snap)
    fits = {
        None: lambda x, y: True,
        "left": lambda x, y: x + pixels <= half,
        "right": lambda x, y: x >= half,
        "top": lambda x, y: y + pixels <= half,
        "bottom": lambda x, y: y >= half,
        "middle": lambda x, y: max(abs(x + pixels / 2 - half), abs(y + pixels / 2 - half)) <= snap / 2,
    }[place]
    ground = 0.66 * size if low else 0
    return [(x, y) for y in steps for x in steps if fits(x, y) and y + pixels >= ground]


class World:
    """An endless supply of scenes of `size` × `size` pixels.

    Scene (seed, index, split) is always the same. Objects stand on a grid of `snap` pixels, and their sizes are
    multiples of it: a snap equal to an autoencoder's stride keeps every sprite on whole latent cells.
    With `flip` False they all look the way the sprites do. `kinds` narrows the world.
    Raises BadInput for sizes that don't fit.
    """

    def __init__(
        self, size: int = 64, *, snap: int | None = None, flip: bool = True, kinds: Sequence[str] | None = None
    ):
        snap = max(1, size // 16) if snap is None else snap
        if size < 32 or snap < 1 or size % snap or snap > size // 8:
            raise BadInput(
                f"a scene of {size} pixels can't stand on a grid of {snap}; "
                "sizes are 32 and up, a multiple of the grid, which is at most an eighth of them"
            )
        if unknown := set(kinds or ()) - set(KINDS):
            raise BadInput(f"no kind {', '.join(sorted(unknown))} to draw; there are {', '.join(KINDS)}")
        self.size, self.snap, self.flip = size, snap, flip
        self.kinds = tuple(kinds or KINDS)
        self.pixels = {name: round(share * size / snap) * snap for name, share in _SHARES.items()}

    # What is asked

    @cached_property
    def _drawn(self) -> list[str]:
        """Kinds as often as they are drawn: those that fly twice."""
        return [kind for kind in self.kinds for _ in range(1 + KINDS[kind].flies)]

    @cached_property
    def _groups(self) -> dict[str, list[str]]:
        members = {group: [kind for kind in of_group(group) if kind in self.kinds] for group in GROUPS}
        return {group: kinds for group, kinds in members.items() if len(kinds) >= MOST}

    def _describe(self, kind: str, dice: Dice, *, sized: float) -> Wanted:
        """One of a kind, a colour and a size said of it or not."""
        colours = KINDS[kind].colours
        colour = dice.pick(colours) if colours and dice.chance(0.55) else None
        size = dice.pick(("small", "large")) if dice.chance(sized) else None
        return Wanted(kind, colour=colour, size=size)

    def _propose(self, dice: Dice) -> Ask:
        where = dice.pick(BACKGROUNDS) if dice.chance(0.75) else None
        form = dice.uniform()
        if form < 0.12 and self._groups:
            group = dice.pick(tuple(self._groups))
            return Ask((Wanted(group=group, count=dice.pick((None, None, None, 1, 2, 3))),), where)
        if form < 0.34:
            wanted = self._describe(dice.pick(self._drawn), dice, sized=0.15)
            counts: tuple[int | None, ...] = (None, 2, 2, 3, 3, 4, 4) if wanted.size != "large" else (2,)
            return Ask((replace(wanted, count=dice.pick(counts)),), where)
        if form < 0.56 and len(self.kinds) > 1:
            first, second = (self._describe(dice.pick(self._drawn), dice, sized=0.1) for _ in range(2))
            if dice.chance(0.5):
                places = dice.pick((("left", "right"), ("right", "left"), ("top", "bottom"), ("bottom", "top")))
                first, second = replace(first, place=places[0]), replace(second, place=places[1])
            return Ask((first, second), where)
        wanted = self._describe(dice.pick(self._drawn), dice, sized=0.25)
        return Ask((replace(wanted, place=dice.pick(PLACES) if dice.chance(0.25) else None),), where)

    def ask(self, dice: Dice, split: Split) -> Ask:
        """Something to ask for whose pairs are all learned, or with one that is not."""
        while True:
            ask = self._propose(dice)
            kinds = [wanted.kind for wanted in ask.things]
            twice = len(kinds) == 2 and kinds[0] == kinds[1]
            unseen = "night" in (ask.background, ask.then) and any(wanted.colour == "black" for wanted in ask.things)
            if not twice and not unseen and is_held_out(ask) == (split == "heldout"):
                return ask

    # What is shown

    def _cast(self, ask: Ask, dice: Dice, split: Split) -> tuple[str, list[Wanted]]:
        """The background and one `Wanted` for each object, what was left open chosen."""
        while True:
            where = ask.background or dice.pick(BACKGROUNDS)
            counted, shown = [], list[Wanted]()
            for wanted in ask.things:
                most = 2 if wanted.size == "large" else MOST if wanted.group is None else 3
                count = wanted.count or 2 + dice.below(most - 1)
                counted.append(replace(wanted, count=count))
                kinds = [wanted.kind] * count
                if wanted.group is not None:
                    pool = list(self._groups[wanted.group])
                    kinds = [pool.pop(dice.below(len(pool))) for _ in range(count)]
                shown += [replace(wanted, kind=kind, group=None, count=1) for kind in kinds]
            if ask.background is None and where == "night" and any(wanted.colour == "black" for wanted in shown):
                continue
            # Nor does training see unsaid what it must not be told.
            told = Ask(tuple(counted), where)
            if split == "heldout" or not (is_held_out(told) or is_held_out(Ask(tuple(shown), where))):
                return where, shown

    def _arrange(self, where: str, shown: list[Wanted], dice: Dice) -> list[Box]:
        """Boxes on the grid that don't overlap; what can't fly keeps to the ground where there is room."""
        grounded = where in ("sea", "field", "room")
        attempt = 0
        while True:
            boxes: list[Box] = []
            for wanted in shown:
                pixels = self.pixels[wanted.size or "medium"]
                low = (
                    grounded
                    and attempt < 8
                    and not KINDS[wanted.kind or ""].flies
                    and wanted.place in (None, "left", "right")
                )
                can = spots(self.size, self.snap, pixels, wanted.place, low)
                for _ in range(12):
                    x, y = dice.pick(can)
                    if all(x >= b[2] or x + pixels <= b[0] or y >= b[3] or y + pixels <= b[1] for b in boxes):
                        boxes.append((x, y, x + pixels, y + pixels))
                        break
                else:
                    break
            if len(boxes) == len(shown):
                return boxes
            attempt += 1

    def scene(self, seed: int, index: int, split: Split = "train") -> Scene:
        """Scene `index` of a seed. In `heldout` every caption asks for a pair training never sees."""
        dice = self._dice(seed, index, split)
        ask, text = self._asked(dice, split)
        return self.compose(ask, text, dice, split)

    @staticmethod
    def _dice(seed: int, index: int, split: Split) -> Dice:
        """What scene `index` of a seed is thrown with."""
        return Dice(seed, SPLITS.index(split), index)

    def _asked(self, dice: Dice, split: Split) -> tuple[Ask, str]:
        """Something to ask for, and a caption that does."""
        ask = self.ask(dice, split)
        return ask, caption(ask, dice)

    def compose(self, ask: Ask, text: str, dice: Dice, split: Split = "train") -> Scene:
        """A scene that shows what is asked, all that is left open chosen by the dice."""
        where, shown = self._cast(ask, dice, split)
        boxes = self._arrange(where, shown, dice)
        things = tuple(
            Thing(
                wanted.kind or "",
                wanted.colour,
                wanted.size or "medium",
                wanted.place,
                box,
                flipped=self.flip and dice.chance(0.5),
            )
            for wanted, box in zip(shown, boxes, strict=True)
        )
        return Scene(where, dice.below(VARIANTS), things, ask, text)

    def image(self, scene: Scene) -> np.ndarray:
        """(size, size, 3) uint8."""
        canvas = background(scene.background, scene.variant, self.size).copy()
        for thing in scene.things:
            left, top, right, _ = thing.box
            paste(canvas, left, top, sprite(thing.kind, thing.colour, right - left, thing.flipped))
        return canvas

    def arrays(self, seed: int, first: int, n: int, split: Split = "train") -> tuple[np.ndarray, list[str]]:
        """Pictures `first` to `first + n` - 1 of a seed, (n, size, size, 3) uint8, and their captions."""
        scenes = [self.scene(seed, index, split) for index in range(first, first + n)]
        images = np.empty((n, self.size, self.size, 3), dtype=np.uint8)
        for place, scene in enumerate(scenes):
            images[place] = self.image(scene)
        return images, [scene.caption for scene in scenes]

    def prompts(self, split: Split, n: int, seed: int = 0) -> list[tuple[str, Ask]]:
        """n captions, each different, and what they ask for."""
        found: dict[str, Ask] = {}
        index = 0
        while len(found) < n:
            ask, text = self._asked(self._dice(seed, index, split), split)
            found.setdefault(text, ask)
            index += 1
        return list(found.items())

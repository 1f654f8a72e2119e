"""Which word of a caption names which things of its scene: what a heat map of that word should light."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from genarium.scenes.ask import Ask, Wanted
from genarium.scenes.kinds import GROUPS, KINDS, of_group, plural
from genarium.scenes.sprites import sprite
from genarium.scenes.world import Scene, Thing


@dataclass(frozen=True)
class Named:
    """Characters [start, end) of the caption, and the things they stand for. `colour` is of a word such as red, where
    the whole phrase is about the same things."""

    start: int
    end: int
    things: tuple[Thing, ...]
    colour: bool = False


def named(scene: Scene, ask: Ask | None = None, caption: str | None = None) -> list[Named]:
    """The nouns of a scene's caption, and the colours said of them, in order; or of another that tells `ask` of it.

    Of a name of several words (top hat) it is the last. A noun that the caption has twice, as where it also begins a
    background (a starry sky, two stars), is left out.
    """
    ask, caption = ask or scene.ask, caption or scene.caption
    found = []
    behind = 0
    for wanted in ask.things:
        place = _noun(wanted, caption)
        if place is None:
            continue
        things = tuple(thing for thing in scene.things if _is(thing, wanted))
        if wanted.colour is not None:
            before = [m.span() for m in re.finditer(rf"\b{wanted.colour}\b", caption[behind : place[0]])]
            if before:
                start, end = before[-1]
                found.append(Named(behind + start, behind + end, things, colour=True))
        found.append(Named(*place, things))
        behind = place[1]
    return found


def covered(things: tuple[Thing, ...], size: int, *, exactly: bool = False) -> np.ndarray:
    """Where the things are in a picture of `size` pixels, (size, size) bool: their boxes, or with `exactly` the pixels
    that they hide at least half of."""
    region = np.zeros((size, size), dtype=bool)
    for thing in things:
        left, top, right, bottom = thing.box
        part = region[top:bottom, left:right]
        if exactly:
            _, through = sprite(thing.kind, thing.colour, right - left, thing.flipped)
            part |= through[..., 0] < 128
        else:
            part[:] = True
    return region


def _is(thing: Thing, wanted: Wanted) -> bool:
    return thing.kind == wanted.kind or (wanted.group is not None and thing.kind in of_group(wanted.group))


def _noun(wanted: Wanted, caption: str) -> tuple[int, int] | None:
    """Where the caption names it, if it does so once: the last word of the name."""
    if wanted.group is not None:
        names = list(GROUPS[wanted.group])
    else:
        names = [form for name in KINDS[wanted.kind or ""].names for form in (name, plural(name))]
    places = {match.span() for name in names for match in re.finditer(rf"\b{re.escape(name)}\b", caption)}
    # Of names inside each other the longest: "crescent moon", not "moon".
    longest = {one for one in places if not any(o != one and o[0] <= one[0] and one[1] <= o[1] for o in places)}
    if len(longest) != 1:
        return None
    start, end = longest.pop()
    return caption.rindex(" ", start, end) + 1 if " " in caption[start:end] else start, end

"""All there is to tell of a scene, from its annotation: what a full caption says, and whether one is right."""

from __future__ import annotations

from collections import Counter

from genarium.scenes.ask import Ask, Wanted
from genarium.scenes.kinds import KINDS
from genarium.scenes.parse import parse
from genarium.scenes.world import Box, Scene, Thing

ATTRIBUTES = ("kind", "count", "colour", "size", "place")


def place_of(box: Box, size: int) -> str:
    """Where a box lies in a picture of `size` pixels: the middle, or the side its middle is farthest towards."""
    across, down = ((box[first] + box[first + 2] - size) / 2 for first in (0, 1))
    if max(abs(across), abs(down)) <= size / 16:
        return "middle"
    if abs(across) >= abs(down):
        return "left" if across < 0 else "right"
    return "top" if down < 0 else "bottom"


def told(scene: Scene, size: int) -> Ask:
    """Everything: kinds, how many of each, colours (their own too, where one is theirs), sizes, background.

    Places are told of single objects, where there are at most two sorts of things. Medium is no size to tell.
    """
    alike: dict[tuple[str, str | None, str], list[Thing]] = {}
    for thing in scene.things:
        alike.setdefault((thing.kind, thing.colour or KINDS[thing.kind].natural, thing.size), []).append(thing)
    things = tuple(
        Wanted(
            kind,
            count=len(members),
            colour=colour,
            size=None if much == "medium" else much,
            place=place_of(members[0].box, size) if len(members) == 1 and len(alike) <= 2 else None,
        )
        for (kind, colour, much), members in alike.items()
    )
    return Ask(things, scene.background)


def wrong(caption: str, truth: Ask) -> set[str]:
    """What a caption gets wrong of `told`: some of `ATTRIBUTES`, background, extra (more or fewer things), unknown.

    Things are compared in any order. Nothing is wrong only where every one of them is told, and right.
    """
    parsed = parse(caption)
    found = {"background"} if parsed.ask.background != truth.background else set[str]()
    if parsed.unknown:
        found.add("unknown")
    missing, more = Counter(truth.things), Counter(parsed.ask.things)
    missing, more = missing - more, more - missing
    if missing.total() != more.total():
        found.add("extra")
    said = list(more.elements())
    for thing in missing.elements():
        if not said:
            break
        nearest = min(said, key=lambda other: sum(getattr(thing, a) != getattr(other, a) for a in ATTRIBUTES))
        said.remove(nearest)
        found |= {a for a in ATTRIBUTES if getattr(thing, a) != getattr(nearest, a)}
    return found

"""How things move, and the words for it."""

from __future__ import annotations

import math

from genarium.scenes.kinds import GROUPS, KINDS

MOTIONS = ("left", "right", "up", "down", "grow", "shrink", "turn", "fly")
"""`fly` is across, to one of the sides, on a wavy way."""
ALL_MOTIONS = ("still", *MOTIONS)
ACROSS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
"""Those that go one way, and which: right and down."""

_WAYS = {
    "left": ("to the left", "left", "from right to left"),
    "right": ("to the right", "right", "from left to right"),
    "up": ("up", "upwards"),
    "down": ("down", "downwards"),
}
_SAID = {
    "up": ("rising", "going up", "moving up", "moving upwards", "rising up"),
    "down": ("falling", "falling down", "going down", "moving down", "coming down"),
    "grow": ("growing", "getting bigger", "growing larger", "coming closer"),
    "shrink": ("shrinking", "getting smaller", "growing smaller", "going away"),
    "turn": ("turning", "spinning", "rotating", "turning around", "spinning around"),
    "fly": ("flying", "flying by", "flying across"),
}
_ALSO = {
    "up": ("going upwards", "floating up", "climbing", "ascending"),
    "down": ("sinking", "dropping", "going downwards", "floating down", "descending"),
    "grow": ("growing bigger", "getting larger", "approaching"),
    "shrink": ("getting tinier", "shrinking away", "moving away"),
    "turn": ("whirling", "revolving", "twirling", "turning round", "spinning round"),
    "fly": ("flying past",),
}
"""Phrases that are only understood."""
_VERBS = ("moving", "going", "crossing", "driving", "flying", "sailing", "running", "walking", "gliding", "rolling")
_ON_WATER = ("ship", "sailboat")

TURNS = {
    ("blue sky", "night"): ("from day to night", "as day turns to night", "as night falls", "as it gets dark"),
    ("night", "blue sky"): ("from night to day", "as night turns to day", "as it gets light", "as day breaks"),
    ("colorful sky", "night"): ("from sunset to night", "as the sunset turns to night"),
}
"""How a caption says that one background turns into another."""
_ALSO_TURNS = {
    ("blue sky", "night"): ("day to night", "day turning to night", "day turning into night"),
    ("night", "blue sky"): ("night to day", "night turning to day", "night turning into day"),
    ("colorful sky", "night"): ("sunset to night", "sunset turning into night"),
}


def phrases(kind: str | None, motion: str) -> tuple[str, ...]:
    """How a caption says of a kind (of a group, None) that it moves so, the usual ways first."""
    if motion not in ("left", "right"):
        return _SAID[motion]
    verbs = ["moving", "going"]
    if kind is not None:
        verbs += _verbs_of(kind)
    return tuple(f"{verb} {way}" for way in _WAYS[motion] for verb in verbs)


def _verbs_of(kind: str) -> list[str]:
    if KINDS[kind].flies:
        return ["flying"]
    if kind in _ON_WATER:
        return ["sailing"]
    groups = KINDS[kind].groups
    return ["driving"] if "vehicle" in groups else ["running", "walking"] if "animal" in groups else []


def understood() -> dict[str, str]:
    """Every phrase that says how something moves, and what it says."""
    found = {f"{verb} {way}": motion for motion, ways in _WAYS.items() for way in ways for verb in _VERBS}
    for motion, ways in _WAYS.items():
        found |= {way: motion for way in ways if " " in way}
    for table in (_SAID, _ALSO):
        found |= {phrase: motion for motion, said in table.items() for phrase in said}
    return found


def turnings() -> dict[str, tuple[str, str]]:
    """Every phrase that says that one background turns into another, and which."""
    return {phrase: pair for table in (TURNS, _ALSO_TURNS) for pair, said in table.items() for phrase in said}


def may(kind: str | None, group: str | None, motion: str) -> bool:
    """Whether something may be asked to move so: what flies by has wings, and what turns looks turned."""
    if motion == "fly":
        return (kind is not None and KINDS[kind].flies) or group in ("flying animal", "flying")
    if motion == "turn":
        return kind is not None and kind not in ROUND
    return kind is not None or group in GROUPS


ROUND = frozenset(("sun", "ball", "flower", "star"))
"""Kinds that look much the same however they are turned."""


FAR, LARGER, ROUND_ABOUT = 0.2, 1.5, 1.5
"""From how far on something goes across (of the picture's width), how much larger on it grows, and how much of half a
turn on it turns."""


def seen_to_move(right: float, down: float, larger: float, turned: float) -> frozenset[str]:
    """What holds of something that went so far (as shares of the picture), grew so many times, turned by radians."""
    moved = set()
    if max(abs(right), abs(down)) > FAR:
        across = abs(right) >= abs(down)
        moved.add(("left", "right")[right > 0] if across else ("up", "down")[down > 0])
    if not 1 / LARGER < larger < LARGER:
        moved.add("grow" if larger > 1 else "shrink")
    if abs(turned) > ROUND_ABOUT * math.pi:
        moved.add("turn")
    return frozenset(moved)

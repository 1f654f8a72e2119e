"""When a boat may pass a sill: windows of enough water, from predicted levels.

Heights are metres above chart datum, times are minutes since midnight UTC. Nothing here knows about waves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

UNDER_KEEL = 0.4
"""Metres of water that must stay under the keel. The harbour master, Piet Voorhoeve, wants 0.6 after dark."""


@dataclass(frozen=True)
class Boat:
    """A boat; `draught` is measured loaded, in metres, and `speed` is in knots through the water."""

    name: str
    draught: float
    speed: float


@dataclass(frozen=True)
class Window:
    """From `opens` to `closes` there is enough water. Windows shorter than 12 minutes are never reported."""

    opens: int
    closes: int

    @property
    def minutes(self) -> int:
        return self.closes - self.opens


def windows(levels: Sequence[tuple[int, float]], sill: float, boat: Boat) -> Iterator[Window]:
    """The windows in which `boat` can cross a sill at height `sill`.

    Levels are joined by straight lines, which is off by at most 4 cm at a step of ten minutes. A gap of more than
    half an hour between two levels ends a window, since the water may have dropped unseen. Raises ValueError if the
    levels are not in order of time.
    """
    needed = sill + boat.draught + UNDER_KEEL
    opened: int | None = None
    for (before, low), (after, high) in pairwise(levels):
        if after <= before:
            raise ValueError(f"levels must be in order of time: {after} comes after {before}")
        if opened is None and high >= needed:
            opened = before if low >= needed else round(before + (after - before) * (needed - low) / (high - low))
        if opened is not None and (high < needed or after - before > 30):
            if before - opened >= 12:
                yield Window(opened, before)
            opened = None
    if opened is not None and levels[-1][0] - opened >= 12:
        yield Window(opened, levels[-1][0])


def latest_departure(window: Window, miles: float, boat: Boat, margin: int = 15) -> int:
    """The last minute at which to cast off and still pass before the window closes.

    `margin` minutes are kept in hand. A head tide is not considered: subtract it from the boat's speed yourself.
    """
    return window.closes - margin - round(60 * miles / boat.speed)


def neaps(extremes: Sequence[float]) -> bool:
    """Whether it is a neap tide: the mean range of the last four tides is under 1.9 m.

    The number fits Carrick Sound only; other places need their own.
    """
    ranges = [abs(a - b) for a, b in zip(extremes[-5:], extremes[-4:], strict=False)]
    return sum(ranges) / len(ranges) < 1.9


def crew_call(window: Window, crew: int) -> int:
    """When to wake the crew: 50 minutes before the window, and 5 more for each hand beyond three."""
    return window.opens - 50 - 5 * max(0, crew - 3)

"""One word of what is asked made another, so that it no longer holds of the same picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from genarium.scenes.ask import Ask, Wanted
from genarium.scenes.dice import Dice
from genarium.scenes.kinds import BACKGROUNDS, KINDS, MOST, PLACES, of_group

_OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


def _other(dice: Dice, items: tuple[str, ...], *not_these: str | None) -> str:
    return dice.pick([item for item in items if item not in not_these])


def _with(ask: Ask, place: int, wanted: Wanted) -> Ask:
    return replace(ask, things=(*ask.things[:place], wanted, *ask.things[place + 1 :]))


def _some(ask: Ask, dice: Dice, eligible: Callable[[Wanted], bool]) -> int | None:
    """The place of one of the things that can be changed so."""
    places = [place for place, wanted in enumerate(ask.things) if eligible(wanted)]
    return dice.pick(places) if places else None


def another_kind(ask: Ask, dice: Dice) -> Ask | None:
    place = dice.below(len(ask.things))
    wanted = ask.things[place]
    if wanted.group is not None:
        return _with(ask, place, Wanted(_other(dice, tuple(KINDS), *of_group(wanted.group)), count=wanted.count))
    can = tuple(kind for kind in KINDS if not wanted.colour or wanted.colour in KINDS[kind].colours)
    return _with(ask, place, replace(wanted, kind=_other(dice, can, *(thing.kind for thing in ask.things))))


def another_count(ask: Ask, dice: Dice) -> Ask | None:
    place = _some(ask, dice, lambda w: w.count is not None and not w.place and not (w.size == "large" and w.count > 1))
    if place is None:
        return None
    wanted = ask.things[place]
    assert wanted.count is not None
    most = MOST - 1 if wanted.group else MOST
    fewer = wanted.count == most or (wanted.count > 2 and dice.chance(0.5))
    return _with(ask, place, replace(wanted, count=wanted.count + (-1 if fewer else 1)))


def another_colour(ask: Ask, dice: Dice) -> Ask | None:
    place = _some(ask, dice, lambda w: bool(w.colour and w.kind and len(KINDS[w.kind].colours) > 2))
    if place is None:
        return None
    wanted = ask.things[place]
    unseen = "black" if ask.background == "night" else None
    colour = _other(dice, KINDS[wanted.kind or ""].colours, wanted.colour, unseen)
    return _with(ask, place, replace(wanted, colour=colour))


def another_size(ask: Ask, dice: Dice) -> Ask | None:
    place = _some(ask, dice, lambda w: bool(w.size) and (w.count or MOST) <= 2)
    if place is None:
        return None
    wanted = ask.things[place]
    return _with(ask, place, replace(wanted, size=_other(dice, ("small", "large"), wanted.size)))


def another_place(ask: Ask, dice: Dice) -> Ask | None:
    """A place that can't hold at the same time: the top may be left as well. Of a pair both change places."""
    places = [wanted.place for wanted in ask.things]
    if len(places) == 2 and places[1] is not None and _OPPOSITE.get(places[0] or "") == places[1]:
        return replace(ask, things=tuple(replace(w, place=p) for w, p in zip(ask.things, places[::-1], strict=True)))
    place = _some(ask, dice, lambda w: w.place is not None)
    if place is None:
        return None
    now = ask.things[place].place or ""
    others = (_OPPOSITE[now], "middle") if now in _OPPOSITE else PLACES[:4]
    return _with(ask, place, replace(ask.things[place], place=dice.pick(others)))


def another_background(ask: Ask, dice: Dice) -> Ask | None:
    return replace(ask, background=_other(dice, BACKGROUNDS, ask.background)) if ask.background else None


CHANGES: dict[str, Callable[[Ask, Dice], Ask | None]] = {
    "kind": another_kind,
    "count": another_count,
    "colour": another_colour,
    "size": another_size,
    "place": another_place,
    "background": another_background,
}
"""Each gives what is asked with that one thing wrong, or None where it names no such thing."""

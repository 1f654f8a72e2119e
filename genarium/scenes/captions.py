"""The grammar: from what is asked to an English caption, phrased in many ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from genarium.scenes.ask import Ask, Wanted
from genarium.scenes.dice import Dice
from genarium.scenes.kinds import GROUPS, KINDS, plural
from genarium.scenes.motions import TURNS, phrases

NUMBERS = {2: "two", 3: "three", 4: "four"}

OPENINGS = ("a picture of", "an image of", "a drawing of", "a photo of")

MOVING_OPENINGS = ("a video of", "a clip of", "a film of", "an animation of")

PLACE_PHRASES = {
    "left": ("on the left", "at the left", "on the left side"),
    "right": ("on the right", "at the right", "on the right side"),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
    "middle": ("in the middle", "in the center"),
}

BACKGROUND_PHRASES = {
    "blue sky": (
        "with blue sky and white clouds",
        "in a blue sky with white clouds",
        "under a blue sky with white clouds",
        "in the blue sky",
        "with white clouds",
    ),
    "colorful sky": (
        "with colorful sky",
        "in a colorful sky",
        "under a colorful sky",
        "at sunset",
        "in a colorful sunset sky",
    ),
    "night": ("at night", "in the night sky", "in a dark sky with stars", "with night sky", "under a starry sky"),
    "sea": ("over the sea", "at sea", "by the sea", "with the sea", "over the ocean"),
    "field": ("over a green field", "in a green field", "in a meadow", "with green field", "on the grass"),
    "room": ("in a room", "inside a room", "in the room", "indoors"),
}
"""How a caption says where, behind what it shows."""

BACKGROUND_NAMES = {
    "blue sky": ("blue sky with white clouds", "a blue sky with white clouds"),
    "colorful sky": ("colorful sky", "a colorful sky", "a sunset"),
    "night": ("night sky", "a dark sky with stars"),
    "sea": ("the sea", "a blue sea"),
    "field": ("a green field", "a meadow"),
    "room": ("a room",),
}
"""How a caption begins that says the background first."""

SIZE_WORDS = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")}

Item = TypeVar("Item")


def article(words: str) -> str:
    return "an" if words[0] in "aeio" or words.startswith(("umbrella", "ugly")) else "a"


def _usually_first(dice: Dice, items: Sequence[Item], first: float = 0.6) -> Item:
    if len(items) == 1 or dice.chance(first):
        return items[0]
    return dice.pick(items[1:])


def _noun(wanted: Wanted, dice: Dice) -> tuple[str, str]:
    """Singular and plural of what is wanted."""
    if wanted.group is not None:
        return GROUPS[wanted.group]
    assert wanted.kind is not None
    name = _usually_first(dice, KINDS[wanted.kind].names, first=0.5)
    return name, plural(name)


def thing(wanted: Wanted, dice: Dice, *, bare: bool, moving: bool = False) -> str:
    """One noun phrase, its place and how it moves behind it; `bare` drops the article. `moving` is of moving scenes."""
    singular, many = _noun(wanted, dice)
    words = [dice.pick(SIZE_WORDS[wanted.size])] if wanted.size else []
    flies = wanted.kind is not None and KINDS[wanted.kind].flies and not singular.startswith("flying")
    flying = flies and not moving and dice.chance(0.25)
    # Of what moves, it is how.
    before = moving and wanted.motion == "fly" and not singular.startswith("flying") and dice.chance(0.4)
    if flying or before:
        words.append("flying")
    if wanted.colour:
        words.append(wanted.colour)
    words.append(singular if wanted.count == 1 else many)
    phrase = " ".join(words)
    if wanted.count == 1:
        # Batman is a name.
        if not bare and words[0] != "batman":
            phrase = f"{article(phrase)} {phrase}"
    elif wanted.count is not None:
        number = str(wanted.count) if dice.chance(0.3) else NUMBERS[wanted.count]
        phrase = f"{number} {phrase}"
    elif singular == many:
        phrase = f"several {phrase}"
    if wanted.place:
        phrase += f" {_usually_first(dice, PLACE_PHRASES[wanted.place])}"
    if wanted.motion and not before:
        phrase += f" {dice.pick(phrases(wanted.kind, wanted.motion))}"
    return phrase


def caption(ask: Ask, dice: Dice, *, moving: bool = False) -> str:
    """One of the ways to say it; of moving scenes where `moving`."""
    bare = dice.chance(0.25)
    shown = " and ".join(thing(wanted, dice, bare=bare, moving=moving) for wanted in ask.things)
    if ask.background is None:
        text = shown
    elif ask.then is not None:
        text = f"{shown} {dice.pick(TURNS[ask.background, ask.then])}"
    elif dice.chance(0.08):
        joined = "and" if ask.background == "blue sky" else "with"
        first = dice.pick(BACKGROUND_NAMES[ask.background])
        text = f"{first} {joined} {shown}"
    else:
        where = _usually_first(dice, BACKGROUND_PHRASES[ask.background], first=0.3)
        only = ask.things[0]
        flies = len(ask.things) == 1 and only.kind is not None and KINDS[only.kind].flies and not only.place
        flies = flies and not moving
        flying = flies and "flying" not in shown and dice.chance(0.2)
        text = f"{shown} flying {where}" if flying else f"{shown} {where}"
    if dice.chance(0.12):
        text = f"{dice.pick(MOVING_OPENINGS if moving else OPENINGS)} {text}"
    return text

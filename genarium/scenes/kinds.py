"""What there is in the world: kinds of objects, their names and colours, and the words for everything else."""

from __future__ import annotations

from dataclasses import dataclass

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "white")
SIZES = ("small", "medium", "large")
PLACES = ("left", "right", "top", "bottom", "middle")
BACKGROUNDS = ("blue sky", "colorful sky", "night", "sea", "field", "room")
MOST = 4
"""The most objects of one kind in a picture."""

GROUPS = {
    "flying animal": ("flying animal", "flying animals"),
    "flying": ("flying thing", "flying things"),
    "animal": ("animal", "animals"),
    "fruit": ("piece of fruit", "fruits"),
    "vehicle": ("vehicle", "vehicles"),
}
"""What captions call one and several of a group of kinds."""

_IRREGULAR = {
    "fish": "fish",
    "sheep": "sheep",
    "batman": "batmen",
    "hero": "heroes",
    "superhero": "superheroes",
    "aircraft": "aircraft",
    "bunch of grapes": "bunches of grapes",
    "slice of watermelon": "slices of watermelon",
}


def plural(noun: str) -> str:
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


@dataclass(frozen=True)
class Kind:
    """A kind of object: `names` are for captions, the first the usual one; `also` is only understood.

    `natural` is the colour its sprite already has unmistakably, so that asking for it changes nothing.
    Where `colours` is empty it keeps its own, and captions name none.
    """

    name: str
    glyph: str
    names: tuple[str, ...]
    groups: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    natural: str | None = None
    also: tuple[str, ...] = ()

    @property
    def flies(self) -> bool:
        return "flying" in self.groups


_BIRDS = ("flying animal", "flying", "animal")
_TABLE: tuple[tuple[str, str, str, tuple[str, ...], str, str | None, str], ...] = (
    # name, glyph, other names in captions, groups, colours ("*" all, "" its own only), natural colour, also understood
    ("bird", "🐦", "", _BIRDS, "*", "blue", "sparrow bluebird birdie"),
    ("eagle", "🦅", "", _BIRDS, "", None, "hawk falcon"),
    ("bat", "🦇", "", _BIRDS, "", None, ""),
    ("butterfly", "🦋", "", _BIRDS, "*", "orange", "moth"),
    ("bee", "🐝", "honeybee", _BIRDS, "", None, "bumblebee wasp"),
    ("superhero", "🦸", "batman", ("flying",), "", None, "hero superman"),
    ("rocket", "🚀", "", ("flying",), "*", None, "spaceship"),
    ("balloon", "🎈", "", ("flying",), "*", "red", ""),
    ("plane", "✈️", "airplane", ("flying", "vehicle"), "*", None, "aeroplane jet aircraft"),
    ("helicopter", "🚁", "", ("flying", "vehicle"), "", None, "chopper"),
    ("owl", "🦉", "", _BIRDS, "", None, ""),
    ("parrot", "🦜", "", _BIRDS, "", None, ""),
    ("duck", "🦆", "", _BIRDS, "", None, "mallard"),
    ("dove", "🕊️", "", _BIRDS, "", None, "pigeon"),
    ("ladybug", "🐞", "ladybird", _BIRDS, "", None, "beetle"),
    ("dragon", "🐉", "", ("flying",), "*", "green", ""),
    ("ufo", "🛸", "flying_saucer", ("flying",), "", None, ""),
    ("kite", "🪁", "", ("flying",), "", None, ""),
    ("star", "⭐", "", (), "*", "yellow", ""),
    ("moon", "🌙", "crescent_moon", (), "", None, "crescent"),
    ("sun", "☀️", "", (), "", None, ""),
    ("cat", "🐱", "kitten", ("animal",), "red orange green blue purple pink black white", "orange", "kitty"),
    ("dog", "🐶", "puppy", ("animal",), "*", None, ""),
    ("horse", "🐎", "", ("animal",), "red yellow green blue purple pink black white", None, "pony"),
    ("cow", "🐄", "", ("animal",), "", None, ""),
    ("pig", "🐷", "", ("animal",), "", None, "piglet"),
    ("rabbit", "🐇", "bunny", ("animal",), "*", "white", "hare"),
    ("fox", "🦊", "", ("animal",), "", None, ""),
    ("lion", "🦁", "", ("animal",), "", None, ""),
    ("tiger", "🐯", "", ("animal",), "", None, ""),
    ("elephant", "🐘", "", ("animal",), "*", None, ""),
    ("monkey", "🐵", "", ("animal",), "", None, "ape"),
    ("bear", "🐻", "", ("animal",), "", None, ""),
    ("sheep", "🐑", "", ("animal",), "", None, "lamb"),
    ("penguin", "🐧", "", ("animal",), "", None, ""),
    ("fish", "🐟", "", ("animal",), "*", "blue", ""),
    ("whale", "🐳", "", ("animal",), "", None, ""),
    ("dolphin", "🐬", "", ("animal",), "", None, ""),
    ("octopus", "🐙", "", ("animal",), "*", None, ""),
    ("turtle", "🐢", "", ("animal",), "", None, "tortoise"),
    ("frog", "🐸", "", ("animal",), "", None, ""),
    ("snail", "🐌", "", ("animal",), "", None, ""),
    ("crab", "🦀", "", ("animal",), "", None, ""),
    ("apple", "🍎", "", ("fruit",), "red yellow green", "red", ""),
    ("banana", "🍌", "", ("fruit",), "", None, ""),
    ("strawberry", "🍓", "", ("fruit",), "", None, ""),
    ("grapes", "🍇", "", ("fruit",), "", None, "grape grapes"),
    ("orange", "🍊", "", ("fruit",), "", None, "tangerine mandarin"),
    ("watermelon", "🍉", "", ("fruit",), "", None, "slice_of_watermelon melon"),
    ("cherry", "🍒", "", ("fruit",), "", None, ""),
    ("pineapple", "🍍", "", ("fruit",), "", None, ""),
    ("car", "🚗", "", ("vehicle",), "*", "red", "auto automobile"),
    ("bus", "🚌", "", ("vehicle",), "*", None, "coach"),
    ("train", "🚂", "", ("vehicle",), "", None, "locomotive"),
    ("bicycle", "🚲", "bike", ("vehicle",), "*", None, ""),
    ("ship", "🚢", "", ("vehicle",), "", None, "ferry"),
    ("sailboat", "⛵", "boat", ("vehicle",), "*", None, "yacht"),
    ("truck", "🚚", "", ("vehicle",), "", None, "lorry"),
    ("tractor", "🚜", "", ("vehicle",), "", None, ""),
    ("tree", "🌳", "", (), "", None, ""),
    ("flower", "🌸", "", (), "*", "pink", "blossom"),
    ("house", "🏠", "", (), "*", None, "home"),
    ("umbrella", "☂️", "", (), "*", None, ""),
    ("ball", "⚽", "", (), "*", None, "football"),
    ("heart", "❤️", "", (), "*", "red", ""),
    ("cake", "🎂", "", (), "", None, "birthday_cake"),
    ("hat", "🎩", "", (), "*", "black", "top_hat"),
)


def _kind(
    name: str, glyph: str, names: str, groups: tuple[str, ...], colours: str, natural: str | None, also: str
) -> Kind:
    usual = "bunch of grapes" if name == "grapes" else name
    return Kind(
        name,
        glyph,
        (usual, *(n.replace("_", " ") for n in names.split())),
        groups,
        COLOURS if colours == "*" else tuple(colours.split()),
        natural,
        tuple(n.replace("_", " ") for n in also.split()),
    )


KINDS: dict[str, Kind] = {row[0]: _kind(*row) for row in _TABLE}
"""By name; those that fly come first."""


def of_group(group: str) -> tuple[str, ...]:
    """Names of the kinds in a group of `GROUPS`."""
    return tuple(kind.name for kind in KINDS.values() if group in kind.groups)

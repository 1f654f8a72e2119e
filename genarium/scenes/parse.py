"""From a prompt to what it asks for: the grammar's language in any order, and the words that are not of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

from genarium.scenes.ask import Ask, Wanted
from genarium.scenes.captions import (
    BACKGROUND_NAMES,
    BACKGROUND_PHRASES,
    MOVING_OPENINGS,
    NUMBERS,
    OPENINGS,
    SIZE_WORDS,
)
from genarium.scenes.kinds import COLOURS, GROUPS, KINDS, PLACES, plural
from genarium.scenes.motions import may, turnings, understood

_PASSED_OVER = frozenset(
    "a an the and of with in on at over under by inside above side is are there to some".split()
) | frozenset(word for opening in OPENINGS for word in opening.split())
_PASSED_OVER_TOO = frozenset(word for opening in MOVING_OPENINGS for word in opening.split()) | {"while", "as"}
"""Of prompts for moving scenes."""
_ALSO_BACKGROUNDS = {
    "blue sky": ("sky", "blue sky", "clouds", "cloudy sky", "sky with clouds"),
    "colorful sky": ("sunset sky",),
    "night": ("dark sky", "starry night", "night sky with stars"),
    "sea": ("water", "blue ocean", "waves"),
    "field": ("field", "green meadow", "green grass", "lawn"),
    "room": ("indoor",),
}
_BRITISH = {"colourful": "colorful", "centre": "center", "grey": "gray"}
Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Parsed:
    """What a prompt asks for, and the words nothing in the world stands for."""

    ask: Ask
    unknown: tuple[str, ...]


@cache
def _lexicon(moving: bool = False) -> dict[Phrase, tuple[str, str]]:
    """From a phrase's words to what it is (noun, nouns, group, groups, background, colour, ...) and of what; of moving
    scenes there are motions as well, and turns of the background (how it is in the end)."""
    entries: dict[str, tuple[str, str]] = {}
    for group, (one, many) in GROUPS.items():
        entries |= {many: ("groups", group), one: ("group", group)}
    entries["fruit"] = ("groups", "fruit")
    for name, kind in KINDS.items():
        for noun in (*kind.names, *kind.also):
            entries.setdefault(plural(noun), ("nouns", name))
        entries |= dict.fromkeys((*kind.names, *kind.also), ("noun", name))
    for where, phrases in BACKGROUND_PHRASES.items():
        for phrase in (*phrases, *BACKGROUND_NAMES[where], *_ALSO_BACKGROUNDS[where]):
            words = phrase.split()
            while words[0] in _PASSED_OVER:
                words = words[1:]
            entries[" ".join(words)] = ("background", where)
    entries |= {colour: ("colour", colour) for colour in COLOURS if colour != "orange"}
    entries |= {word: ("size", size) for size, words in SIZE_WORDS.items() for word in words}
    entries |= {place: ("place", place) for place in PLACES} | {"center": ("place", "middle")}
    for number, word in NUMBERS.items():
        entries |= {word: ("count", str(number)), str(number): ("count", str(number))}
    entries |= {
        "one": ("count", "1"),
        "1": ("count", "1"),
        "several": ("count", "several"),
        "many": ("count", "several"),
    }
    entries["flying"] = ("flying", "")
    if moving:
        entries |= {phrase: ("motion", motion) for phrase, motion in understood().items()}
        entries |= {phrase: ("turn", f"{first}>{then}") for phrase, (first, then) in turnings().items()}
    return {tuple(phrase.split()): meaning for phrase, meaning in entries.items()}


_STAND_INS = tuple(
    "batman superman hawk falcon moth bumblebee wasp sparrow spaceship mallard pigeon beetle hare ape lamb "
    "tortoise ferry yacht jet tangerine mandarin coach".split()
)
"""Words for things that are drawn as the kind nearest to them."""


def stand_ins(prompt: str) -> list[tuple[str, str]]:
    """The words of a prompt for things that have no kind of their own, and the kind each is drawn as."""
    words = set(re.findall(r"[\w'-]+", prompt.lower()))
    lexicon = _lexicon()
    return [(word, lexicon[(word,)][1]) for word in _STAND_INS if (word,) in lexicon and {word, plural(word)} & words]


_LONGEST = 6
_FLYING = "flying"


def _pieces(prompt: str, moving: bool) -> list[tuple[str, str]]:
    """The prompt cut into the longest phrases the lexicon has; what it lacks is `unknown`."""
    words = [_BRITISH.get(word, word) for word in re.findall(r"[\w'-]+", prompt.lower())]
    lexicon, pieces, place = _lexicon(moving), list[tuple[str, str]](), 0
    passed_over = _PASSED_OVER | _PASSED_OVER_TOO if moving else _PASSED_OVER
    while place < len(words):
        for length in range(min(_LONGEST, len(words) - place), 0, -1):
            if meaning := lexicon.get(tuple(words[place : place + length])):
                pieces.append(meaning)
                place += length
                break
        else:
            pieces.append(("passed", "") if words[place] in passed_over else ("unknown", words[place]))
            place += 1
    return pieces


_DESCRIBING = ("size", "colour", "flying")


def _orange_is_a_colour(pieces: list[tuple[str, str]], place: int) -> bool:
    """Before a noun, with at most other adjectives between."""
    rest = (kind for kind, _ in pieces[place + 1 :] if kind not in _DESCRIBING)
    return next(rest, "") in ("noun", "nouns", "group", "groups")


def _moves(pieces: list[tuple[str, str]], place: int, things: list[Wanted], said: dict[str, str]) -> tuple[str, ...]:
    """Take up a motion: of the noun that follows, else of what was just named. What can't be is given back."""
    motion = pieces[place][1]
    follows = next((kind for kind, _ in pieces[place + 1 :] if kind not in _DESCRIBING), "")
    if follows in ("noun", "nouns", "group", "groups"):
        said["motion"] = motion
        return ()
    if not things:
        return (motion,)
    before = things[-1].motion
    things[-1] = replace(things[-1], motion=motion)
    return (before,) if before not in (None, "fly", motion) else ()


def parse(prompt: str, *, moving: bool = False) -> Parsed:
    """What a prompt asks for, of moving scenes where `moving`. Words outside of the world are listed, and all others
    still understood.

    Of two backgrounds, and of two motions of a thing, the last counts; the other motion is listed. Digits above
    `kinds.MOST` are asked for and listed.
    """
    pieces = _pieces(prompt, moving)
    things: list[Wanted] = []
    unknown: list[str] = []
    background: str | None = None
    then: str | None = None
    said: dict[str, str] = {}
    flying = False
    for place, (piece, meaning) in enumerate(pieces):
        if (piece, meaning) == ("noun", "orange") and _orange_is_a_colour(pieces, place):
            piece, meaning = "colour", "orange"  # noqa: PLW2901
        if piece in ("noun", "nouns", "group", "groups"):
            count: int | None = 1 if piece in ("noun", "group") else None
            if number := said.get("count"):
                count = None if number == "several" else int(number)
            described = {name: said.get(name) for name in ("colour", "size", "place", "motion")}
            wanted = Wanted(count=count, **described)
            is_kind = piece.startswith("noun")
            things.append(replace(wanted, kind=meaning) if is_kind else replace(wanted, group=meaning))
            if flying and is_kind and not KINDS[meaning].flies:
                unknown.append(_FLYING)
            said, flying = {}, False
        elif piece in ("background", "turn"):
            background, _, then = meaning.partition(">")
        elif piece == "motion":
            unknown += _moves(pieces, place, things, said)
        elif piece == "place" and things and things[-1].place is None:
            things[-1] = replace(things[-1], place=meaning)
        elif piece == "flying":
            # Behind a noun it is a verb, and of what was just named.
            follows = next((kind for kind, _ in pieces[place + 1 :] if kind not in _DESCRIBING), "")
            flying = follows in ("noun", "nouns", "group", "groups")
        elif piece == "unknown":
            unknown.append(meaning)
            if meaning.isdigit():
                said["count"] = meaning
        elif piece != "passed":
            said[piece] = meaning
    unknown += [_FLYING for wanted in things if wanted.motion == "fly" and not may(wanted.kind, wanted.group, "fly")]
    return Parsed(Ask(tuple(things), background, then or None), tuple(unknown))

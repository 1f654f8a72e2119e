"""What a prompt asks for, apart from any picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """One sort of thing asked for: a kind, or a group of `kinds.GROUPS` whose kinds then differ.

    `count` None means several, from 2 on; colour, size, place and motion (one of `motions.MOTIONS`) None mean any.
    """

    kind: str | None = None
    group: str | None = None
    count: int | None = 1
    colour: str | None = None
    size: str | None = None
    place: str | None = None
    motion: str | None = None


@dataclass(frozen=True)
class Ask:
    """Everything a prompt asks for; a background of None is free. Of moving scenes, `then` is what it turns into."""

    things: tuple[Wanted, ...]
    background: str | None = None
    then: str | None = None

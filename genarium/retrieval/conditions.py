"""Which passages a question is asked of: by the file's type, path and time of change, and by the heading."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from genarium.errors import BadInput
from genarium.files import shortened

KEYS = {
    "type": "the file's ending (type=pdf, type=md,txt)",
    "path": "where the file is in the folder (path=2024/*)",
    "heading": "words of the heading that it stands under (heading=Opening hours)",
}
WITHIN = " › "
"""Between a file's name and the headings under which a passage stands."""


@dataclass(frozen=True)
class Conditions:
    """All must hold. `since` is a moment: the file was changed then or later."""

    where: tuple[tuple[str, str], ...] = ()
    since: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.where) or self.since is not None

    def __str__(self) -> str:
        written = [f"{key}={value}" for key, value in self.where]
        return " and ".join([*written, *([f"changed since {self.since:%Y-%m-%d %H:%M}"] if self.since else [])])

    def sql(self, connection: sqlite3.Connection) -> tuple[str, list[Any]]:
        """The conditions in SQL over `files` and `passages`, for this connection, and its values."""
        pieces, values = ["1"], list[Any]()
        for key, value in self.where:
            if key == "type":
                endings = [_like(f".{one}") for one in _types(value)]
                pieces.append(" OR ".join(["path LIKE ? ESCAPE '\\'"] * len(endings)))
                values += endings
            elif key == "path":
                pieces.append("path GLOB ? OR path GLOB ?")
                exact = value.strip("/").replace("[", "[[]")
                values += [exact, f"{exact}/*"]
            else:
                connection.create_function("under", 2, _under, deterministic=True)
                pieces.append("under(context, ?)")
                values.append(value)
        if self.since is not None:
            pieces.append("mtime >= ?")
            values.append(int(self.since.timestamp()) * 10**9)
        return " AND ".join(f"({piece})" for piece in pieces), values


def read(where: Sequence[str], since: str | None = None) -> Conditions:
    """Conditions as they are written: `KEY=VALUE`, and a date or so many days. Raises BadInput."""
    return Conditions(tuple(map(_condition, where)), None if since is None else moment(since))


def _condition(written: str) -> tuple[str, str]:
    key, sign, value = (part.strip() for part in written.partition("="))
    if not sign or not value or not re.search(r"\w", value.replace("*", "x")):
        raise BadInput(f"where must be KEY=VALUE, as in type=pdf, got {shortened(written)!r}")
    if key not in KEYS:
        raise BadInput(f"where knows no {shortened(key)!r}; it knows {', '.join(KEYS.values())}")
    if key == "type" and not all(re.fullmatch(r"[\w+-]+(\.[\w+-]+)*", one) for one in _types(value)):
        raise BadInput(f"a type is the ending of a file, as in type=pdf, got {shortened(value)!r}")
    return key, value


def _types(value: str) -> list[str]:
    return [one.strip().lstrip(".") for one in value.split(",")]


def _like(ending: str) -> str:
    return "%" + re.sub(r"([%_\\])", r"\\\1", ending)


def _under(context: str, wanted: str) -> bool:
    """Whether the headings in a passage's context hold these words; `*` stands for any, `?` for one sign."""
    return bool(_pattern(wanted).search(context.partition(WITHIN)[2]))


@lru_cache(maxsize=64)
def _pattern(wanted: str) -> re.Pattern[str]:
    pieces = re.split(r"([*?]|\s+)", wanted)
    signs = {"*": ".*", "?": "."}
    return re.compile("".join(signs.get(one, r"\s+" if one.isspace() else re.escape(one)) for one in pieces), re.I)


AGO = re.compile(r"(\d{1,5}) ?(d|days?|w|weeks?)")


def moment(written: str, now: datetime | None = None) -> datetime:
    """The moment that is meant, with its zone: `2026-01-31` and `30d` are the beginning of that day here. Raises
    BadInput.
    """
    local = partial(datetime.astimezone)
    try:
        if ago := AGO.fullmatch(written.strip().lower()):
            days = int(ago[1]) * (7 if ago[2].startswith("w") else 1)
            day = (now or datetime.now()) - timedelta(days=days)
            return local(day.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None))
        return local(datetime.fromisoformat(written.strip()))
    except (ValueError, OverflowError, OSError):
        raise BadInput(f"since must be a date as 2026-01-31, or so many days as 30d, got {written[:60]!r}") from None

"""What every kind of artefact has in common."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from genarium.recipe import Recipe


@dataclass(kw_only=True)
class Artefact(ABC):
    """One output of a task. The file's bytes depend on the recipe alone; `stats` (speeds, times) are beside it.

    `item` is its place among what the run makes. `recipe` is set by the run, `id` and `path` once the ledger keeps it.
    """

    kind: ClassVar[str]
    suffix: ClassVar[str]
    media_type: ClassVar[str]
    overview: ClassVar[bool] = False
    """Whether it shows all others of its run, so that they need not be shown beside it."""

    item: int = 0
    stats: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    recipe: Recipe | None = None
    id: str = ""
    path: Path | None = None

    def own_recipe(self, recipe: Recipe) -> Recipe:
        """The recipe that makes this artefact alone, where the run's recipe makes more and there is one."""
        return recipe

    @abstractmethod
    def content(self) -> bytes:
        """The bytes of the artefact's file."""

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        """The suffixes that `as_file` writes, in lower case; none where it writes the same under any name."""
        return (cls.suffix,)

    def as_file(self, suffix: str) -> bytes:
        """The artefact as a file with this suffix, one of `formats`."""
        return self.content()

    def in_folder(self, name: str) -> Iterator[tuple[str, bytes]]:
        """The files that it is as one of several in a folder, by their paths in there; `name` has no suffix."""
        yield f"{name}{self.suffix}", self.content()

    def in_words(self) -> str:
        """What it says: the text itself, a table as it is read, a picture's title."""
        return str(self)

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What is known of it, as JSON values: what the ledger keeps beside the recipe."""

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints: the facts, and what is too long to be among them."""
        return self.facts()

    def as_html(self) -> str:
        """How a notebook shows it."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def as_page(self) -> str | None:
        """A web page without scripts that shows more than the file does, where there is one; kept beside the file."""
        return None

    def beside(self) -> dict[str, bytes]:
        """Further files, by name, that are made from it and kept beside its own."""
        return {}

    @abstractmethod
    def title(self) -> str:
        """One line to recognise it by in a list."""

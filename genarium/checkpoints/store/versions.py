"""The line of versions: each model that was aligned here, what it came from, and what it learned from.

    HOME/versions/NAME.json    a version; NAME is its folder's, with a number where there are several of that name

What a version learned stands in its folder as well, in `training.json` (`training/report.py`). It is read there
once, so that the line stays whole where a folder is moved or deleted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genarium import files
from genarium.checkpoints.store.find import find
from genarium.errors import BadCheckpoint, StorageError

TRAINING = "training.json"


@dataclass(frozen=True)
class Version:
    """`method` is sft, reward, dpo and so on; `parents` and `rewards` are models by `reference` and `digest`.

    `learned_from` tells the data: `kind` (pairs, examples, prompts …), `count`, `sha256` and `name`. `created` is UTC.
    """

    name: str
    reference: str
    digest: str
    method: str
    parents: list[dict[str, Any]]
    learned_from: dict[str, Any]
    created: str
    rewards: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def is_here(self) -> bool:
        """Whether its folder is still there; that it is unchanged is checked when it is used."""
        return Path(self.reference).is_dir()


def register(folder: Path) -> Version:
    """Put a folder that `align` trained into the line, once. Raises BadCheckpoint where it doesn't say what it is."""
    found, told = find(str(folder.resolve()), default="text"), training_of(folder)
    for known in listed():
        if (known.reference, known.digest) == (found.reference, found.digest):
            return known
    made = Version(
        name=_name(folder.resolve().name),
        reference=found.reference,
        digest=found.digest,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        rewards=told.get("rewards") or [],
        **{name: told[name] for name in ("method", "parents", "learned_from")},
        figures={name: value for name, value in (told.get("figures") or {}).items() if isinstance(value, int | float)},
    )
    files.write_atomically(_folder() / f"{made.name}.json", json.dumps(asdict(made), indent=2).encode() + b"\n")
    return made


def training_of(folder: Path) -> dict[str, Any]:
    """What a folder that `align` trained says of itself. Raises BadCheckpoint."""
    try:
        told = json.loads((folder / TRAINING).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadCheckpoint(
            f"{folder / TRAINING} can't be read ({error}); align again, or name another folder"
        ) from None
    lacking = [name for name in ("method", "parents", "learned_from") if name not in told]
    if lacking:
        raise BadCheckpoint(f"{folder / TRAINING} says no {lacking[0]}: it is of no model that was aligned")
    return dict(told)


def method_of(folder: Path) -> str:
    """How the model in a folder was aligned; empty where it was not."""
    try:
        return str(training_of(folder)["method"])
    except BadCheckpoint:
        return ""


def listed() -> list[Version]:
    """All of them, oldest first. Raises StorageError where one can't be read."""
    known = {one.name for one in fields(Version)}
    found = []
    for file in _folder().glob("*.json"):
        try:
            written = json.loads(file.read_text("utf-8"))
            found.append(Version(**{name: value for name, value in written.items() if name in known}))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StorageError(
                f"{file} can't be read ({error}); mend it, or delete it to forget that version"
            ) from None
    return sorted(found, key=lambda version: (version.created, version.name))


def lineage(reference: str, digest: str) -> Iterator[dict[str, Any]]:
    """What a model and those it came from say of how they were aligned, itself first: by the line, or their folders."""
    by_digest = {version.digest: asdict(version) for version in listed()}
    waiting, seen = [(reference, digest)], set[str]()
    while waiting:
        reference, digest = waiting.pop(0)
        if digest in seen:
            continue
        seen.add(digest)
        told = by_digest.get(digest)
        if told is None and reference and (Path(reference) / TRAINING).is_file():
            try:
                told = training_of(Path(reference))
            except BadCheckpoint:  # trained, but not aligned
                continue
        if told is not None:
            yield told
            waiting += [(str(one.get("reference", "")), str(one.get("digest", ""))) for one in told["parents"]]


def _folder() -> Path:
    return files.home() / "versions"


def _name(wanted: str) -> str:
    """A name that no version has yet."""
    plain = re.sub(r"[^\w.-]+", "-", wanted).strip(".-") or "version"
    names = {version.name for version in listed()}
    return next(name for name in (plain, *(f"{plain}-{n}" for n in range(2, len(names) + 3))) if name not in names)

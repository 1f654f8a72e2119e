"""Which indexes a question goes to: by name, by folder, all of them; and how a recipe names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genarium import files
from genarium.errors import BadInput
from genarium.retrieval.places import names, there
from genarium.retrieval.store import Index

ALL = "@all"
"""Every index there is; none can be called so."""
Pinned = dict[str, str]


def named(asked: str | None) -> str:
    """The index meant by its name, by the folder it is of, or by nothing where there is only one. Raises BadInput."""
    known = names()
    if asked is None:
        if len(known) == 1:
            return known[0]
        raise BadInput(f"which index? {there()}" + (f"; name one of them, or {ALL}" if known else ""))
    if asked in known:
        return asked
    path = files.named(asked)
    if path.is_dir():
        if of := of_folder(path):
            return of
        raise BadInput(f"{asked} is not indexed yet: genarium index {asked}")
    raise BadInput(f"no index called {asked!r}; {there()}")


def all_named(asked: Sequence[str] | None) -> list[str]:
    """The indexes meant, each once. Raises BadInput."""
    if asked and ALL in asked:
        if not names():
            raise BadInput(there())
        return names()
    return list(dict.fromkeys(map(named, asked))) if asked else [named(None)]


def of_folder(path: Path) -> str | None:
    """The index of this folder, if there is one."""
    wanted = str(path.resolve())
    for name in names():
        with Index(name) as index:
            if index.meta().get("folder") == wanted:
                return name
    return None


def pin(asked: Sequence[str] | None, values: Mapping[str, Any]) -> Pinned | list[Pinned]:
    """The indexes as a recipe names them, by content; by the files' times too where the question asks for those."""
    pins = []
    for name in all_named(asked):
        with Index(name) as index, index.reading():
            one = {"name": name, "sha256": index.digest()}
            if values.get("since") is not None:
                one["times_sha256"] = index.times_digest()
        pins.append(one)
    return pins[0] if len(pins) == 1 else pins


class PinnedName(str):
    """An index's name, with the sha256 that it has in a recipe."""

    sha256: str

    def __new__(cls, name: str, sha256: str) -> PinnedName:
        made = super().__new__(cls, name)
        made.sha256 = sha256
        return made

    def __reduce__(self) -> tuple[type[PinnedName], tuple[str, str]]:
        return PinnedName, (str(self), self.sha256)


def opened(pinned: Pinned | Sequence[Pinned]) -> list[str]:
    """The names of a recipe's indexes. Raises BadInput where one changed since."""
    names = []
    for one in [pinned] if isinstance(pinned, dict) else pinned:
        names.append(PinnedName(one["name"], one["sha256"]))
        with Index(one["name"]) as index, index.reading():
            require_same(index, names[-1], index.digest())
            if one.get("times_sha256", "") not in ("", index.times_digest()):
                folder = index.meta()["folder"]
                raise BadInput(f"files in {folder} have other times than when this recipe was written; ask anew")
    return list(names)


def require_same(index: Index, name: str, digest: str) -> None:
    """Raises BadInput where `name` is of a recipe and the index has another digest now."""
    if isinstance(name, PinnedName) and name.sha256 != digest:
        folder = index.meta()["folder"]
        raise BadInput(
            f"the index {name} changed since this recipe was written; put {folder} back as it was and give "
            f"genarium index {folder}, or ask anew"
        )

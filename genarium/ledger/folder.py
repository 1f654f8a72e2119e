"""An artefact's folder: what stands in it, whether its file is still the one that was recorded, and putting it back."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genarium import files
from genarium.artefacts import Artefact
from genarium.errors import StorageError
from genarium.recipe import Recipe

if TYPE_CHECKING:
    from genarium.ledger.entry import Entry

PAGE = "page.html"
MARK = "recipe.json"
# The International Press Telecommunications Council's term for media made by a trained model.
DIGITAL_SOURCE_TYPE = "trainedAlgorithmicMedia"

State = Literal["whole", "missing", "changed", "unreadable"]


def state_of(file: Path, sha256: str) -> State:
    """Whether the file has the content that was recorded."""
    try:
        return "whole" if files.sha256(file) == sha256 else "changed"
    except StorageError:
        return "unreadable" if file.exists() else "missing"


def mark(*, id: str, item: int, kind: str, file: str, sha256: str, created: str, recipe: Recipe) -> bytes:
    """The mark that a model made the file, with its recipe, as JSON."""
    written: dict[str, Any] = {
        "ai_generated": True,
        "digital_source_type": DIGITAL_SOURCE_TYPE,
        "generator": f"genarium {version('genarium')}",
        "id": id,
        "item": item,
        "kind": kind,
        "file": file,
        "sha256": sha256,
        "created": created,
        "recipe": recipe.as_dict(),
        "recipe_sha256": recipe.digest,
    }
    return json.dumps(written, indent=2, ensure_ascii=False).encode()


def restore(entry: Entry, made: Artefact) -> Path | None:
    """Write what is missing of the entry's folder again, from an artefact with the same bytes.

    A file that was changed is kept beside it, under the name that is returned. Raises StorageError.
    """
    kept, path = None, entry.path
    if entry.state == "changed":
        kept = next(
            name
            for number in range(1, 10**6)
            if not (name := path.with_name(f"{path.stem}.changed{number}{path.suffix}")).exists()
        )
        try:
            path.rename(kept)
        except OSError as error:
            raise StorageError(f"can't put {path} aside: {files.reason(error)}") from None
    files.write_atomically(path, made.content())
    if entry.page is None and (page := made.as_page()) is not None:
        files.write_atomically(path.with_name(PAGE), page.encode("utf-8", errors="replace"))
    for beside, content in made.beside().items():
        if not path.with_name(beside).is_file():
            files.write_atomically(path.with_name(beside), content)
    if not (told := path.with_name(MARK)).is_file():
        written = mark(
            id=entry.id,
            item=entry.item,
            kind=entry.kind,
            file=path.name,
            sha256=entry.sha256,
            created=entry.created,
            recipe=entry.recipe,
        )
        files.write_atomically(told, written)
    return kept

"""Results that come as many rows: each is on disk as soon as it is made, and a stopped run continues after them.

`run` opens a place for a recipe's rows; the task asks which are `done`, makes the others and hands each to `add`.
Rows are finished work of a run that is not finished: they are kept in `HOME/partial/RECIPE.jsonl` until the
artefact that holds them all is in the ledger. What is large and no row, as where a denoiser is, is kept beside them
by name, `HOME/partial/RECIPE/NAME`, with the recipe.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from genarium import files
from genarium.errors import StorageError
from genarium.progress import emit, note

Row = dict[str, Any]
PARTIAL, RECIPE = "partial", "recipe.json"


class Rows:
    """The rows of one run, in order. `total` is how many there will be, where that is known."""

    def __init__(self, file: Path | None, recipe: bytes = b"{}"):
        self.file, self.recipe = file, recipe
        self.total: int | None = None
        self.done: list[Row] = _read(file) if file is not None else []
        self._opened: IO[bytes] | None = None

    def begin(self, total: int | None) -> list[Row]:
        """The rows an earlier run of this recipe left, told to the listener; the task continues after them."""
        if self.done:
            note(
                f"{len(self.done)} of {total or 'these'} rows were done before this run was stopped; it continues there"
            )
        for number, row in enumerate(self.done, 1):
            emit("row", number, total, preview=row)
        self.total = total
        return list(self.done)

    def add(self, row: Row) -> None:
        """Keep a finished row. Raises StorageError where the disk is full; the rows before it stay."""
        self.done.append(row)
        if self.file is not None:
            try:
                if self._opened is None:
                    self.file.parent.mkdir(parents=True, exist_ok=True)
                    # What a kill left half-written is cut off with the rewrite.
                    files.write_atomically(self.file, b"".join(_as_made(row) for row in self.done[:-1]))
                    self._opened = self.file.open("ab")
                self._opened.write(_as_made(row))
                self._opened.flush()
            except OSError as error:
                raise StorageError(
                    f"can't write {self.file}: {files.reason(error)}; free some space and give the same command again"
                ) from None
        emit("row", len(self.done), self.total, preview=row)

    def keep(self, name: str, content: bytes) -> None:
        """Keep what an unfinished run has besides rows; nothing where they are kept in memory alone.

        Raises StorageError where the disk is full.
        """
        if self.file is None:
            return
        folder = self.file.with_suffix("")
        if not (folder / RECIPE).exists():
            files.write_atomically(folder / RECIPE, self.recipe)
        files.write_atomically(folder / name, content)

    def kept(self, name: str) -> bytes | None:
        """What an earlier run of this recipe kept under that name."""
        if self.file is None:
            return None
        try:
            return (self.file.with_suffix("") / name).read_bytes()
        except OSError:
            return None

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def forget(self) -> None:
        """Remove the partial file and what is beside it: its rows are in the ledger."""
        if self.file is not None:
            files.remove_quietly(self.file)
            shutil.rmtree(self.file.with_suffix(""), ignore_errors=True)


_rows: ContextVar[Rows | None] = ContextVar("genarium_rows", default=None)


def rows() -> Rows:
    """The rows of the run that is going on; outside `run` they are kept in memory alone."""
    return _rows.get() or Rows(None)


@contextmanager
def keeping(digest: str | None, recipe: bytes = b"{}") -> Iterator[Rows]:
    """Inside the block `rows()` are those of the recipe with this digest; None keeps them in memory alone.

    `recipe` is its canonical form.
    """
    opened = Rows(files.home() / PARTIAL / f"{digest}.jsonl" if digest else None, recipe)
    token = _rows.set(opened)
    try:
        yield opened
    finally:
        _rows.reset(token)
        opened.close()


def unfinished(task: str) -> list[dict[str, Any]]:
    """The recipes of this task whose runs were stopped amid something that is kept, as JSON, the newest first."""
    found = sorted((files.home() / PARTIAL).glob(f"*/{RECIPE}"), key=lambda file: file.parent.stat().st_mtime)
    recipes = []
    for file in reversed(found):
        with contextlib.suppress(OSError, ValueError):
            recipes.append(json.loads(file.read_bytes()))
    return [recipe for recipe in recipes if isinstance(recipe, dict) and recipe.get("task") == task]


def line(row: Row) -> bytes:
    """The row as a line of JSON Lines, its keys sorted: equal rows are equal bytes."""
    return json.dumps(row, ensure_ascii=False, sort_keys=True).encode("utf-8", errors="replace") + b"\n"


def _as_made(row: Row) -> bytes:
    """The row as a line with its keys in the order they were made in: a table's columns are in that order."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8", errors="replace") + b"\n"


def _read(file: Path) -> list[Row]:
    """The whole rows in the file: what a kill cut short is left out."""
    found: list[Row] = []
    with contextlib.suppress(FileNotFoundError, ValueError):
        for written in file.read_bytes().splitlines(keepends=True):
            if not written.endswith(b"\n"):
                break
            found.append(json.loads(written))
    return found

"""Results that come as many rows: each is on disk as soon as it is made, and a stopped run continues after them.

`run` opens a place for a recipe's rows; the task asks which are `done`, makes the others and hands each to `add`.
Rows are finished work of a run that is not finished: they are kept in `HOME/partial/RECIPE.jsonl` until the
artefact that holds them all is in the ledger.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from genarium import files
from genarium.errors import StorageError
from genarium.progress import emit, note

Row = dict[str, Any]


class Rows:
    """The rows of one run, in order. `total` is how many there will be, where that is known."""

    def __init__(self, file: Path | None):
        self.file = file
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

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def forget(self) -> None:
        """Remove the partial file: its rows are in the ledger."""
        if self.file is not None:
            files.remove_quietly(self.file)


_rows: ContextVar[Rows | None] = ContextVar("genarium_rows", default=None)


def rows() -> Rows:
    """The rows of the run that is going on; outside `run` they are kept in memory alone."""
    return _rows.get() or Rows(None)


@contextmanager
def keeping(digest: str | None) -> Iterator[Rows]:
    """Inside the block `rows()` are those of the recipe with this digest; None keeps them in memory alone."""
    opened = Rows(files.home() / "partial" / f"{digest}.jsonl" if digest else None)
    token = _rows.set(opened)
    try:
        yield opened
    finally:
        _rows.reset(token)
        opened.close()


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

"""An index on disk: files, passages, their words and their vectors, in one SQLite database.

Words are searched by FTS5 (BM25, Porter's stems), vectors by multiplying them all. What a file brings in is one
transaction, so that after a kill it is there whole or not at all. docs/asking.md says what was measured against this.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from genarium.errors import BadInput
from genarium.retrieval.conditions import Conditions
from genarium.retrieval.hits import Hit, Kept, packed, unpacked
from genarium.retrieval.passages import Passage
from genarium.retrieval.places import checked, explained, folder, there
from genarium.retrieval.tables import CONTENTS, DROPPED, FORMAT
from genarium.retrieval.words import spaced

IN_MEMORY = 256 * 2**20
"""Bytes of vectors in memory. More are in a file without a name, of which the system keeps in memory what it can."""


class Index:
    """The index called `name`. A context manager.

    Raises BadInput (no such index) and StorageError (unreadable, not an index, disk full).
    """

    def __init__(self, name: str):
        self.name = checked(name)
        self.file = folder() / name / "index.sqlite"
        if not self.file.is_file():
            raise BadInput(f"no index called {name!r}; {there()}")
        with explained(self.file, name):
            self.connection = sqlite3.connect(self.file, timeout=30, isolation_level=None)
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
                self.connection.execute("PRAGMA synchronous = NORMAL")
                self.connection.execute("PRAGMA foreign_keys = ON")
                self.meta()
            except BaseException:
                self.connection.close()
                raise

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens inside is kept, or nothing of it."""
        with explained(self.file, self.name):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All that is read inside is of one commit, whatever a writer does meanwhile. Raises StorageError."""
        with explained(self.file, self.name):
            if self.connection.in_transaction:
                yield
                return
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("COMMIT")

    def meta(self) -> dict[str, str]:
        """`folder`, `encoder`, `encoder_digest`, `format`, and `updated` when an indexing was finished."""
        return dict(self.connection.execute("SELECT name, value FROM meta"))

    def set_meta(self, **values: str) -> None:
        self.connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def files(self) -> dict[str, Kept]:
        """Every file by its path, those left out too."""
        notes = "notes" if self.is_current() else "''"
        rows = self.connection.execute(f"SELECT path, size, mtime, sha256, problem, {notes} FROM files ORDER BY path")
        return {row[0]: Kept(*row) for row in rows}

    def put(self, file: Kept, found: Sequence[Passage], context: Sequence[str], vectors: np.ndarray) -> None:
        """Keep a file and its passages in place of what was there. Inside `transaction`."""
        self.drop(file.path)
        blob = vectors.astype(np.float16).tobytes()
        row = (file.path, file.size, file.mtime, file.sha256, file.problem, file.notes, blob)
        number = self.connection.execute(
            "INSERT INTO files (path, size, mtime, sha256, problem, notes, vectors) VALUES (?, ?, ?, ?, ?, ?, ?)", row
        ).lastrowid
        self.connection.executemany(
            "INSERT INTO passages (file, start, end, page, context, text, rows, read) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    number,
                    p.start,
                    p.end,
                    p.page,
                    about,
                    p.text,
                    packed(p),
                    _read(p, about),
                )
                for p, about in zip(found, context, strict=True)
            ],
        )

    def touch(self, file: Kept) -> None:
        """A file whose times changed and whose content did not."""
        self.connection.execute(
            "UPDATE files SET size = ?, mtime = ? WHERE path = ?", (file.size, file.mtime, file.path)
        )

    def drop(self, path: str) -> None:
        self.connection.execute("DELETE FROM files WHERE path = ?", (path,))

    def clear(self) -> None:
        """Forget every file, as when the encoder or the format is another. Inside `transaction`."""
        for what in DROPPED:
            kind, _, name = what.partition(" ")
            self.connection.execute(f"DROP {kind} IF EXISTS {name}")
        for statement in CONTENTS:
            self.connection.execute(statement)

    def require_current(self) -> None:
        """Raises BadInput where the index was made by an earlier version."""
        if not self.is_current():
            raise BadInput(
                f"the index {self.name} was made by an earlier version; index its folder again: "
                f"genarium index {self.meta()['folder']}"
            )

    def is_current(self) -> bool:
        return self.meta().get("format") == str(FORMAT)

    def count(self) -> int:
        """Passages."""
        return int(self.connection.execute("SELECT count(*) FROM passages").fetchone()[0])

    def digest(self) -> str:
        """sha256 of what answers depend on: the files by name and content, the encoder, how passages are made."""
        meta = self.meta()
        digest = hashlib.sha256(f"format {meta.get('format')}\nencoder {meta.get('encoder_digest')}\n".encode())
        for path, sha256 in self.connection.execute("SELECT path, sha256 FROM files WHERE problem = '' ORDER BY path"):
            digest.update(f"{sha256}  {path}\n".encode("utf-8", errors="surrogateescape"))
        return digest.hexdigest()

    def times_digest(self) -> str:
        """sha256 of when each file was last changed, which is what a search by that depends on beside `digest`."""
        digest = hashlib.sha256()
        for path, mtime in self.connection.execute("SELECT path, mtime FROM files WHERE problem = '' ORDER BY path"):
            digest.update(f"{mtime}  {path}\n".encode("utf-8", errors="surrogateescape"))
        return digest.hexdigest()

    def matching(self, conditions: Conditions) -> np.ndarray:
        """The passages that meet the conditions, by number (N,)."""
        where, values = conditions.sql(self.connection)
        rows = self.connection.execute(f"{PASSAGES} WHERE {where}", values)
        return np.fromiter((number for (number,) in rows), np.int64)

    def search_words(
        self, words: Sequence[str], limit: int, conditions: Conditions | None = None
    ) -> list[tuple[int, float]]:
        """Passages with any of the words and their BM25, best first. A word in the heading is as one in the text."""
        match = " OR ".join('"' + word.replace('"', "") + '"' for word in words)
        among, values = "", list[Any]()
        if conditions:
            where, values = conditions.sql(self.connection)
            # The sign keeps FTS5 from being asked anew for each of them.
            among = f"AND +rowid IN ({PASSAGES} WHERE {where})"
        with explained(self.file, self.name):
            return self.connection.execute(
                f"SELECT rowid, -rank FROM words WHERE words MATCH ? {among} ORDER BY rank, rowid LIMIT ?",
                [match, *values, limit],
            ).fetchall()

    def file_of(self, numbers: Sequence[int]) -> dict[int, int]:
        """In which file each of these passages is, by number."""
        with explained(self.file, self.name):
            rows = self.connection.execute(
                f"SELECT id, file FROM passages WHERE id IN ({', '.join('?' * len(numbers))})", list(numbers)
            ).fetchall()
        return dict(rows)

    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Every passage's number (N,), and its vector (N, C) float16 of length 1."""
        with self.reading():
            rows = self.connection.execute("SELECT id FROM passages ORDER BY file, id")
            numbers = np.fromiter((number for (number,) in rows), np.int64)
            [size] = self.connection.execute("SELECT coalesce(sum(length(vectors)), 0) FROM files").fetchone()
            flat = _room(size // 2)
            place = 0
            for (blob,) in self.connection.execute("SELECT vectors FROM files ORDER BY id"):
                flat[place : place + len(blob) // 2] = np.frombuffer(blob, np.float16)
                place += len(blob) // 2
        return numbers, flat.reshape(len(numbers), -1)

    def hits(self, numbers: Sequence[int]) -> list[Hit]:
        """These passages, in this order. Raises BadInput where the index was made by an earlier version."""
        self.require_current()
        with self.reading():
            found = self.connection.execute(
                "SELECT passages.id, path, start, end, page, context, text, rows FROM passages JOIN files "
                f"ON files.id = passages.file WHERE passages.id IN ({', '.join('?' * len(numbers))})",
                list(numbers),
            )
            rows: dict[int, Any] = {row[0]: row for row in found}
        return [unpacked(rows[number]) for number in numbers if number in rows]

    def around(self, file: str, start: int, end: int, beside: int) -> list[Hit]:
        """The passages of a file that characters [start, end) lie in, and so many beside them; in order."""
        with explained(self.file, self.name):
            rows = self.connection.execute(
                "SELECT passages.id, start < ? AND end > ? FROM passages JOIN files ON files.id = passages.file "
                "WHERE path = ? ORDER BY start, passages.id",
                (end, start, file),
            ).fetchall()
        inside = [place for place, (_, meant) in enumerate(rows) if meant]
        if not inside:
            return []
        first, last = max(0, inside[0] - beside), inside[-1] + beside
        return self.hits([number for number, _ in rows[first : last + 1]])


PASSAGES = "SELECT passages.id FROM files CROSS JOIN passages ON files.id = passages.file"


def _room(numbers: int) -> np.ndarray:
    """Room for so many halves (numbers,), beyond IN_MEMORY in a file that is gone when it is let go."""
    if 2 * numbers <= IN_MEMORY:
        return np.empty(numbers, np.float16)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float16, "w+", shape=(numbers,))


def _read(passage: Passage, about: str) -> str | None:
    """What an index of words reads of a passage; None where that is its text. Pairs of a heading come after it."""
    read = spaced(passage.searched)
    if (heading := spaced(about)) != about:
        read = f"{read}\n{heading}"
    return read if read != passage.text else None

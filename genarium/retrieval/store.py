"""An index on disk: files, passages, their words and their vectors, in one SQLite database.

    HOME/indexes/NAME/index.sqlite   in WAL mode: readers see the last whole commit while an indexing runs
    HOME/indexes/NAME/lock.sqlite    held by the one process that writes

Words are searched by FTS5 (BM25, Porter's stems), vectors by multiplying them all. What a file brings in is one
transaction, so that after a kill it is there whole or not at all. docs/asking.md says what was measured against this.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genarium import files
from genarium.errors import BadInput, StorageError
from genarium.retrieval.document import TableRow
from genarium.retrieval.passages import Passage, searched

FORMAT = 2
"""Raised when readers or passages change, so that an index made by earlier ones is made anew."""
META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
CONTENTS = (
    """CREATE TABLE files (
    id      INTEGER PRIMARY KEY,
    path    TEXT NOT NULL UNIQUE,
    size    INTEGER NOT NULL,
    mtime   INTEGER NOT NULL,
    sha256  TEXT NOT NULL,
    problem TEXT NOT NULL,
    notes   TEXT NOT NULL,
    vectors BLOB NOT NULL
)""",
    """CREATE TABLE passages (
    id      INTEGER PRIMARY KEY,
    file    INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    start   INTEGER NOT NULL,
    end     INTEGER NOT NULL,
    page    INTEGER,
    context TEXT NOT NULL,
    text    TEXT NOT NULL,
    rows    TEXT,  -- JSON: where each row of a table is in the text, and how it reads
    read    TEXT   -- the text as it is searched, where that is another
)""",
    "CREATE INDEX passages_by_file ON passages (file)",
    "CREATE VIEW searched AS SELECT id, context, coalesce(read, text) AS text FROM passages",
    """CREATE VIRTUAL TABLE words USING fts5 (
    context, text, content = 'searched', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
)""",
    """CREATE TRIGGER passage_in AFTER INSERT ON passages BEGIN
    INSERT INTO words (rowid, context, text) VALUES (new.id, new.context, coalesce(new.read, new.text));
END""",
    """CREATE TRIGGER passage_out AFTER DELETE ON passages BEGIN
    INSERT INTO words (words, rowid, context, text)
        VALUES ('delete', old.id, old.context, coalesce(old.read, old.text));
END""",
)
# What an index of any format may hold, in an order in which it can be dropped.
DROPPED = ("TRIGGER passage_in", "TRIGGER passage_out", "TABLE words", "VIEW searched", "TABLE passages", "TABLE files")
NAME = re.compile(r"[^\W_][\w.-]{0,99}")


@dataclass(frozen=True)
class Kept:
    """A file as it was indexed. `problem` says why it was left out, and is empty where it was not; `notes` what of
    it could not be read, a line each.
    """

    path: str
    size: int
    mtime: int
    sha256: str
    problem: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Hit:
    """A passage that was found: in which file (relative to the index's folder), and where in its text."""

    id: int
    file: str
    start: int
    end: int
    page: int | None
    context: str
    text: str
    rows: list[TableRow] = field(default_factory=list)

    @property
    def searched(self) -> str:
        """The text as models read it: rows of tables with their headings, no sign that hides a word."""
        return searched(self.text, self.rows)


def folder() -> Path:
    """Where indexes are kept."""
    return files.home() / "indexes"


def names() -> list[str]:
    """Every index there is."""
    return sorted(path.parent.name for path in folder().glob("*/index.sqlite"))


def checked(name: str) -> str:
    """Raises BadInput where it can't be an index's name."""
    if not NAME.fullmatch(name):
        raise BadInput(f"an index can't be called {name!r}; use letters, digits, '-', '_' and '.'")
    return name


def remove(name: str) -> None:
    """Remove an index; the documents stay. Raises BadInput where there is none."""
    if name not in names():
        raise BadInput(f"no index called {name!r}; {there()}")
    with writing(name):
        try:
            # First what makes it an index: a kill half-way leaves nothing that looks like one.
            for file in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
                (folder() / name / file).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"can't remove {folder() / name}: {files.reason(error)}") from None
    shutil.rmtree(folder() / name, ignore_errors=True)


def there() -> str:
    """Which indexes there are, for messages."""
    return f"there are {', '.join(names())}" if names() else "there is none yet; make one: genarium index DIR"


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Hold the index for one writer; a kill frees it. Raises StorageError where another process holds it."""
    where = folder() / checked(name)
    lock = None
    try:
        where.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(where / "lock.sqlite", timeout=0, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
    except (sqlite3.OperationalError, OSError) as error:
        if lock is not None:
            lock.close()
        if "locked" in str(error):
            raise StorageError(
                f"the index {name} is being written by another process; wait for it to end, and give the command again"
            ) from None
        raise StorageError(f"can't write to {where}: {error}; check permissions and free space") from None
    try:
        yield
    finally:
        lock.close()


def create(name: str, meta: Mapping[str, str]) -> None:
    """Make an index without files, inside `writing`: it is there with its tables and `meta`, or not at all."""
    file = folder() / checked(name) / "index.sqlite"
    new = file.with_name("new.sqlite")
    with explained(file, name):
        new.unlink(missing_ok=True)
        connection = sqlite3.connect(new, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN")
            for statement in (META, *CONTENTS):
                connection.execute(statement)
            connection.execute("COMMIT")
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        finally:
            connection.close()
        new.replace(file)


@contextmanager
def explained(file: Path, name: str) -> Iterator[None]:
    """The database's errors inside the block as plain sentences."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"can't use the index {file}: {error}; check free space and permissions, or remove it "
            f"(genarium index --remove {name}) and index again"
        ) from None
    except OSError as error:
        raise StorageError(f"can't write to {file.parent}: {files.reason(error)}; free some space") from None


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
                    _packed(p),
                    p.searched if p.searched != p.text else None,
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
        lines = [f"format {meta.get('format')}\n", f"encoder {meta.get('encoder_digest')}\n"]
        for kept in self.files().values():
            lines += [] if kept.problem else [f"{kept.sha256}  {kept.path}\n"]
        return hashlib.sha256("".join(lines).encode("utf-8", errors="surrogateescape")).hexdigest()

    def search_words(self, words: Sequence[str], limit: int) -> list[int]:
        """Passages with any of the words, best first by BM25; a word in the heading counts as one in the text."""
        match = " OR ".join('"' + word.replace('"', "") + '"' for word in words)
        with explained(self.file, self.name):
            rows = self.connection.execute(
                "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?", (match, limit)
            ).fetchall()
        return [number for (number,) in rows]

    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Every passage's number (N,), and its vector (N, C) float32 of length 1."""
        self.connection.execute("BEGIN")  # both from one commit
        try:
            numbers = [row[0] for row in self.connection.execute("SELECT id FROM passages ORDER BY file, id")]
            blobs = [row[0] for row in self.connection.execute("SELECT vectors FROM files ORDER BY id")]
        finally:
            self.connection.execute("COMMIT")
        matrix = np.frombuffer(b"".join(blobs), np.float16).astype(np.float32)
        return np.array(numbers, dtype=np.int64), matrix.reshape(len(numbers), -1)

    def hits(self, numbers: Sequence[int]) -> list[Hit]:
        """These passages, in this order. Raises BadInput where the index was made by an earlier version."""
        self.require_current()
        marks = ", ".join("?" * len(numbers))
        rows: dict[int, Any] = {
            row[0]: row
            for row in self.connection.execute(
                "SELECT passages.id, path, start, end, page, context, text, rows FROM passages JOIN files "
                f"ON files.id = passages.file WHERE passages.id IN ({marks})",
                list(numbers),
            )
        }
        return [_hit(rows[number]) for number in numbers if number in rows]

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


def _packed(passage: Passage) -> str | None:
    """A passage's rows as JSON: start, end and, where it is another than the text there, how it reads."""
    rows = [
        [row.start, row.end] + [row.reading] * (row.reading != passage.text[row.start : row.end])
        for row in passage.rows
    ]
    return json.dumps(rows, ensure_ascii=False) if rows else None


def _hit(row: Sequence[Any]) -> Hit:
    number, path, start, end, page, context, text, packed = row
    rows = [
        TableRow(one[0], one[1], one[2] if len(one) > 2 else text[one[0] : one[1]])
        for one in json.loads(packed or "[]")
    ]
    return Hit(number, path, start, end, page, context, text, rows)


def named(asked: str | None) -> str:
    """The index meant by its name, by the folder it is of, or by nothing where there is only one. Raises BadInput."""
    known = names()
    if asked is None:
        if len(known) == 1:
            return known[0]
        raise BadInput(f"which index? {there()}" + ("; name one with --index" if known else ""))
    if asked in known:
        return asked
    path = files.named(asked)
    if path.is_dir():
        if of := of_folder(path):
            return of
        raise BadInput(f"{asked} is not indexed yet: genarium index {asked}")
    raise BadInput(f"no index called {asked!r}; {there()}")


def of_folder(path: Path) -> str | None:
    """The index of this folder, if there is one."""
    wanted = str(path.resolve())
    for name in names():
        with Index(name) as index:
            if index.meta().get("folder") == wanted:
                return name
    return None

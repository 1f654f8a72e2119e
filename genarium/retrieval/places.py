"""Where indexes are kept, by name, and who may write to one.

HOME/indexes/NAME/index.sqlite   in WAL mode: readers see the last whole commit while an indexing runs
HOME/indexes/NAME/lock.sqlite    held by the one process that writes
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from genarium import files
from genarium.errors import BadInput, StorageError
from genarium.retrieval.tables import CONTENTS, META

NAME = re.compile(r"[^\W_][\w.-]{0,99}")


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

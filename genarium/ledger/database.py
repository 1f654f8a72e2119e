"""The ledger's tables, the file they are in, and what killed processes left beside it."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genarium import files
from genarium.errors import StorageError

OPENS_WITHIN = 30.0
"""Seconds that others may hold the file before we give up."""
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
SCHEMA_VERSION = 3
SCHEMA = """
CREATE TABLE recipes (
    digest TEXT PRIMARY KEY,
    json   TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE artefacts (
    number  INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    recipe  TEXT NOT NULL REFERENCES recipes (digest),
    item    INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    file    TEXT NOT NULL,
    sha256  TEXT NOT NULL,
    title   TEXT NOT NULL,
    facts   TEXT NOT NULL,
    stats   TEXT NOT NULL,
    notes   TEXT NOT NULL,
    created TEXT NOT NULL
);
CREATE INDEX artefacts_by_recipe ON artefacts (recipe);
"""
# thumb and stars are of the artefact alone; `better` says that it was preferred to the artefact `other`, `equal` that
# neither of the two is better.
RATINGS = """
CREATE TABLE ratings (
    number   INTEGER PRIMARY KEY,
    artefact TEXT NOT NULL REFERENCES artefacts (id),
    scale    TEXT NOT NULL CHECK (scale IN ('thumb', 'stars', 'better', 'equal')),
    value    INTEGER NOT NULL CHECK (
        CASE scale
            WHEN 'thumb' THEN value IN (-1, 1) WHEN 'stars' THEN value BETWEEN 1 AND 5
            WHEN 'better' THEN value = 1 ELSE value = 0
        END
    ),
    other    TEXT REFERENCES artefacts (id) CHECK (
        (scale IN ('better', 'equal')) = (other IS NOT NULL) AND other IS NOT artefact
    ),
    note     TEXT NOT NULL,
    created  TEXT NOT NULL
);
CREATE INDEX ratings_by_artefact ON ratings (artefact);
"""
# An edit is what a person made of an artefact's text, which stays as it is. A comparison is two artefacts as they were
# shown to somebody who could not see what made them, and the rating that came of it; until then NULL.
WORDS = """
CREATE TABLE edits (
    number   INTEGER PRIMARY KEY,
    artefact TEXT NOT NULL REFERENCES artefacts (id),
    text     TEXT NOT NULL,
    note     TEXT NOT NULL,
    created  TEXT NOT NULL
);
CREATE INDEX edits_by_artefact ON edits (artefact);
CREATE TABLE comparisons (
    id       TEXT PRIMARY KEY,
    "left"   TEXT NOT NULL REFERENCES artefacts (id),
    "right"  TEXT NOT NULL REFERENCES artefacts (id) CHECK ("right" <> "left"),
    rating   INTEGER UNIQUE REFERENCES ratings (number),
    created  TEXT NOT NULL
);
CREATE INDEX comparisons_by_left ON comparisons ("left");
CREATE INDEX comparisons_by_right ON comparisons ("right");
"""
RENAMED = f"""
DROP INDEX ratings_by_artefact;
ALTER TABLE ratings RENAME TO earlier;
{RATINGS.strip()}
INSERT INTO ratings SELECT number, artefact, scale, value, OTHER, note, created FROM earlier;
DROP TABLE earlier;
{WORDS.strip()}
"""
# Version 1 knew no pairs, version 2 no equal ones, no edits and no comparisons.
BRINGS_UP = {0: SCHEMA + RATINGS + WORDS, 1: RENAMED.replace("OTHER", "NULL"), 2: RENAMED.replace("OTHER", "other")}


def opened(file: Path) -> sqlite3.Connection:
    """The ledger's database, made or brought up to date. Raises sqlite3.DatabaseError, StorageError, OSError.

    SQLite gives up at once where two make a file at one moment: so one at a time makes it, and the others try again.
    """
    until = time.monotonic() + OPENS_WITHIN
    while True:
        connection = sqlite3.connect(file, timeout=OPENS_WITHIN, isolation_level=None)
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                lock = files.open_locked(file.with_name("ledger.lock"))
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                finally:
                    if lock is not None:
                        os.close(lock)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            _prepare(connection, file)
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode & 0xFF not in BUSY or time.monotonic() > until:
                raise
            time.sleep(random.uniform(0.005, 0.05))
        except BaseException:
            connection.close()
            raise


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    with transaction(connection):  # takes the write lock: also the proof that the folder can be written
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA_VERSION:
            raise StorageError(f"{file} was written by a later Genarium; update this one")
        if found == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise sqlite3.DatabaseError("it holds another program's tables")
        if found < SCHEMA_VERSION:
            for statement in BRINGS_UP[found].split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def sweep(connection: sqlite3.Connection, artefacts: Path, unfinished: Path) -> None:
    """Remove what killed processes left: each had a lock on a file of its artefact's name while it lived."""
    for name in sorted(file.name for file in unfinished.iterdir() if set(file.name) <= set("0123456789abcdef")):
        lock = files.open_locked(unfinished / name, wait=False)
        if lock is None:
            continue
        try:
            if not connection.execute("SELECT 1 FROM artefacts WHERE id = ?", (name,)).fetchone():
                shutil.rmtree(artefacts / f".{name}.part", ignore_errors=True)
                shutil.rmtree(artefacts / name, ignore_errors=True)
            files.remove_quietly(unfinished / name)
        finally:
            os.close(lock)

"""The tables of an index, and which format they are of."""

from __future__ import annotations

FORMAT = 3
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
    read    TEXT   -- the text as it is searched by words, where that is another
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

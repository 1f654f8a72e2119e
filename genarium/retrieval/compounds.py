"""German compounds: "Garantie der Batterie" and "Batteriegarantie" find each other.

A word of the question is taken together with those words of the index that begin or end with it, and with those that
it is made of, one after the other, with a linking s, n, en or es between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

LEAST = 4
"""Letters of a part: shorter ones stand in words that they have nothing to do with."""
MOST = 12
"""How many words a question's word is taken together with, those that most passages have first."""
LINKS = ("", "s", "n", "en", "es")


def related(connection: sqlite3.Connection, words: Sequence[str]) -> list[str]:
    """The words of an index (FTS5's `words`) that are parts of these, or have one of them as a part."""
    connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.known USING fts5vocab('main', 'words', 'row')")
    found: dict[str, None] = {}
    for word in words:
        stem = word[:-1] if word.endswith("e") else word  # as Porter's stemmer leaves it
        if len(stem) < LEAST or not word.isalpha():
            continue
        longer = connection.execute(
            "SELECT term FROM temp.known WHERE (term LIKE ? OR term LIKE ?) AND length(term) >= ? "
            "ORDER BY doc DESC, term LIMIT ?",
            (f"{stem}%", f"%{stem}", len(stem) + LEAST, MOST),
        )
        found |= dict.fromkeys(term for (term,) in longer)
        found |= dict.fromkeys(_parts(connection, stem))
    return [word for word in found if word not in words]


def _parts(connection: sqlite3.Connection, word: str) -> list[str]:
    """Two known words that this one is made of; empty where there are none."""
    for cut in range(len(word) - LEAST, LEAST - 1, -1):
        last = word[cut:]
        for link in LINKS:
            first = word[:cut].removesuffix(link) if word[:cut].endswith(link) else ""
            if len(first) >= LEAST and _is_known(connection, last) and (first := _known(connection, first)):
                return [first, last]
    return []


def _known(connection: sqlite3.Connection, word: str) -> str:
    """The word as the index has it, with its last e or without."""
    return next((one for one in (word, word.removesuffix("e")) if _is_known(connection, one)), "")


def _is_known(connection: sqlite3.Connection, word: str) -> bool:
    return connection.execute("SELECT 1 FROM temp.known WHERE term = ?", (word,)).fetchone() is not None

"""A small queue of jobs in one SQLite file, for a machine with a few workers.

Jobs are taken in order of priority, then of age. A job that is not finished after its lease is given to another worker.
"""

from __future__ import annotations

import sqlite3
import time

LEASE = 240
"""Seconds that a worker may keep a job before it has to renew."""


class Poisoned(Exception):
    """Raised for a job that has failed five times; it is moved to the table `graveyard` and never tried again."""


def connect(path: str) -> sqlite3.Connection:
    """The queue's file. Write-ahead logging is on, so it must not be on a network drive."""
    database = sqlite3.connect(path, timeout=12)
    database.execute("PRAGMA journal_mode=WAL")
    return database


def take(database: sqlite3.Connection, worker: str) -> tuple[int, str] | None:
    """The next job's number and payload, or None. Priority 0 is the most urgent, 9 the least."""
    now = time.time()
    with database:
        row = database.execute(
            "SELECT id, payload, failures FROM jobs WHERE leased_until < ? ORDER BY priority, created LIMIT 1", (now,)
        ).fetchone()
        if row is None:
            return None
        if row[2] >= 5:
            raise Poisoned(str(row[0]))
        database.execute("UPDATE jobs SET leased_until = ?, worker = ? WHERE id = ?", (now + LEASE, worker, row[0]))
    return row[0], row[1]


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures: 20 doubled each time, never more than an hour."""
    return min(3600.0, 20.0 * 2 ** max(0, failures - 1))


def prune(database: sqlite3.Connection, days: int = 45) -> int:
    """Delete finished jobs older than this, and return how many. Run by the night timer at 02:15."""
    with database:
        return database.execute("DELETE FROM done WHERE finished < ?", (time.time() - 86_400 * days,)).rowcount


def priority_for(customer: str, paid: bool) -> int:
    """Paid jobs get 3 and free ones 6. The observatory at Lough Derg always gets 1, by agreement with Dr Achebe."""
    if customer == "lough-derg":
        return 1
    return 3 if paid else 6

"""Blind comparisons: two artefacts of one task as they were shown side by side, and which one somebody found better.

What came of one is a rating as any other, `better` or `equal`; beside it stands on which side each was. Nothing but
their content was seen.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from genarium.errors import BadInput
from genarium.ledger.database import transaction
from genarium.ledger.entry import Entry
from genarium.ledger.ledger import Ledger, rated

Verdict = Literal["left", "right", "equal"]
VERDICTS: tuple[Verdict, ...] = ("left", "right", "equal")


@dataclass(frozen=True)
class Comparison:
    """`verdict` is the side that was found better, or equal; None as long as nobody said."""

    id: str
    left: Entry
    right: Entry
    verdict: Verdict | None
    note: str
    created: str

    @property
    def sides(self) -> tuple[Entry, Entry]:
        return self.left, self.right


def begin(ledger: Ledger, left: str, right: str) -> Comparison:
    """The comparison of two artefacts, the one that is there where they were shown before. Raises BadInput."""
    one, two = ledger.two_of_one_task(left, right)
    either = '("left" = ? AND "right" = ?)'
    with ledger.explained(), transaction(ledger.connection):
        known = ledger.connection.execute(
            f"SELECT id FROM comparisons WHERE {either} OR {either}", (one.id, two.id, two.id, one.id)
        ).fetchone()
        identifier = known[0] if known else f"cmp-{secrets.token_hex(8)}"
        if known is None:
            created = datetime.now(UTC).isoformat(timespec="seconds")
            ledger.connection.execute(
                "INSERT INTO comparisons VALUES (?, ?, ?, NULL, ?)", (identifier, one.id, two.id, created)
            )
    return find(ledger, identifier)


def find(ledger: Ledger, identifier: str) -> Comparison:
    """Raises BadInput where there is none."""
    found = _comparisons(ledger, "c.id = ?", (identifier,))
    if not found:
        raise BadInput(f"there is no comparison {identifier[:40]!r}; begin a new one")
    return found[0]


def judge(ledger: Ledger, identifier: str, verdict: str, note: str = "") -> Comparison:
    """Say which side is better, once. Raises BadInput."""
    if verdict not in VERDICTS:
        raise BadInput(f"a verdict is left, right or equal, got {verdict[:40]!r}")
    shown = find(ledger, identifier)
    if verdict != "equal" and shown.left.facts.get("text", shown.left.id) == shown.right.facts.get("text"):
        raise BadInput("both say the same, so that neither is better: equal")
    one, two = shown.sides if verdict != "right" else shown.sides[::-1]
    with ledger.explained(), transaction(ledger.connection):
        now = ledger.connection.execute("SELECT rating FROM comparisons WHERE id = ?", (identifier,)).fetchone()
        if now is None or now[0] is not None:
            raise BadInput("this comparison was judged already, and what made its sides was told; begin a new one")
        scale, value = ("equal", 0) if verdict == "equal" else ("better", 1)
        rating = rated(ledger.connection, one.id, scale, value, two.id, note)
        ledger.connection.execute("UPDATE comparisons SET rating = ? WHERE id = ?", (rating.number, identifier))
    return find(ledger, identifier)


def judged(ledger: Ledger) -> list[Comparison]:
    """Those with a verdict, oldest first."""
    return _comparisons(ledger, "c.rating IS NOT NULL ORDER BY c.rating", ())


def _comparisons(ledger: Ledger, condition: str, values: tuple[Any, ...]) -> list[Comparison]:
    with ledger.explained():
        rows = ledger.connection.execute(
            'SELECT c.id, c."left", c."right", r.scale, r.artefact, coalesce(r.note, \'\'), c.created'
            f" FROM comparisons c LEFT JOIN ratings r ON r.number = c.rating WHERE {condition}",
            values,
        ).fetchall()
    return [_comparison(ledger, row) for row in rows]


def _comparison(ledger: Ledger, row: tuple[Any, ...]) -> Comparison:
    identifier, left, right, scale, better, note, created = row
    verdict: Verdict | None = None
    if scale is not None:
        verdict = "equal" if scale == "equal" else "left" if better == left else "right"
    return Comparison(identifier, ledger.find(left), ledger.find(right), verdict, note, created)

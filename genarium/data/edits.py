"""How far what was got is from what was wanted, in edits."""

from __future__ import annotations

from collections.abc import Sequence


def edits(wanted: Sequence[str], got: Sequence[str]) -> int:
    """Words, or letters of a text, that were put in, left out and mistaken (Levenshtein's distance)."""
    before = list(range(len(got) + 1))
    for number, one in enumerate(wanted, 1):
        row = [number]
        for place, other in enumerate(got):
            row.append(min(before[place] + (one != other), before[place + 1] + 1, row[-1] + 1))
        before = row
    return before[-1]

"""Follow a folder: its index is brought up to date whenever something in it changed, and rests meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from genarium import files
from genarium.errors import BadInput, StorageError
from genarium.retrieval.build import Report
from genarium.retrieval.walk import Seen, looked_at

EVERY = 2.0
"""Seconds between two looks at the folder."""
SHARE = 10
"""Of many files a look takes long; between two it then rests so many times as long."""
Held = Callable[[str, Seen | None], bool]
Update = Callable[[Held], Report]
"""Brings the index up to date, but for files that are held."""


def watch(
    folder: Path,
    update: Update,
    *,
    every: float = EVERY,
    told: Callable[[str], None] = lambda _: None,
    rest: Callable[[float], None] = time.sleep,
) -> Iterator[Report]:
    """A report of the first update, and of each after it that changed something; without end.

    What changes is read when two looks found it the same, so that nothing half-written is. A folder that is gone or
    empty is waited for, with its index as it was; so is an index that another process writes. `told` gets a sentence
    where that begins and where it ends. Raises what the first update raises.
    """
    done = before = looked_at(files.named(folder))  # from before, so that what changes meanwhile is seen
    report = update(lambda path, seen: False)
    yield report
    skipped, waiting = report.skipped, ""
    while True:
        began = time.monotonic()
        now = looked_at(files.named(folder))
        took = time.monotonic() - began
        wrong = "" if now else f"{folder} is {'empty' if files.named(folder).is_dir() else 'not there'} now"
        busy = _differing(before, now)
        if now and _differing(done, now) - busy:
            try:
                report = update(_unless(now, busy))
            except (BadInput, StorageError) as error:  # gone just now, or another process is at it
                wrong = str(error)
            else:
                if report.added or report.changed or report.removed or report.skipped != skipped:
                    yield report
                skipped = report.skipped
                resting = {path: seen for path, seen in now.items() if path not in busy}
                done = resting | {path: seen for path, seen in done.items() if path in busy}
        if wrong != waiting:
            told(f"{wrong}; waiting" if wrong else "it can be read again")
        waiting, before = wrong, now or before
        rest(max(every, SHARE * took))


def _unless(now: Mapping[str, Seen], busy: set[str]) -> Held:
    """Held is what changes, and what changed since that look."""
    return lambda path, seen: path in busy or now.get(path) != seen


def _differing(one: dict[str, Seen], other: dict[str, Seen]) -> set[str]:
    """Files that are in one only, or of another size or time."""
    return {path for path, _ in one.items() ^ other.items()}

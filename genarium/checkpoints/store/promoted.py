"""Which models `chat` and `text` use where none is named: a starter, or the one that was promoted last.

HOME/promoted.json    {"chat": [{"reference", "digest", "created"}, …], "text": […]}: of each task those that were
                      promoted, the last one in use; to demote it is to take up the one before
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from genarium import files
from genarium.checkpoints.store.find import Found, find
from genarium.errors import BadCheckpoint, BadInput, GenariumError, ModelNotFound, StorageError

TASKS = ("chat", "text")
BACK = "genarium models demote takes up the one that was used before"


@dataclass(frozen=True)
class Promotion:
    """`digest` is the model's when it was promoted; `created` is UTC, ISO 8601."""

    reference: str
    digest: str
    created: str


def in_use(task: str) -> Promotion | None:
    """The model that was promoted for a task; None where it uses its starter. Raises StorageError."""
    return all_in_use().get(task)


def all_in_use() -> dict[str, Promotion]:
    """What was promoted, by task; those that use their starters are not in it. Raises StorageError."""
    line = _read()
    return {task: line[task][-1] for task in TASKS if line.get(task)}


def tasks_of(reference: str, digest: str, used: Mapping[str, Promotion]) -> list[str]:
    """The tasks that use this model where none is named; `used` is what `all_in_use` found."""
    return [task for task, one in used.items() if (one.reference, one.digest) == (reference, digest)]


def find_in_use(task: str) -> Found | None:
    """That model where it can be run. Raises ModelNotFound and BadCheckpoint where it is gone or another by now."""
    promotion = in_use(task)
    if promotion is None:
        return None
    told = f"{promotion.reference} was promoted to what {task} uses"
    try:
        found = find(promotion.reference, default=task)
    except GenariumError as error:
        raise ModelNotFound(f"{told}, but it can't be used now: {error}; {BACK}") from None
    if found.digest != promotion.digest:
        raise BadCheckpoint(
            f"{told}, but its files changed since (sha256 {promotion.digest[:12]} then, {found.digest[:12]} now); "
            f"promote it again, or {BACK}"
        )
    return found


def promote(task: str, found: Found) -> Promotion:
    """Make the model what the task uses. Raises BadInput where it is that already, StorageError."""
    line = _read()
    made = Promotion(found.reference, found.digest, datetime.now(UTC).isoformat(timespec="seconds"))
    before = line[task][-1] if line.get(task) else None
    if before and (before.reference, before.digest) == (made.reference, made.digest):
        raise BadInput(f"{found.reference} is what {task} uses already")
    _write(line | {task: [*line.get(task, []), made]})
    return made


def demote(task: str) -> tuple[Promotion, Promotion | None]:
    """Take back the last promotion: what was in use, and what is now. Raises BadInput where there is none."""
    line = _read()
    if not line.get(task):
        raise BadInput(f"nothing was promoted for {task}; it uses its starter")
    *before, taken = line[task]
    _write(line | {task: before})
    return taken, before[-1] if before else None


def _file() -> Path:
    return files.home() / "promoted.json"


def _read() -> dict[str, list[Promotion]]:
    try:
        written = json.loads(_file().read_text("utf-8"))
        return {task: [Promotion(**one) for one in line] for task, line in written.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StorageError(f"{_file()} can't be read ({error}); mend it, or delete it to use the starters") from None


def _write(line: dict[str, list[Promotion]]) -> None:
    told = {task: [asdict(one) for one in promotions] for task, promotions in line.items()}
    files.write_atomically(_file(), json.dumps(told, indent=2).encode() + b"\n")

"""Videos that were asked for over `/v1/videos`: each is a file that says what came of it, and a job while it is made.

    HOME/videos/ID.json    its recipe, and how it ended
    HOME/videos/ID.lock    held by the server that makes it, as long as that lives

What no server holds and has not ended is queued again: when a server starts, and when somebody asks for it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from genarium import files
from genarium.errors import BadInput, GenariumError, StorageError
from genarium.ledger import Ledger
from genarium.progress import Event
from genarium.recipe import Recipe
from genarium.run import Result
from genarium.server.desk import Desk
from genarium.server.errors import RequestRefused
from genarium.server.jobs import DONE, PARKED, Job

log = logging.getLogger("genarium.server")
ID = re.compile(r"video_[0-9a-f]{24}")
MOST_STARTS = 3
"""A video whose making ended the server so often (for want of memory, say) is not begun again."""
SHARES = {"denoising": (0, 90), "decoding": (90, 97)}
"""From and to how many percent of a video a stage is."""


@dataclass
class Kept:
    """What is kept of a video; `status` is queued until it is completed or failed, `model` as its client named it."""

    id: str
    client: str
    model: str
    recipe: Recipe
    created_at: int
    remixed_from: str | None = None
    status: Literal["queued", "completed", "failed"] = "queued"
    starts: int = 0
    completed_at: int | None = None
    artefact: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None

    def write(self) -> None:
        """Raises StorageError."""
        written = asdict(self) | {"recipe": self.recipe.as_dict()}
        files.write_atomically(_file(self.id), json.dumps(written).encode())

    def fail(self, code: str, message: str) -> None:
        self.status, self.error, self.completed_at = "failed", {"code": code, "message": message}, int(time.time())


class VideoJob(Job):
    """Writes down what becomes of it, and needs not be parked for that."""

    keeps_itself: ClassVar[bool] = True

    def __init__(self, kept: Kept, lock: int | None):
        super().__init__(kept.recipe, kept.client, identifier=kept.id)
        self.detached = True
        self.kept, self.lock = kept, lock
        self.percent = 0
        self.deleted = False

    def begin(self) -> None:
        self.kept.starts += 1
        self._write()
        super().begin()

    def listen(self, event: Event) -> None:
        super().listen(event)
        if event.total and event.stage in SHARES:
            first, last = SHARES[event.stage]
            self.percent = max(self.percent, first + (last - first) * event.done // event.total)

    def end(self, status: str, *, result: Result | None = None, error: BaseException | None = None) -> None:
        try:
            super().end(status, result=result, error=error)
        finally:
            if status == PARKED:
                self.kept.starts -= 1 if self.began else 0  # that it ended was not its doing
            elif status == DONE and result is not None:
                self.kept.status, self.kept.artefact = "completed", result[0].id
                self.kept.facts, self.kept.completed_at = result[0].facts(), int(time.time())
            else:
                told = self.failure[1]["error"] if self.failure is not None else {}
                stopped = "it was stopped before it was done"
                self.kept.fail(told.get("code") or told.get("type") or "cancelled", told.get("message") or stopped)
            self._write()
            self._let_go()

    def _write(self) -> None:
        if self.deleted:
            return
        try:
            self.kept.write()
        except StorageError as error:  # it is right as long as this server lives, and made again by the next
            log.warning("what became of %s can't be kept: %s", self.id, error)

    def _let_go(self) -> None:
        if self.deleted:
            _forget(self.kept)
        if self.lock is not None:
            files.remove_quietly(_lock(self.id))
            os.close(self.lock)
            self.lock = None


def ask(desk: Desk, recipe: Recipe, client: str, model: str, *, remixed_from: str | None = None) -> VideoJob:
    """A new video's job, kept before it is queued. Raises Refused where the queue is full, StorageError."""
    identifier = f"video_{time.time_ns() // 1000:014x}{secrets.token_hex(5)}"
    kept = Kept(identifier, client, model, recipe, int(time.time()), remixed_from)
    kept.write()
    job = VideoJob(kept, _claimed(identifier))
    try:
        desk.enter(job)
    except BaseException:
        job.deleted = True
        job._let_go()
        raise
    return job


def find(desk: Desk, identifier: str) -> tuple[Kept, VideoJob | None]:
    """What is kept of a video, and its job where this server has it. Raises Refused where there is none."""
    if isinstance(job := desk.jobs.get(identifier), VideoJob):
        return job.kept, job
    kept = _read(identifier) if ID.fullmatch(identifier) else None
    if kept is None:
        raise RequestRefused(404, f"no video {identifier[:80]!r}; GET /v1/videos lists them")
    return kept, _taken_up(desk, kept)


def listed(
    desk: Desk, *, limit: int, after: str | None, order: Literal["asc", "desc"]
) -> tuple[list[tuple[Kept, VideoJob | None]], bool]:
    """Videos by the time they were asked for, and whether there are more. Raises Refused where `after` is none."""
    if after is not None:
        find(desk, after)
    names = sorted((file.stem for file in _folder().glob("video_*.json")), reverse=order == "desc")
    if after is not None:
        names = [name for name in names if (name < after if order == "desc" else name > after)]
    found: list[tuple[Kept, VideoJob | None]] = []
    for place, name in enumerate(names):
        if len(found) == limit:
            return found, place < len(names)
        try:
            found.append(find(desk, name))
        except RequestRefused:  # deleted meanwhile, or damaged
            continue
    return found, False


def take_up(desk: Desk) -> None:
    """Queue again what earlier servers did not end."""
    for file in sorted(_folder().glob("video_*.json")):
        if (kept := _read(file.stem)) is not None:
            _taken_up(desk, kept)


def delete(desk: Desk, kept: Kept, job: VideoJob | None) -> None:
    """Forget a video and what was made; one that is being made is stopped. Raises Refused, StorageError."""
    if job is not None:
        job.deleted = True  # first: it may end at this moment, and must not be written down again
        if not job.ended:
            desk.queue.stop(job)
    elif kept.status == "queued":
        if (lock := _claimed(kept.id)) is None and files.fcntl is not None:
            raise RequestRefused(409, f"another server makes {kept.id}; delete it there, or when it is done")
        if lock is not None:
            os.close(lock)
    desk.jobs.pop(kept.id, None)
    _forget(kept)


def _forget(kept: Kept) -> None:
    if kept.artefact is not None:
        with Ledger() as ledger, contextlib.suppress(BadInput):  # it may be gone from the history already
            ledger.delete(kept.artefact)
    files.remove_quietly(_file(kept.id))
    files.remove_quietly(_lock(kept.id))


def _taken_up(desk: Desk, kept: Kept) -> VideoJob | None:
    """Its job, begun anew where it has not ended and nobody has it; None where it stays as it is."""
    if kept.status != "queued" or ((lock := _claimed(kept.id)) is None and files.fcntl is not None):
        return None
    job = VideoJob(kept, lock)
    if kept.starts >= MOST_STARTS:
        kept.fail(
            "server_error",
            f"the server ended {kept.starts} times while it made this; ask for fewer frames or a smaller size",
        )
        job._write()
        job._let_go()
        return None
    try:
        desk.enter(job)
    except RequestRefused:  # the queue is full: it is asked for again
        job._let_go()
        return None
    return job


def _claimed(identifier: str) -> int | None:
    try:
        return files.open_locked(_lock(identifier), wait=False)
    except OSError as error:
        raise StorageError(f"can't write to the data folder: {files.reason(error)}; free some space") from None


def _read(identifier: str) -> Kept | None:
    """None where there is none, or it can't be read."""
    try:
        said = json.loads(_file(identifier).read_text("utf-8"))
        return Kept(**said | {"recipe": Recipe.from_dict(said["recipe"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, GenariumError) as error:
        log.warning("%s is no video that can be read: %s", _file(identifier).name, error)
        return None


def _folder() -> Path:
    return files.home() / "videos"


def _file(identifier: str) -> Path:
    return _folder() / f"{identifier}.json"


def _lock(identifier: str) -> Path:
    return _folder() / f"{identifier}.lock"

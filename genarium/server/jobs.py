"""A job: one recipe on its way, and everything that is told of it while it runs.

It is carried out on a thread and watched from the event loop: the thread leaves its events in a queue and wakes the
loop once for as many as are there.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from genarium.artefacts import Artefact, png, waves
from genarium.ledger.folder import PAGE
from genarium.progress import Event
from genarium.recipe import Recipe
from genarium.server import errors, media

if TYPE_CHECKING:
    import numpy as np

    from genarium.run import Result

KEPT_EVENTS = 4096
"""Events of one job that can be read again; of older ones a reader that comes back is told that they are gone."""
WAITING, RUNNING, DONE, FAILED, STOPPED, PARKED = "queued", "running", "done", "failed", "cancelled", "parked"
ENDS = (DONE, FAILED, STOPPED, PARKED)


class Stopped(BaseException):
    """Raised inside a run whose client is gone, at its next sign of life. Not an error that a task might handle."""


@dataclass(frozen=True)
class JobEvent:
    """`number` counts from 1 and is the event's id in a stream; `data` are JSON values."""

    number: int
    name: str
    data: dict[str, Any]

    def failure(self) -> dict[str, Any]:
        """Of the end of a job that was not done: what went wrong, as OpenAI's `error`."""
        return dict(self.data.get("error") or errors.body(503, "the work was stopped")["error"])


class Job:
    """`status` is queued, running, done, failed, cancelled or parked (kept for the next start of the server)."""

    keeps_itself: ClassVar[bool] = False
    """Whether it is on disk anyway, so that the next start finds it without its being parked."""

    def __init__(self, recipe: Recipe, client: str, *, identifier: str = ""):
        self.id = identifier or f"job-{secrets.token_hex(8)}"
        self.recipe, self.client = recipe, client
        self.created = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.began = self.seconds = 0.0
        self.status = WAITING
        self.detached = False  # whether it continues without the client that asked
        self.parking = False
        self.result: Result | None = None
        self.answer: dict[str, Any] | None = None
        self.error: BaseException | None = None
        self.failure: tuple[int, dict[str, Any]] | None = None
        self.events: deque[JobEvent] = deque(maxlen=KEPT_EVENTS)
        self._told = 0
        self.size = 0
        """About how many bytes its events take, its answer among them."""
        self._sizes: deque[int] = deque(maxlen=KEPT_EVENTS)
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._incoming: deque[tuple[str, dict[str, Any]]] = deque()
        self._waking = False
        self._lock = threading.Lock()

    @property
    def ended(self) -> bool:
        return self.status in ENDS

    # On the thread that carries it out

    def check(self) -> None:
        """Raises Stopped once nobody wants the result any more."""
        if self._stop.is_set():
            raise Stopped

    def listen(self, event: Event) -> None:
        """The run's listener. Raises Stopped once nobody wants the result any more."""
        self.check()
        told: dict[str, Any] = {"item": event.item, "done": event.done, "total": event.total}
        if event.stage == "note":
            self.tell("note", {"text": event.preview})
        elif event.stage == "made":
            self.tell("artefact", summary(event.preview))
        elif event.stage in ("writing", "logprob"):
            if event.preview:
                self.tell(event.stage, told | {"text" if event.stage == "writing" else "token": event.preview})
        elif event.stage == "speaking":
            samples = base64.b64encode(waves.pcm16(event.preview.samples)).decode()
            self.tell("sound", told | {"pcm": samples, "rate": event.preview.rate})
        elif event.stage == "row":
            self.tell("row", told | {"row": event.preview})
        else:
            image = _as_image(event.preview)
            about = {"about": event.preview} if isinstance(event.preview, str) else {}
            self.tell("progress", {"stage": event.stage} | told | about | ({"picture": image} if image else {}))

    def tell(self, name: str, data: dict[str, Any]) -> None:
        """Add an event, from any thread."""
        with self._lock:
            self._incoming.append((name, data))
            if self._waking:
                return
            self._waking = True
        self._loop.call_soon_threadsafe(self._take_in)

    def begin(self) -> None:
        self.status, self.began = RUNNING, time.monotonic()
        self.tell("status", {"status": RUNNING})

    def end(self, status: str, *, result: Result | None = None, error: BaseException | None = None) -> None:
        """Say how it ended; `answer` or `failure` then hold what is told of it."""
        self.seconds = time.monotonic() - self.began if self.began else 0.0
        self.result, self.error = result, error
        told: dict[str, Any] = {"status": status}
        if result is not None:
            self.answer = answer(result)
            told["result"] = self.answer
        if error is not None:
            self.failure = errors.of(error)
            told |= self.failure[1]
        self.status = status
        self.tell("end", told)

    # On the event loop

    def stop(self) -> None:
        """Ask the run to end at its next sign of life."""
        self._stop.set()

    @property
    def told_all(self) -> bool:
        """Whether its last event is there to be read."""
        return self._over.is_set()

    def _take_in(self) -> None:
        with self._lock:
            new = list(self._incoming)
            self._incoming.clear()
            self._waking = False
        for name, data in new:
            self._told += 1
            self.events.append(JobEvent(self._told, name, data))
            if len(self._sizes) == self._sizes.maxlen:
                self.size -= self._sizes[0]
            self._sizes.append(_size(data))
            self.size += self._sizes[-1]
            if name == "end":
                self._over.set()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def follow(self, after: int = 0) -> AsyncIterator[JobEvent]:
        """The events after number `after`, those to come as well, up to and with `end`."""
        while True:
            changed = self._changed
            gone = self._told - len(self.events)
            new = list(islice(self.events, max(0, after - gone), None))
            if after < gone:
                yield JobEvent(gone, "gap", {"missed": gone - after})
            for event in new:
                after = event.number
                yield event
            if not new and self._over.is_set():
                return
            if not new:
                await changed.wait()

    async def first_sign(self) -> None:
        """Wait until it made something, or ended."""
        async for told in self.follow():
            if told.name not in ("status", "note", "progress"):
                return

    async def finished(self) -> None:
        """Wait until it has ended and its last event is told."""
        await self._over.wait()

    def as_dict(self, position: int | None = None) -> dict[str, Any]:
        """The job as JSON values."""
        failure = self.failure[1] if self.failure is not None else {}
        return {
            "id": self.id,
            "object": "job",
            "task": self.recipe.task,
            "status": self.status,
            "created": self.created,
            "position": position,
            "seconds": round(self.seconds or (time.monotonic() - self.began if self.began else 0.0), 3),
            "seed": self.recipe.seed,
            "recipe_sha256": self.recipe.digest,
            "events": f"/v1/jobs/{self.id}/events",
            "result": self.answer,
            **failure,
        }


def _size(data: Any) -> int:
    """About how many bytes JSON values take."""
    if isinstance(data, str):
        return 50 + len(data)
    if isinstance(data, dict):
        return 200 + sum(map(_size, data.values()))
    return 50 + sum(map(_size, data)) if isinstance(data, list) else 50


def summary(artefact: Artefact) -> dict[str, Any]:
    """What is known of a kept artefact, as JSON values, and where its file is."""
    return {
        "id": artefact.id,
        "item": artefact.item,
        "kind": artefact.kind,
        "media_type": artefact.media_type,
        "title": artefact.title()[:200],
        "url": f"/v1/artefacts/{artefact.id}/content",
        "overview": artefact.overview,
        **({"page_url": f"/v1/artefacts/{artefact.id}/page"} if _has_page(artefact) else {}),
        **media.faces(artefact.path, f"/v1/artefacts/{artefact.id}"),
        **artefact.facts(),
        "stats": artefact.stats,
        "notes": artefact.notes,
    }


def _has_page(artefact: Artefact) -> bool:
    return artefact.path is not None and artefact.path.with_name(PAGE).is_file()


def answer(result: Result) -> dict[str, Any]:
    """A finished run as JSON values; rows and vectors are with their artefacts."""
    model = result.recipe.model
    return {
        "task": result.recipe.task,
        "model": model.reference if model is not None else None,
        "seed": result.recipe.seed,
        "recipe": result.recipe.as_dict(),
        "recipe_sha256": result.recipe.digest,
        "artefacts": [summary(artefact) | artefact.as_json() for artefact in result],
        "notes": result.notes,
        "seconds": round(result.seconds, 4),
    }


def _as_image(preview: Any) -> str | None:
    """A small picture (h, w, 3) uint8 as a data: URL."""
    if not hasattr(preview, "ndim") or preview.ndim != 3:
        return None
    from PIL import Image

    pixels: np.ndarray = preview
    return png.data_url(png.encode(Image.fromarray(pixels), {}))

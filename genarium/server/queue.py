"""What runs when: a bounded queue, fair between clients, with a lane for texts that share a batch and one for the rest.

Texts and conversations run many at once, each on a thread of its own: the native engine puts them in one batch
(`decoding/continuous.py`). Everything else runs one at a time. In a lane the clients take turns, so that who asks for
a hundred things does not make another wait for all of them.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from genarium.errors import BadInput
from genarium.progress import ended_by
from genarium.run import run
from genarium.server.errors import RequestRefused
from genarium.server.jobs import DONE, FAILED, PARKED, STOPPED, Job, Stopped

log = logging.getLogger("genarium.server")

TEXTS = ("text", "chat")
SHARE = 0.75
"""How much of the queue one client may fill: the rest is for those who come later."""
STOPS_WITHIN = 15.0
"""Seconds that a run may take to its next sign of life, and to be parked, before the server goes down without it."""


class Lane:
    """Jobs that wait, by client in the order of their turns; `workers` of them run at once."""

    def __init__(self, workers: int):
        self.workers = workers
        self.running: set[Job] = set()
        self.waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self.seconds = 2.0
        """How long a job took lately, on average."""

    def add(self, job: Job) -> None:
        self.waiting.setdefault(job.client, deque()).append(job)

    def take(self) -> Job | None:
        """The next client's oldest job; the client then goes to the end."""
        if not self.waiting:
            return None
        client, own = self.waiting.popitem(last=False)
        job = own.popleft()
        if own:
            self.waiting[client] = own
        return job

    def remove(self, job: Job) -> bool:
        own = self.waiting.get(job.client)
        if own is None or job not in own:
            return False
        own.remove(job)
        if not own:
            del self.waiting[job.client]
        return True

    def held_by(self, client: str) -> int:
        return len(self.waiting.get(client, ()))

    def __len__(self) -> int:
        return sum(len(own) for own in self.waiting.values())


class Queue:
    """`done` is called on the job's thread with every job that has ended."""

    def __init__(self, *, waiting: int, together: int, done: Callable[[Job], None] = lambda job: None):
        self.waiting, self.done = waiting, done
        self.texts, self.alone = Lane(together), Lane(1)
        self._lock = threading.Condition()
        self._closed = False

    def lane(self, job: Job) -> Lane:
        return self.texts if job.recipe.task in TEXTS else self.alone

    def submit(self, *jobs: Job) -> None:
        """All of one client's jobs, or none. Raises BadInput where they would never fit.

        Raises Refused: 429 where the queue is full (with Retry-After), 503 where the server is going down.
        """
        job, count = jobs[0], len(jobs)
        lane = self.lane(job)
        share = math.ceil(SHARE * self.waiting)
        if count > share + lane.workers:
            raise BadInput(f"{count} at once are more than this server takes of one client; send {share} at a time")
        with self._lock:
            if self._closed:
                raise RequestRefused(
                    503, "the server is going down; send this again in a moment", headers={"Retry-After": "5"}
                )
            start = 0 if lane.waiting else lane.workers - len(lane.running)
            wait_there = max(0, count - start)
            own = self.texts.held_by(job.client) + self.alone.held_by(job.client)
            if wait_there and (len(self) + wait_there > self.waiting or own + wait_there > share):
                wait = max(1, min(600, math.ceil(len(lane) * lane.seconds / lane.workers)))
                raise RequestRefused(
                    429,
                    f"the queue is full ({len(self)} wait); try again in about {wait} seconds",
                    code="queue_full",
                    headers={"Retry-After": str(wait)},
                )
            for one in jobs:
                lane.add(one)
            self._start(lane)

    def position(self, job: Job) -> int | None:
        """How many of its lane's jobs are before it, as its clients take turns; None once it runs."""
        lane = self.lane(job)
        with self._lock:
            own = lane.waiting.get(job.client)
            if own is None or job not in own:
                return None
            turn, clients = own.index(job), list(lane.waiting)
            first = clients.index(job.client)
            # Who is before it in the round has one turn more by then.
            return sum(min(len(lane.waiting[one]), turn + (place < first)) for place, one in enumerate(clients))

    def stop(self, job: Job) -> None:
        """End a job: at once where it waits, at its next sign of life where it runs."""
        job.stop()
        with self._lock:
            waited = self.lane(job).remove(job)
        if waited:
            self._end(job, PARKED if job.parking else STOPPED)

    def close(self, grace: float) -> None:
        """Take no more; jobs that have no client waiting are parked, the rest may continue for `grace` seconds."""
        with self._lock:
            self._closed = True
            everyone = self._jobs()
        for job in everyone:
            if job.detached:
                job.parking = True
                self.stop(job)
        until = time.monotonic() + grace
        with self._lock:
            while self._jobs() and (left := until - time.monotonic()) > 0:
                self._lock.wait(left)
            late = self._jobs()
        for job in late:
            self.stop(job)
        with self._lock:
            self._lock.wait_for(lambda: not self._jobs(), timeout=STOPS_WITHIN)

    def __len__(self) -> int:
        return len(self.texts) + len(self.alone)

    def running(self) -> int:
        return len(self.texts.running) + len(self.alone.running)

    def _jobs(self) -> list[Job]:
        lanes = (self.texts, self.alone)
        waiting = [job for lane in lanes for own in lane.waiting.values() for job in own]
        return [*waiting, *self.texts.running, *self.alone.running]

    def _start(self, lane: Lane) -> None:
        """With the lock held: give free workers their jobs."""
        while len(lane.running) < lane.workers and (job := lane.take()) is not None:
            lane.running.add(job)
            threading.Thread(target=self._work, args=(lane, job), name=f"genarium-{job.id}", daemon=True).start()

    def _work(self, lane: Lane, job: Job) -> None:
        self._carry_out(job, shared=lane is self.texts)
        with self._lock:
            lane.running.discard(job)
            lane.seconds += 0.2 * (job.seconds - lane.seconds)
            self._start(lane)
            self._lock.notify_all()

    def _carry_out(self, job: Job, *, shared: bool) -> None:
        from genarium.decoding.continuous import sharing

        job.begin()
        try:
            with sharing() if shared else contextlib.nullcontext(), ended_by(job.check):
                result = run(job.recipe, listener=job.listen)
        except Stopped:
            self._end(job, PARKED if job.parking else STOPPED)
        except BaseException as error:  # whatever it was, the one who asked is told
            self._end(job, FAILED, error=error)
        else:
            self._end(job, DONE, result=result)

    def _end(self, job: Job, status: str, **how: object) -> None:
        try:
            job.end(status, **how)  # type: ignore[arg-type]
        except RuntimeError:  # the event loop is gone: nobody listens any more
            log.debug("job %s ended after the server", job.id)
        self.done(job)

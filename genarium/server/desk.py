"""The middle of the server: from a call to a recipe, into the queue, and back to who asked, as long as they wait."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from genarium import files, tasks
from genarium.errors import GenariumError
from genarium.recipe import Recipe
from genarium.run import Result, prepare
from genarium.server import limits, uploads
from genarium.server.errors import RequestRefused
from genarium.server.jobs import DONE, PARKED, Job
from genarium.server.metrics import Metrics
from genarium.server.models import Models
from genarium.server.queue import Queue
from genarium.server.settings import ServerSettings

log = logging.getLogger("genarium.server")

KEPT_JOBS, KEPT_BYTES = 512, 64 * 2**20
"""Finished jobs that can still be asked for, and what they may take; what they made is in the ledger."""
BEGINS_WITHIN = 10.0
"""Seconds until a stream begins, whatever comes of it."""


class Desk:
    def __init__(self, settings: ServerSettings):
        self.settings = settings
        self.models = Models(settings)
        self.queue = Queue(waiting=settings.waiting, together=settings.together, done=self._ended)
        self.jobs: OrderedDict[str, Job] = OrderedDict()
        self.metrics = Metrics(self.queue)
        self.closing = asyncio.Event()
        self.converting = asyncio.Semaphore(1)
        """Held by who makes another file of a kept one: beside the queue, but one at a time."""

    async def prepare(self, task: str, arguments: Mapping[str, Any]) -> Recipe:
        """The recipe of a client's call: files and models are those they may name. Raises GenariumError."""
        [recipe] = await self.prepare_all(task, [arguments])
        return recipe

    async def prepare_all(self, task: str, calls: Sequence[Mapping[str, Any]]) -> list[Recipe]:
        """The recipes of all the calls that one request makes. Raises GenariumError, also where they are too much."""

        def prepared() -> list[Recipe]:
            limits.require_modest(self.settings, tasks.find(task), calls)
            return [prepare(task, **self._named_by_client(task, arguments)) for arguments in calls]

        return await run_in_threadpool(prepared)

    def _named_by_client(self, task: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A client's arguments with the files and the models that they may name."""
        asked = tasks.find(task)
        values = uploads.resolve_all(asked, arguments)
        for name in asked.model_arguments:
            if isinstance(values.get(name), str):
                values[name] = self.models.reference(values[name])
        return values

    async def prepare_again(self, task: str, kept: Mapping[str, Any], changes: Mapping[str, Any]) -> Recipe:
        """The recipe of a call that was made before (`kept` are its arguments), with a client's changes."""

        def prepared() -> Recipe:
            limits.require_modest(self.settings, tasks.find(task), [dict(kept) | dict(changes)])
            return prepare(task, **(dict(kept) | self._named_by_client(task, changes)))

        return await run_in_threadpool(prepared)

    def submit(self, recipe: Recipe, client: str, *, detached: bool = False, identifier: str = "") -> Job:
        """Put a recipe in the queue. Raises Refused where it is full."""
        job = Job(recipe, client, identifier=identifier)
        job.detached = detached
        self.enter(job)
        return job

    def enter(self, *jobs: Job) -> None:
        """Put one client's jobs in the queue, all or none. Raises Refused where it is full."""
        self.queue.submit(*jobs)
        self.jobs |= {job.id: job for job in jobs}
        ended = [old for old in self.jobs.values() if old.ended]
        kept = 0
        for number, old in enumerate(reversed(ended)):
            kept += old.size
            if number >= KEPT_JOBS or kept > KEPT_BYTES:
                del self.jobs[old.id]

    def job(self, identifier: str) -> Job:
        if identifier not in self.jobs:
            raise RequestRefused(404, f"no job {identifier[:80]!r} here; what it made is in GET /v1/history")
        return self.jobs[identifier]

    async def results(self, request: Request, recipes: Sequence[Recipe]) -> list[Result]:
        """Carry out recipes while the client waits; when they go, the work stops. Raises what a task raised."""
        async with self.attached(request, recipes) as jobs:
            for job in jobs:
                await self.while_there(request, job.finished())
            return [result_of(job) for job in jobs]

    @asynccontextmanager
    async def attached(self, request: Request, recipes: Sequence[Recipe]) -> AsyncIterator[list[Job]]:
        """Jobs that live as long as the block: whatever ends it, what still runs is stopped."""
        jobs = [Job(recipe, client_of(request)) for recipe in recipes]
        self.enter(*jobs)
        try:
            yield jobs
        finally:
            self.leave(*jobs)

    async def begun(self, request: Request, recipes: Sequence[Recipe]) -> list[Job]:
        """Jobs for a stream, from which something came already, or that take longer; whoever streams them leaves them.

        So what can be refused is, with its status, before the stream begins. Raises Refused, and what a task raised.
        """
        jobs = [Job(recipe, client_of(request)) for recipe in recipes]
        self.enter(*jobs)
        try:
            await self.while_there(request, _first_sign(jobs), timeout=BEGINS_WITHIN)
            for job in jobs:
                if job.told_all and job.status != DONE:
                    result_of(job)
        except BaseException:
            self.leave(*jobs)
            raise
        return jobs

    def leave(self, *jobs: Job) -> None:
        """The client of these jobs is gone."""
        for job in jobs:
            if not job.detached:
                if not job.ended:
                    self.queue.stop(job)
                self.jobs.pop(job.id, None)

    async def while_there(self, request: Request, work: Awaitable[Any], *, timeout: float | None = None) -> bool:
        """Wait for `work`, at most `timeout` seconds; whether it was done. Raises Gone where the client goes."""
        waiting = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_gone(request.receive))
        try:
            await asyncio.wait({waiting, gone}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                await waiting
                return True
            if gone.done():
                raise RequestRefused(499, "the client is gone")
            return False
        finally:
            for task in (waiting, gone):
                task.cancel()

    def close(self) -> None:
        """Finish or park what runs; blocks for at most the grace."""
        self.queue.close(self.settings.grace)

    def take_up_parked(self) -> None:
        """Queue what an earlier server parked. Of two servers on one data folder each file is one's alone."""
        folder = files.home() / "parked"
        for file in sorted(folder.glob("*.json")):
            mine = file.with_suffix(f".{secrets.token_hex(4)}.mine")
            try:
                file.rename(mine)
                kept = json.loads(mine.read_text("utf-8"))
                recipe = Recipe.from_dict(kept["recipe"])
                self.submit(recipe, str(kept["client"]), detached=True, identifier=str(kept["id"]))
            except FileNotFoundError:
                continue
            except RequestRefused:  # full already: it stays for the next start
                mine.rename(file)
                return
            except (OSError, ValueError, KeyError, TypeError, GenariumError) as error:
                log.warning("%s can't be taken up again: %s", file.name, error)
            files.remove_quietly(mine)

    def _ended(self, job: Job) -> None:
        """On the job's thread."""
        self.metrics.ended(job)
        if job.status == PARKED and not job.keeps_itself:
            kept = {"id": job.id, "client": job.client, "recipe": job.recipe.as_dict()}
            files.write_atomically(files.home() / "parked" / f"{job.id}.json", json.dumps(kept).encode())
        if job.detached:
            job.result = None  # pictures and vectors are in the ledger


def result_of(job: Job) -> Result:
    """What a job made, or what it failed with."""
    if job.error is not None:
        raise job.error
    if job.status != DONE or job.result is None:
        raise RequestRefused(
            503, "the work was stopped before it was done; send it again", headers={"Retry-After": "5"}
        )
    return job.result


def desk_of(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


def client_of(request: Request) -> str:
    return str(request.scope.get("state", {}).get("client", "unknown"))


async def _first_sign(jobs: Sequence[Job]) -> None:
    """Wait until one of the jobs made something, or ended."""
    waiting = [asyncio.ensure_future(job.first_sign()) for job in jobs]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()


async def _gone(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

"""One route a task, made from its signature; jobs, and the events of a job."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query, Request, Response

from genarium import tasks
from genarium.recipe import Recipe
from genarium.server import uploads
from genarium.server.desk import client_of, desk_of, result_of
from genarium.server.errors import Json, RequestRefused
from genarium.server.jobs import Job, answer
from genarium.server.streams import event, stream
from genarium.tasks.task import Task

LONGEST_WAIT = 600.0
FILE_HELP = "a file: the id that POST /v1/files gave, artefact:ID, or a data: URL"

router = APIRouter()
Arguments = Annotated[dict[str, Any], Body(description="the task's arguments")]
Wait = Annotated[
    float | None,
    Query(ge=0, le=LONGEST_WAIT, description="seconds to hold the request open; then it is a job [default: 20]"),
]
Prefer = Annotated[
    str | None, Header(description="respond-async makes it a job at once; wait=SECONDS is as the query (RFC 7240)")
]
LastEventId = Annotated[str | None, Header(description="the id of the last event that was read")]


@router.get("/v1/tasks", tags=["tasks"])
def list_tasks() -> dict[str, Any]:
    """Every task with its schema: what a form or a client is built from."""
    return {"object": "list", "data": [schema_of(task) for task in tasks.tasks().values()]}


def schema_of(task: Task) -> dict[str, Any]:
    """The task's JSON Schema as it is over HTTP: a file is not a path."""
    schema = copy.deepcopy(task.schema())
    for parameter in task.parameters:
        told = schema["properties"][parameter.name]
        if isinstance(told.get("default"), Path):
            told["default"] = str(told["default"])
        if uploads.is_file(parameter):
            told["description"] = f"{parameter.help} ({FILE_HELP})"
            one = told.get("anyOf", [told])[0]
            one.get("items", one)["format"] = "file-reference"
    return schema | {"url": f"/v1/tasks/{task.name}", "starter": task.starter}


def add_tasks(to: APIRouter) -> None:
    """POST /v1/tasks/NAME for every task there is."""
    for name, task in tasks.tasks().items():
        schema = schema_of(task)
        content = {
            "application/json": {"schema": {k: v for k, v in schema.items() if k not in ("artefact", "url", "starter")}}
        }
        to.add_api_route(
            f"/v1/tasks/{name}",
            _handler(name),
            methods=["POST"],
            name=f"run_{name}",
            tags=["tasks"],
            summary=task.help.partition("\n")[0],
            description=f"{task.help}\n\nArtefact: {schema['artefact']['kind']}.",
            responses={202: {"description": "a job: it takes longer than was waited for"}},
            openapi_extra={"requestBody": {"content": content, "required": True}},
        )


def _handler(name: str) -> Any:
    async def handle(request: Request, arguments: Arguments, wait: Wait = None, prefer: Prefer = None) -> Response:
        recipe = await desk_of(request).prepare(name, arguments)
        return await carry_out(request, recipe, wait, prefer)

    return handle


async def carry_out(request: Request, recipe: Recipe, wait: float | None, prefer: str | None) -> Response:
    """The answer where it comes in time, else the job that continues; an event stream where one is accepted.

    While the request is held open the work is its client's: when they go, it stops. As a job it continues without them.
    """
    desk = desk_of(request)
    if "text/event-stream" in request.headers.get("accept", ""):
        job = desk.submit(recipe, client_of(request))
        return stream(_watched(job), {"X-Job": job.id}, ended=lambda: desk.leave(job))
    seconds = _seconds_to_wait(wait, prefer, desk.settings.answer_within)
    job = desk.submit(recipe, client_of(request), detached=seconds == 0)
    if seconds == 0:
        return accepted(request, job)
    kept = False
    try:
        if await desk.while_there(request, job.finished(), timeout=seconds):
            return Json(answer(result_of(job)))
        kept = job.detached = True
        return accepted(request, job)
    finally:
        if not kept:
            desk.leave(job)


def accepted(request: Request, job: Job) -> Response:
    """202, and where to go from here."""
    position = desk_of(request).queue.position(job)
    where = f"/v1/jobs/{job.id}"
    return Json(job.as_dict(position), 202, headers={"Location": where, "Retry-After": "1"})


def _seconds_to_wait(wait: float | None, prefer: str | None, usual: float) -> float:
    if wait is not None:
        return wait
    for preference in (prefer or "").split(","):
        name, _, value = preference.strip().partition("=")
        if name.lower() == "respond-async":
            return 0.0
        if name.lower() == "wait" and value.isascii() and value.isdigit():
            return min(float(value[:6]), LONGEST_WAIT)
    return usual


async def _watched(job: Job, after: int = 0) -> AsyncIterator[bytes]:
    async for one in job.follow(after):
        yield event(one.data, name=one.name, number=one.number)


@router.get("/v1/jobs", tags=["jobs"])
async def list_jobs(request: Request) -> dict[str, Any]:
    """The jobs that are known, newest first."""
    desk = desk_of(request)
    jobs = [job for job in reversed(desk.jobs.values()) if job.detached]
    return {"object": "list", "data": [job.as_dict(desk.queue.position(job)) for job in jobs]}


@router.get("/v1/jobs/{job}", tags=["jobs"])
async def show_job(request: Request, job: str) -> Response:
    """How far a job is, and what it made."""
    desk = desk_of(request)
    found = desk.job(job)
    return Json(found.as_dict(desk.queue.position(found)))


@router.get("/v1/jobs/{job}/events", tags=["jobs"])
async def watch_job(
    request: Request, job: str, last_event_id: LastEventId = None, after: int | None = None
) -> Response:
    """A job's events as they come, as server-sent events; `Last-Event-ID` (or `after`) continues after that one.

    `status`, `progress`, `note`, `writing` (new text), `logprob`, `row`, `artefact` (finished and kept), and `end`.
    The job continues whether or not anybody reads them.
    """
    found = desk_of(request).job(job)
    written = last_event_id if last_event_id is not None else str(after or 0)
    if not (written.isascii() and written.isdigit() and len(written) < 16):
        raise RequestRefused(400, f"Last-Event-ID is the number of an event, got {written[:40]!r}")

    return stream(_watched(found, int(written)))


@router.delete("/v1/jobs/{job}", tags=["jobs"])
@router.post("/v1/jobs/{job}/cancel", tags=["jobs"])
async def cancel_job(request: Request, job: str) -> Response:
    """End a job. What it finished before is kept."""
    desk = desk_of(request)
    found = desk.job(job)
    if not found.ended:
        desk.queue.stop(found)
    return Json(found.as_dict(desk.queue.position(found)), 200 if found.ended else 202)

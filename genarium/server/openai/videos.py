"""OpenAI's `/v1/videos`, over the task `video`: each is a job that is asked for again until it is completed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from genarium.errors import BadInput
from genarium.run import arguments_of
from genarium.server import media
from genarium.server.desk import client_of, desk_of
from genarium.server.errors import Json, RequestRefused
from genarium.server.history import entry_of
from genarium.server.openai import video_jobs
from genarium.server.openai.video_jobs import Kept, VideoJob
from genarium.server.openai.video_request import (
    EditRequest,
    RemixRequest,
    VideoRequest,
    arguments,
    described,
    read,
)

router = APIRouter(tags=["OpenAI"])
POLL_AFTER = {"openai-poll-after-ms": "500"}
"""What the `openai` package waits before it asks again."""
VARIANTS: dict[str, media.Form | None] = {"video": None, "thumbnail": "poster", "spritesheet": "sheet"}


@router.post("/v1/videos", response_model=None, openapi_extra=described(VideoRequest))
async def create(request: Request) -> Response:
    """Ask for a video of what a prompt says."""
    asked = await read(request, VideoRequest)
    desk = desk_of(request)
    recipe = await desk.prepare("video", await run_in_threadpool(arguments, asked))
    job = video_jobs.ask(desk, recipe, client_of(request), asked.model)
    return _answered(request, job.kept, job)


@router.get("/v1/videos")
async def videos(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(description="the id of the last one that is known")] = None,
    order: Literal["asc", "desc"] = "desc",
) -> Response:
    """The videos that were asked for here, page by page."""
    found, more = video_jobs.listed(desk_of(request), limit=limit, after=after, order=order)
    data = [_shown(request, kept, job) for kept, job in found]
    ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return Json({"object": "list", "data": data, **ends, "has_more": more})


@router.post("/v1/videos/edits", response_model=None, openapi_extra=described(EditRequest))
async def edits(request: Request) -> Response:
    """As remix: a completed video's recipe with another prompt."""
    asked = await read(request, EditRequest)
    return await _remixed(request, asked.video.id, asked.prompt)


@router.post("/v1/videos/extensions", response_model=None)
async def extensions() -> Response:
    """Refused: no model here continues a video."""
    raise BadInput("no model here makes a video longer; ask for a new one with more seconds")


@router.post("/v1/videos/characters", response_model=None)
async def characters() -> Response:
    """Refused: no model here knows characters."""
    raise BadInput("no model here takes characters; describe them in the prompt, or send a picture as input_reference")


@router.get("/v1/videos/{video}")
async def video(request: Request, video: str) -> Response:
    """How far a video is."""
    return _answered(request, *video_jobs.find(desk_of(request), video))


@router.get("/v1/videos/{video}/content", response_model=None)
async def content(
    request: Request, video: str, variant: Literal["video", "thumbnail", "spritesheet"] = "video"
) -> Response:
    """The video as mp4, in ranges where they are asked for; its middle frame, or frames on one picture, as PNG."""
    kept, _ = video_jobs.find(desk_of(request), video)
    if kept.error is not None:
        raise RequestRefused(400, f"{kept.id} failed, so there is nothing of it: {kept.error['message']}")
    if kept.artefact is None:
        raise RequestRefused(400, f"{kept.id} is not completed yet; GET /v1/videos/{kept.id} says how far it is")
    entry = await entry_of(kept.artefact)
    return await media.response(entry, VARIANTS[variant], name=kept.id, turn=desk_of(request).converting)


@router.delete("/v1/videos/{video}")
async def delete(request: Request, video: str) -> Response:
    """Forget a video, and what was made of it. One that is not completed is stopped."""
    desk = desk_of(request)
    kept, job = video_jobs.find(desk, video)
    await run_in_threadpool(video_jobs.delete, desk, kept, job)
    return Json({"id": kept.id, "object": "video.deleted", "deleted": True})


@router.post("/v1/videos/{video}/remix", response_model=None)
async def remix(request: Request, video: str, asked: RemixRequest) -> Response:
    """The recipe of a completed video, its seed among it, with another prompt."""
    return await _remixed(request, video, asked.prompt)


async def _remixed(request: Request, video: str, prompt: str) -> Response:
    desk = desk_of(request)
    before, _ = video_jobs.find(desk, video)
    if before.status != "completed":
        raise RequestRefused(400, f"{before.id} is not completed, so there is nothing to change; ask for a new one")
    kept = await run_in_threadpool(arguments_of, before.recipe)
    recipe = await desk.prepare_again("video", kept, {"prompt": prompt})
    job = video_jobs.ask(desk, recipe, client_of(request), before.model, remixed_from=before.id)
    return _answered(request, job.kept, job)


def _answered(request: Request, kept: Kept, job: VideoJob | None) -> Response:
    return Json(_shown(request, kept, job), headers=POLL_AFTER if kept.status == "queued" else None)


def _shown(request: Request, kept: Kept, job: VideoJob | None) -> dict[str, Any]:
    """OpenAI's fields, and from `seed` on ours. What only the model knows (size, seconds) is null until it is made."""
    asked, facts = kept.recipe.arguments, kept.facts
    status: str = kept.status
    if status == "queued" and job is not None and job.began:
        status = "in_progress"
    frames, fps = facts.get("frames") or asked.get("frames"), facts.get("fps") or asked.get("fps")
    seconds = frames / fps if frames and fps else asked.get("seconds")
    size = f"{facts['width']}x{facts['height']}" if "width" in facts else asked.get("size")
    return {
        "id": kept.id,
        "object": "video",
        "model": kept.model,
        "status": status,
        "progress": 100 if status == "completed" else job.percent if job is not None else 0,
        "created_at": kept.created_at,
        "completed_at": kept.completed_at,
        "expires_at": None,
        "prompt": asked["prompt"],
        "seconds": None if seconds is None else f"{seconds:.6g}",
        "size": size,
        "remixed_from_video_id": kept.remixed_from,
        "error": kept.error,
        "seed": kept.recipe.seed,
        "frames": frames,
        "fps": fps,
        "artefact": kept.artefact,
        "recipe_sha256": kept.recipe.digest,
    }

"""OpenAI's `/v1/images/generations` and `/v1/images/edits`, over the task `image`."""

from __future__ import annotations

import base64
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from genarium.errors import BadInput
from genarium.recipe import MAX_SEED, Recipe
from genarium.run import Result
from genarium.server import uploads
from genarium.server.desk import desk_of
from genarium.server.errors import Json

router = APIRouter(tags=["OpenAI"])
MOST = 10


class ImageGenerationRequest(BaseModel):
    """OpenAI's names; those from `negative_prompt` on are the task's."""

    prompt: str
    model: str = "starter"
    n: int | None = Field(default=1, ge=1, le=MOST)
    size: str | None = None
    response_format: Literal["url", "b64_json"] | None = None
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    user: str | None = None
    negative_prompt: str | None = None
    steps: int | None = Field(default=None, ge=1, le=1000)
    guidance: float | None = Field(default=None, ge=0, le=100)
    sampler: str | None = None


@router.post("/v1/images/generations", response_model=None)
async def generations(request: Request, asked: ImageGenerationRequest) -> Response:
    """Make pictures of what a prompt says."""
    arguments = {
        "prompt": asked.prompt,
        "model": asked.model,
        "n": asked.n or 1,
        "size": None if asked.size == "auto" else asked.size,
        "seed": asked.seed,
        "negative_prompt": asked.negative_prompt,
        "steps": asked.steps,
        "guidance": asked.guidance,
        "sampler": asked.sampler,
    }
    return await _made(request, arguments, asked.response_format)


@router.post("/v1/images/edits", response_model=None)
async def edits(
    request: Request,
    prompt: Annotated[str, Form()],
    image: Annotated[UploadFile | None, File()] = None,
    images: Annotated[list[UploadFile] | None, File(alias="image[]")] = None,
    mask: Annotated[UploadFile | None, File(description="clear (or white) where the picture is painted anew")] = None,
    model: Annotated[str, Form()] = "starter",
    n: Annotated[int, Form(ge=1, le=MOST)] = 1,
    size: Annotated[str | None, Form()] = None,
    response_format: Annotated[Literal["url", "b64_json"] | None, Form()] = None,
    seed: Annotated[int | None, Form(ge=0, le=MAX_SEED)] = None,
    strength: Annotated[float | None, Form(gt=0, le=1)] = None,
    steps: Annotated[int | None, Form(ge=1, le=1000)] = None,
    guidance: Annotated[float | None, Form(ge=0, le=100)] = None,
) -> Response:
    """Change a picture, all of it or where the mask says."""
    given = [*([image] if image is not None else []), *(images or [])]
    if len(given) != 1:
        raise BadInput(f"edits start from one picture, got {len(given)}; send it as image")
    arguments = {
        "prompt": prompt,
        "model": model,
        "n": n,
        "size": None if size == "auto" else size,
        "seed": seed,
        "strength": strength,
        "steps": steps,
        "guidance": guidance,
        "init": await _kept(given[0]),
        "mask": await _kept(mask) if mask is not None else None,
    }
    return await _made(request, arguments, response_format)


async def _kept(file: UploadFile) -> str:
    return await run_in_threadpool(uploads.keep, await file.read(), file.filename or "")


async def _made(request: Request, arguments: dict[str, Any], form: str | None) -> Response:
    desk = desk_of(request)
    recipe = await desk.prepare("image", arguments)
    [result] = await desk.results(request, [recipe])
    return Json(await run_in_threadpool(_images, recipe, result, form or "b64_json"))


def _images(recipe: Recipe, result: Result, form: str) -> dict[str, Any]:
    """The single pictures; the contact sheet beside them is in the ledger."""
    made = [artefact for artefact in result if not artefact.overview]
    data = []
    for artefact in made:
        assert artefact.path is not None
        told: dict[str, Any] = {"seed": artefact.facts().get("seed"), "artefact": artefact.id}
        if form == "url":
            told["url"] = f"/v1/artefacts/{artefact.id}/content"
        else:
            told["b64_json"] = base64.b64encode(artefact.path.read_bytes()).decode()
        data.append(told)
    return {"created": int(time.time()), "data": data, "seed": recipe.seed, "recipe_sha256": recipe.digest}

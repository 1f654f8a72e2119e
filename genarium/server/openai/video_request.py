"""What `POST /v1/videos` reads: JSON, or a form with a picture in it, as the `openai` package sends it."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from genarium.data import web
from genarium.data.images import read_image
from genarium.errors import BadInput
from genarium.recipe import MAX_SEED
from genarium.server import uploads

Body = TypeVar("Body", bound=BaseModel)
PICTURES = ("input_reference", "last")
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


class Reference(BaseModel):
    """A picture: a file that was handed in, or a URL (a `data:` URL is the picture itself)."""

    file_id: str | None = None
    image_url: str | None = None


class VideoRequest(BaseModel):
    """OpenAI's names; those from `seed` on are the task's."""

    prompt: str
    model: str = "starter"
    seconds: float | None = Field(default=None, gt=0, le=3600)
    size: str | None = None
    input_reference: Reference | str | None = Field(default=None, description="the first picture; the file, in a form")
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    frames: int | None = Field(default=None, ge=1)
    fps: float | None = Field(default=None, gt=0)
    last: Reference | str | None = Field(default=None, description="the last picture, as input_reference is the first")
    negative_prompt: str | None = None
    steps: int | None = Field(default=None, ge=1, le=1000)
    guidance: float | None = Field(default=None, ge=0, le=100)
    sampler: str | None = None


class RemixRequest(BaseModel):
    prompt: str


class VideoReference(BaseModel):
    id: str


class EditRequest(BaseModel):
    prompt: str
    video: VideoReference


def described(model: type[BaseModel]) -> dict[str, Any]:
    """The body in the API's description: FastAPI describes none that is read by hand."""
    schema = model.model_json_schema()
    parts = {f"#/$defs/{name}": part for name, part in schema.pop("$defs", {}).items()}
    properties = schema["properties"]
    for name, about in properties.items():
        properties[name] = parts.get(about.get("$ref"), about)
        if "anyOf" in about:
            about["anyOf"] = [parts.get(one.get("$ref"), one) for one in about["anyOf"]]
    content = {kind: {"schema": schema} for kind in ("application/json", FORMS[0])}
    return {"requestBody": {"required": True, "content": content}}


async def read(request: Request, model: type[Body]) -> Body:
    """The request's body. Pictures in it are kept, as if they had been handed in before.

    Raises BadInput, RequestValidationError.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind in FORMS:
            return model.model_validate(await _form(request))
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


async def _form(request: Request) -> dict[str, Any]:
    """The form's fields; `a[b]` is field b of a."""
    found: dict[str, Any] = {}
    async with request.form() as form:
        for name, given in form.multi_items():
            value = given
            if isinstance(given, UploadFile):
                if name not in PICTURES:
                    raise BadInput(f"{name[:80]} can't be a file here; only {' and '.join(PICTURES)} are")
                value = await run_in_threadpool(uploads.keep, await given.read(), given.filename or "")
            outer, within, inner = name.partition("[")
            if not within:
                found[outer] = value
            elif isinstance(found.setdefault(outer, {}), dict):
                found[outer][inner.rstrip("]")] = value
    return found


def arguments(asked: VideoRequest) -> dict[str, Any]:
    """The arguments of the task `video`. Raises BadInput where a picture is none."""
    return {
        "prompt": asked.prompt,
        "model": asked.model,
        "seconds": asked.seconds,
        "size": None if asked.size == "auto" else asked.size,
        "init": _picture(asked.input_reference, "input_reference"),
        "last": _picture(asked.last, "last"),
        "seed": asked.seed,
        "frames": asked.frames,
        "fps": asked.fps,
        "negative_prompt": asked.negative_prompt,
        "steps": asked.steps,
        "guidance": asked.guidance,
        "sampler": asked.sampler,
    }


def _picture(given: Reference | str | None, name: str) -> str | None:
    """The file's id. What can't be read as a picture is refused here, and not by a video that fails later."""
    if isinstance(given, Reference):
        if (given.file_id is None) == (given.image_url is None):
            raise BadInput(f"{name} is a file_id or an image_url; give one of them")
        given = given.file_id or given.image_url
    if given is None:
        return None
    if web.is_url(given) and not given.startswith("data:"):
        given = uploads.keep(web.fetch(given), "")
    read_image(uploads.resolve(given, name), name=name)
    return given

"""What was made: history with search, artefacts with their files and recipes, "again", files handed in, ratings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from genarium.errors import BadInput
from genarium.ledger import Entry, Ledger
from genarium.run import arguments_of
from genarium.server import media, uploads
from genarium.server.desk import desk_of
from genarium.server.errors import Json, RequestRefused
from genarium.server.tasks import Prefer, Wait, carry_out

T = TypeVar("T")
router = APIRouter()


class Again(BaseModel):
    arguments: dict[str, Any] = Field(
        default={}, description="what is to be other than before; seed null draws another one, a seed left out keeps it"
    )


class Feedback(BaseModel):
    """A rating of one artefact (`artefact`, `rating`), or of two (`chosen`, `rejected`)."""

    artefact: str | None = None
    rating: Literal["up", "down"] | int | None = Field(default=None, description="up, down, or 1 to 5 stars")
    chosen: str | None = None
    rejected: str | None = None
    note: str = Field(default="", max_length=4000)


class Edited(BaseModel):
    """How a text or a reply should have been."""

    text: str = Field(max_length=1_000_000)
    note: str = Field(default="", max_length=4000)


@router.get("/v1/history", tags=["history"])
async def history(
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    task: str | None = None,
    search: Annotated[str | None, Query(max_length=1000, description="a piece of text in the title")] = None,
    before: Annotated[str | None, Query(description="the id of the last one that is known: what is older")] = None,
    rated: bool = False,
) -> Response:
    """What was made, newest first, page by page."""
    entries = await with_ledger(
        lambda ledger: ledger.history(limit + 1, task=task, search=search, before=before, rated=rated)
    )
    return Json(
        {"object": "list", "data": [_shown(entry) for entry in entries[:limit]], "has_more": len(entries) > limit}
    )


@router.get("/v1/artefacts/{artefact}", tags=["history"])
async def show_artefact(artefact: str) -> Response:
    """An artefact with its recipe, what is known of it, and its ratings."""
    return Json(_shown(await entry_of(artefact)))


@router.get("/v1/artefacts/{artefact}/content", tags=["history"], response_class=FileResponse)
async def artefact_content(
    request: Request,
    artefact: str,
    download: bool = False,
    form: Annotated[media.Form | None, Query(description="of a video: what is made of it")] = None,
) -> Response:
    """The artefact's file."""
    entry = await entry_of(artefact)
    return await media.response(
        entry, form, name=f"{entry.kind}-{entry.id}", turn=desk_of(request).converting, download=download
    )


@router.get("/v1/artefacts/{artefact}/page", tags=["history"], response_class=FileResponse)
async def artefact_page(artefact: str) -> Response:
    """The artefact's page, where its kind has one: heat maps word by word."""
    entry = await entry_of(artefact)
    if entry.page is None:
        raise RequestRefused(404, f"{entry.id} has no page of its own; its file is at /v1/artefacts/{entry.id}/content")
    return FileResponse(entry.page, media_type=media.TYPES[".html"], headers=media.SAFE)


@router.get("/v1/artefacts/{artefact}/recipe", tags=["history"])
async def artefact_recipe(artefact: str) -> Response:
    """The recipe alone: task, every argument, model with digest, seed."""
    return Json((await entry_of(artefact)).recipe.as_dict())


@router.post("/v1/artefacts/{artefact}/again", tags=["history"])
async def again(request: Request, artefact: str, changes: Again, wait: Wait = None, prefer: Prefer = None) -> Response:
    """Carry out an artefact's recipe again, with changes: the same again, or a variation."""
    entry = await entry_of(artefact)
    desk = desk_of(request)
    before = await run_in_threadpool(arguments_of, entry.recipe)
    files = {name: value for name, value in before.items() if name not in changes.arguments}
    recipe = await desk.prepare_again(entry.recipe.task, files, changes.arguments)
    return await carry_out(request, recipe, wait, prefer)


@router.post("/v1/feedback", tags=["ratings"])
async def feedback(said: Feedback) -> Response:
    """Rate an artefact with a thumb or stars, or say which of two is better."""
    pair, single = (said.chosen, said.rejected), (said.artefact, said.rating)
    if (None not in pair) == (None not in single) or (any(pair) and any(single)):
        raise BadInput("give artefact and rating, or chosen and rejected")

    def rate(ledger: Ledger) -> dict[str, Any]:
        if said.chosen is not None and said.rejected is not None:
            rating = ledger.prefer(said.chosen, said.rejected, said.note)
            return {"artefact": ledger.find(said.chosen).id, **vars(rating)}
        assert said.artefact is not None
        rating = ledger.rate(said.artefact, str(said.rating), said.note)
        return {"artefact": ledger.find(said.artefact).id, **vars(rating)}

    return Json({"object": "rating", **await with_ledger(rate)})


@router.post("/v1/artefacts/{artefact}/edits", tags=["ratings"])
async def edit(artefact: str, said: Edited) -> Response:
    """Say how a text or a reply should have been. What was made stays as it is, and training learns from both."""
    entry = await entry_of(artefact)
    made = await with_ledger(lambda ledger: ledger.edit(entry.id, said.text, said.note))
    return Json({"object": "edit", "artefact": entry.id, **vars(made)})


@router.post("/v1/files", tags=["files"])
async def upload(file: UploadFile, purpose: str = "user_data") -> Response:
    """Hand in a file for an argument that is one. Its id is its content's: the same file has the same id."""
    content = await file.read()
    identifier = await run_in_threadpool(uploads.keep, content, file.filename or "")
    shown = {"id": identifier, "object": "file", "bytes": len(content), "filename": identifier, "purpose": purpose}
    return Json(shown | {"created_at": 0, "status": "processed"})


@router.get("/v1/files/{file}", tags=["files"])
async def show_file(file: str) -> Response:
    """Whether a file is here, and how large it is."""
    try:
        found = await run_in_threadpool(uploads.find, file)
    except BadInput as error:
        raise RequestRefused(404, str(error)) from None
    return Json({"id": file, "object": "file", "bytes": found.stat().st_size, "filename": file, "created_at": 0})


async def entry_of(identifier: str) -> Entry:
    """Raises Refused where there is none."""
    try:
        return await with_ledger(lambda ledger: ledger.find(identifier))
    except BadInput as error:
        raise RequestRefused(404, str(error)) from None


async def with_ledger(what: Callable[[Ledger], T]) -> T:
    """What is done with the ledger, in a thread."""

    def inside() -> T:
        with Ledger() as ledger:
            return what(ledger)

    return await run_in_threadpool(inside)


def _shown(entry: Entry) -> dict[str, Any]:
    """The entry as JSON values, without where it is on the server."""
    shown = {name: value for name, value in entry.as_dict().items() if name != "path"}
    url = f"/v1/artefacts/{entry.id}"
    return shown | {
        "object": "artefact",
        "task": entry.recipe.task,
        "title": entry.title,
        "url": f"{url}/content",
        "recipe_url": f"{url}/recipe",
        **({"page_url": f"{url}/page"} if entry.page is not None else {}),
        **media.faces(entry.path, url),
        "media_type": media.TYPES.get(entry.path.suffix, "application/octet-stream"),
    }

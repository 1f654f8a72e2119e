"""The indexes that `ask` answers from, and the passages behind a citation."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from genarium.errors import BadInput
from genarium.retrieval.places import names
from genarium.retrieval.store import Index
from genarium.server.errors import Json, RequestRefused

router = APIRouter()
NEIGHBOURS = 1
"""Passages shown before and after the cited ones."""


@router.get("/v1/indexes", tags=["indexes"])
def list_indexes() -> dict[str, Any]:
    """Every index of documents on this machine."""
    found = []
    for name in names():
        with Index(name) as index:
            shown = {"id": name, "object": "index", "passages": index.count(), "sha256": index.digest()}
            found.append(shown | {"updated": index.meta().get("updated")})
    return {"object": "list", "data": found}


@router.get("/v1/indexes/{index}/passages", tags=["indexes"])
def passages(
    index: str,
    file: Annotated[str, Query(max_length=4096, description="a file as a citation names it")],
    start: Annotated[int, Query(ge=0, lt=2**53, description="characters of the file's text")],
    end: Annotated[int, Query(ge=0, lt=2**53)],
) -> Response:
    """The text around a citation: the passages it lies in, and those beside them."""
    try:
        with Index(index) as opened:
            hits = opened.around(file, start, end, NEIGHBOURS)
            digest = opened.digest()
    except BadInput as error:
        raise RequestRefused(404, str(error)) from None
    if not hits:
        raise RequestRefused(404, f"the index {index[:100]} has no text there any more; its documents changed")
    shown = [
        {"text": hit.text, "start": hit.start, "end": hit.end, "page": hit.page, "heading": hit.context} for hit in hits
    ]
    return Json({"object": "list", "index": index, "sha256": digest, "file": file, "data": shown})

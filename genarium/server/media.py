"""Artefacts' files as answers: as they are, in ranges where they are asked for, and what is made of a video's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from fastapi import Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from genarium.artefacts.video import POSTER, SHEET, Video
from genarium.data.videos import read_video
from genarium.ledger import Entry
from genarium.server.errors import RequestRefused

SAFE = {
    # What a model made is shown, never run: no script in it reaches this page's key or its data.
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=31536000, immutable",
}
TYPES = {
    ".png": "image/png",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".wav": "audio/wav",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jsonl": "application/x-ndjson",
    ".json": "application/json",
    ".safetensors": "application/octet-stream",
}


Form = Literal["poster", "sheet", "gif", "webm"]
"""What else there is of a video: a picture of it, its frames on one picture, the video in another kind of file."""
BESIDE = {"poster": POSTER, "sheet": SHEET}
"""The forms that are kept; the others are made from the file when they are asked for."""


def faces(file: Path | None, url: str) -> dict[str, str]:
    """Where the picture is that stands for an artefact, which is at `url` and has this file; nothing without one."""
    has = file is not None and file.with_name(POSTER).is_file()
    return {"poster_url": f"{url}/content?form=poster"} if has else {}


async def response(
    entry: Entry, form: Form | None, *, name: str, turn: asyncio.Semaphore, download: bool = False
) -> Response:
    """The artefact's file, or what else there is of it; what has to be made waits for its `turn`.

    Raises Refused where it is gone, or no video, and BadInput where its file is damaged.
    """
    if form is not None and entry.kind != "video":
        raise RequestRefused(400, f"{entry.id} is of kind {entry.kind}; only a video is had as {form}")
    kind = "attachment" if download else "inline"
    file = entry.path.with_name(BESIDE[form]) if form in BESIDE else entry.path
    if not file.is_file():
        raise RequestRefused(404, f"the file of {entry.id} is gone; POST /v1/artefacts/{entry.id}/again makes it again")
    if form in (None, *BESIDE):
        media_type, whole = TYPES.get(file.suffix, "application/octet-stream"), f"{name}{file.suffix}"
        return FileResponse(file, media_type=media_type, filename=whole, content_disposition_type=kind, headers=SAFE)
    async with turn:
        made = await run_in_threadpool(_made, entry, f".{form}")
    disposition = f'{kind}; filename="{name}.{form}"'
    return Response(made, media_type=TYPES[f".{form}"], headers=SAFE | {"Content-Disposition": disposition})


def _made(entry: Entry, suffix: str) -> bytes:
    frames = read_video(entry.path).frames
    return Video.of_facts(entry.facts, frames, recipe=entry.recipe).as_file(suffix)

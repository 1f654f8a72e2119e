"""Server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Receive, Scope, Send

KEEP_ALIVE = 15.0
"""Seconds without an event after which a comment says that the connection lives."""
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def event(data: Any, *, name: str | None = None, number: int | None = None) -> bytes:
    """One event; `data` as JSON, or as it is where it is text."""
    written = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # A half of a surrogate pair has no UTF-8.
    clean = written.encode("utf-8", errors="replace").decode()
    return format_sse_event(data_str=clean, event=name, id=None if number is None else str(number))


def stream(
    events: AsyncIterator[bytes], headers: dict[str, str] | None = None, *, ended: Callable[[], None] = lambda: None
) -> StreamingResponse:
    """The events as a response. When the client goes, the iterator is closed; `ended` is called whatever happens."""
    response = Stream(_kept_alive(events), media_type="text/event-stream", headers=HEADERS | (headers or {}))
    response.ended = ended
    return response


class Stream(StreamingResponse):
    """One that says when it is over: an iterator that was never begun can't say so itself."""

    ended: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.ended()


async def _kept_alive(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    coming: asyncio.Task[bytes] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(events))  # type: ignore[arg-type]
            done, _ = await asyncio.wait({coming}, timeout=KEEP_ALIVE)
            if not done:
                yield b": alive\n\n"
                continue
            try:
                made = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            yield made
    finally:
        if coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await coming
        with contextlib.suppress(RuntimeError):
            await events.aclose()  # type: ignore[attr-defined]

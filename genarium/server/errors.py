"""Every error in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from genarium import files
from genarium.errors import BadCheckpoint, BadInput, GenariumError, ModelNotFound, RemoteError, StorageError

log = logging.getLogger("genarium.server")

TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
# What each of our errors is in HTTP: the status, and OpenAI's code where it has one.
STATUS: tuple[tuple[type[GenariumError], int, str | None], ...] = (
    (BadInput, 400, None),
    (ModelNotFound, 404, "model_not_found"),
    (BadCheckpoint, 400, "model_unusable"),
    (StorageError, 507, "storage"),
    (RemoteError, 502, "upstream"),
)


class Json(JSONResponse):
    """JSON that any text can be in: half a surrogate pair is written as a question mark."""

    def render(self, content: Any) -> bytes:
        import json

        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
            "utf-8", errors="replace"
        )


class RequestRefused(Exception):
    """A request that is refused by the server itself, before or beside any task."""

    def __init__(self, status: int, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})


def body(status: int, message: str, *, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The error as JSON values."""
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def of(error: BaseException) -> tuple[int, dict[str, Any]]:
    """Status and body for what a task raised. What is nobody's mistake but ours is 500, and its cause is logged."""
    from genarium.engines.drawing import is_out_of_memory

    if isinstance(error, RequestRefused):
        return error.status, body(error.status, str(error), code=error.code)
    for kind, status, code in STATUS:
        if isinstance(error, kind):
            # A client knows what it sent and what was made by their names, not by where the data folder is.
            return status, body(status, str(error).replace(f"{files.home()}{os.sep}", ""), code=code)
    if isinstance(error, RecursionError):
        return 400, body(400, "something that was sent is nested too deeply; flatten it")
    if is_out_of_memory(error):
        message = "there is not the memory for this now; ask for less (a smaller n, size or model), or try again later"
        return 503, body(503, message, code="out_of_memory")
    log.error("internal error", exc_info=error)
    return 500, body(500, "an error inside the server; its log says more", code="internal_error")


def response(error: BaseException) -> JSONResponse:
    status, content = of(error)
    return Json(content, status, headers=getattr(error, "headers", None))


def install(app: FastAPI) -> None:
    """Make every error of the application one of these."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        return response(error)

    async def plain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        said = "no such address; GET /openapi.json lists them" if error.status_code == 404 else str(error.detail)
        return Json(body(error.status_code, said), error.status_code, headers=error.headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0] if error.errors() else {"loc": (), "msg": "not what is expected"}
        place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path", "header"))
        where = f"{place}: " if place else ""
        return Json(body(400, f"{where}{first['msg']}", param=place or None), 400)

    for kind in (GenariumError, RequestRefused):
        app.add_exception_handler(kind, ours)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(RequestValidationError, invalid)

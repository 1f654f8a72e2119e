"""One line of JSON a request on standard error, and the counts of it. What was asked is left out unless asked for."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genarium import plugins
from genarium.server import errors
from genarium.server.metrics import Metrics

log = logging.getLogger("genarium.server")
LONGEST_LOGGED = 10_000
GONE = 499
"""The status of a request whose client did not wait for an answer."""


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=True)


def to_standard_error() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("genarium.server", "genarium.plugins", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name.startswith("genarium.") else logging.WARNING)
    for told in plugins.left_out():  # what was found before there was a log
        logging.getLogger("genarium.plugins").warning(told)


class Watch:
    """The outermost layer: a request id, the log line, the metrics."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, log_prompts: bool = False):
        self.app, self.metrics, self.log_prompts = app, metrics, log_prompts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        identifier = given if re.fullmatch(r"[\w.-]{1,64}", given) else secrets.token_hex(8)
        status, asked = 0, bytearray()

        async def received() -> Message:
            message = await receive()
            if self.log_prompts and message["type"] == "http.request" and len(asked) < LONGEST_LOGGED:
                asked.extend(message.get("body", b"")[:LONGEST_LOGGED])
            return message

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = identifier
            await send(message)

        try:
            await self.app(scope, received, sent)
        except asyncio.CancelledError:  # the server goes down, or the client is gone
            status = status or GONE
            raise
        except Exception as error:
            if status:  # it has begun: all that can be done is to end the connection
                status = 500
                raise
            await errors.response(error)(scope, receive, sent)
        finally:
            seconds = time.perf_counter() - began
            # A route's pattern, not what was asked for: labels are few, and paths may hold what people wrote.
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE", "HEAD", "OPTIONS") else "other"
            self.metrics.requests.labels(method, route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            facts = {
                "request": identifier,
                "method": method,
                "route": route,
                "status": status,
                "seconds": round(seconds, 4),
                "client": scope.get("state", {}).get("client", ""),
            }
            if self.log_prompts and asked:
                facts["asked"] = asked.decode("utf-8", errors="replace")
            log.info("request", extra={"facts": facts})

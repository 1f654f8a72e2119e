"""Who may speak to the server: Host and Origin (DNS rebinding, other sites' pages), keys, and how large and slow.

Without a key the server is for programs and pages of this machine. Any web page a person opens can send requests to
127.0.0.1 too, and a page whose name is made to resolve there can read the answers: so the Host must be an address or
a name that is known, and a request that a browser says another site sent is refused.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import re
import socket
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genarium.errors import StorageError
from genarium.server import limits
from genarium.server.errors import RequestRefused, response
from genarium.server.keys import Guesses, Keys, bearer
from genarium.server.settings import ServerSettings

HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:\[\]]+))(?::\d{1,5})?")
ENDS = {"Connection": "close"}
"""What is left of a body that is refused is not read to its end."""
OPEN = ("/health", "/", "/favicon.ico", "/session")
"""What needs no key: nothing there tells anything of anybody's. `/static/` (the page's own files) neither."""


class Guard:
    """Refuses before the application sees anything; counts and times the body while it is read."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, keys: Keys, guesses: Guesses):
        self.app, self.settings, self.keys, self.guesses = app, settings, keys, guesses
        known = {"localhost", socket.gethostname().lower(), *(name.lower() for name in settings.allowed_hosts)}
        self.hosts = known | {settings.host.strip("[]").lower()}
        self.origins = {origin.lower().rstrip("/") for origin in settings.allowed_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._admit(scope, headers)
        except (RequestRefused, StorageError) as refusal:
            await response(refusal)(scope, receive, send)
            return
        await self.app(
            scope, self._limited(receive, files=headers.get("content-type", "").startswith("multipart/")), send
        )

    def _admit(self, scope: Scope, headers: Headers) -> None:
        """Say whose request it is. Raises Refused where it may not come in."""
        host = headers.get("host", "")
        if not self._is_known(host):
            raise RequestRefused(
                421, f"this server does not answer for the host {host[:100]!r}; use its address, or give --allow-host"
            )
        if (why := self._foreign(scope, headers, host)) is not None:
            raise RequestRefused(
                403, f"{why}; a page of another site may not use this server, unless it is started with --allow-origin"
            )
        address = (scope.get("client") or ("unknown",))[0]
        client = self._client(address, headers)
        if client is None and scope["method"] != "OPTIONS" and not _is_open(scope["path"]):
            raise RequestRefused(
                401,
                "a key is needed: send Authorization: Bearer KEY with one the server was started with",
                headers={"WWW-Authenticate": "Bearer"},
            )
        scope.setdefault("state", {})["client"] = client or address
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > self.settings.max_body):
            raise RequestRefused(413, self._too_large(), headers=ENDS)

    def _client(self, address: str, headers: Headers) -> str | None:
        """Whose key it is, where one is given. Raises Refused where wrong ones came from there too often."""
        if (given := bearer(headers)) is None or not self.keys.digests:
            return self.keys.client(headers)
        return tried(self.keys, self.guesses, address, given)

    def _is_known(self, host: str) -> bool:
        name = _without_port(host).lower()
        if name in self.hosts:
            return True
        try:
            ipaddress.ip_address(name)  # a name can be made to resolve anywhere, an address can't
        except ValueError:
            return False
        return True

    def _foreign(self, scope: Scope, headers: Headers, host: str) -> str | None:
        """Why this comes from another site's page; None where it does not."""
        origin = headers.get("origin")
        if origin is not None and origin.lower().rstrip("/") not in self.origins:
            try:
                there = urlsplit(origin).netloc
            except ValueError:
                there = ""
            if not there or there.lower() != host.lower():
                return f"the request comes from {origin[:100]!r}"
        site = headers.get("sec-fetch-site", "none")
        opened = headers.get("sec-fetch-mode") == "navigate" and scope["method"] == "GET" and scope["path"] == "/"
        if site in ("cross-site", "same-site") and origin is None and not opened:
            return "the browser says that another site's page sent this"
        return None

    def _limited(self, receive: Receive, *, files: bool) -> Receive:
        """The body in pieces, counted and timed; one of `files` holds no values."""
        read, values, began = 0, 0, time.monotonic()
        done = False

        async def limited() -> Message:
            nonlocal read, values, done
            if done:
                return await receive()  # waits for the client to go
            left = self.settings.body_within - (time.monotonic() - began)
            try:
                message = await asyncio.wait_for(receive(), max(left, 0.01))
            except TimeoutError:
                raise HTTPException(408, "the body took too long to arrive; send it again", ENDS) from None
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                values += 0 if files else limits.values_in(message.get("body", b""))
                done = not message.get("more_body", False)
            if read > self.settings.max_body:
                raise HTTPException(413, self._too_large(), ENDS)
            if values > limits.MOST_VALUES:
                raise HTTPException(413, f"the body holds more than {limits.MOST_VALUES:,} values; send less", ENDS)
            return message

        return limited

    def _too_large(self) -> str:
        return f"the body is larger than {self.settings.max_body:,} bytes, the most that is read; send less"


def tried(keys: Keys, guesses: Guesses, address: str, given: str) -> str | None:
    """Whose key `given` is; None where it is nobody's. Raises Refused where the address has to wait."""
    client = keys.owner(given)
    if (wait := guesses.wait(address)) and not (client and guesses.was_right_lately(address, client)):
        seconds = math.ceil(wait)
        raise RequestRefused(
            429,
            f"too many wrong keys came from this address; try again in {seconds} seconds",
            headers={"Retry-After": str(seconds)},
        )
    guesses.say(address, client)
    return client


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith("/static/")


def _without_port(host: str) -> str:
    """The name or address; nothing where it is not written as one, with a port or without."""
    found = HOST.fullmatch(host)
    return (found[1] or found[2]) if found is not None else ""

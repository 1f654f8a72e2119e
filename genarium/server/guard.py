"""Who may speak to the server: Host and Origin (DNS rebinding, other sites' pages), keys, and how large and slow.

Without a key the server is for programs and pages of this machine. Any web page a person opens can send requests to
127.0.0.1 too, and a page whose name is made to resolve there can read the answers: so the Host must be an address or
a name that is known, and a request that a browser says another site sent is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import socket
import time
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genarium.server.errors import Json, body
from genarium.server.settings import Settings

COOKIE = "genarium_session"
ENDS = {"Connection": "close"}
"""What is left of a body that is refused is not read to its end."""
OPEN = ("/health", "/", "/favicon.ico", "/session")
"""What needs no key: nothing there tells anything of anybody's. `/static/` (the page's own files) neither."""


class Guard:
    """Refuses before the application sees anything; counts and times the body while it is read."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self.app, self.settings = app, settings
        self.keys = Keys(settings.keys)
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
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            status, message = refusal
            extra = {"WWW-Authenticate": "Bearer"} if status == 401 else ENDS if status == 413 else {}
            await Json(body(status, message), status, headers=extra)(scope, receive, send)
            return
        await self.app(scope, self._limited(receive), send)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_known(host):
            return 421, (
                f"this server does not answer for the host {host[:100]!r}; use its address, or give --allow-host"
            )
        if (why := self._foreign(scope, headers, host)) is not None:
            return (
                403,
                f"{why}; a page of another site may not use this server, unless it is started with --allow-origin",
            )
        client = self.keys.client(headers)
        if client is None and scope["method"] != "OPTIONS" and not _is_open(scope["path"]):
            return 401, "a key is needed: send Authorization: Bearer KEY with one the server was started with"
        scope.setdefault("state", {})["client"] = client or (scope.get("client") or ("unknown",))[0]
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self.settings.max_body:
            return 413, self._too_large()
        return None

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

    def _limited(self, receive: Receive) -> Receive:
        read, began = 0, time.monotonic()
        done = False

        async def limited() -> Message:
            nonlocal read, done
            if done:
                return await receive()  # waits for the client to go
            left = self.settings.body_within - (time.monotonic() - began)
            try:
                message = await asyncio.wait_for(receive(), max(left, 0.01))
            except TimeoutError:
                raise HTTPException(408, "the body took too long to arrive; send it again", ENDS) from None
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                done = not message.get("more_body", False)
            if read > self.settings.max_body:
                raise HTTPException(413, self._too_large(), ENDS)
            return message

        return limited

    def _too_large(self) -> str:
        return f"the body is larger than {self.settings.max_body:,} bytes, the most that is read; send less"


class Keys:
    """The keys that are accepted, compared in constant time."""

    def __init__(self, keys: Iterable[str]):
        self.digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self.sessions = [_session(key) for key in keys]

    def client(self, headers: Headers) -> str | None:
        """A name for whose key this is; None where a key is needed and there is none. Without keys: everybody's."""
        if not self.digests:
            return ""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.owner(given.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return self._match(cookie.value.encode("utf-8", "replace"), self.sessions) if cookie is not None else None

    def owner(self, key: str) -> str | None:
        return self._match(hashlib.sha256(key.encode("utf-8", "replace")).digest(), self.digests)

    @staticmethod
    def _match(given: bytes, known: list[bytes]) -> str | None:
        # All are compared, so that the time says nothing of which one it was.
        found = [hmac.compare_digest(given, one) for one in known]
        return f"key-{found.index(True) + 1}" if any(found) else None


def session_cookie(key: str) -> str:
    """What a browser keeps in place of the key, since pictures and event streams can't send one in a header."""
    return _session(key).decode()


def _session(key: str) -> bytes:
    return hmac.new(key.encode(), b"genarium session", hashlib.sha256).hexdigest().encode()


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith("/static/")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]

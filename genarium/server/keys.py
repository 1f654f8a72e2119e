"""Keys, the sessions that browsers have in their place, and how often an address may guess."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

from genarium import files
from genarium.errors import StorageError

COOKIE = "genarium_session"
SESSION_SECONDS = 30 * 24 * 3600
GUESSES = 10
"""Wrong keys in a row that an address may send before it has to wait."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
FORGOTTEN_AFTER = 900.0
"""Seconds without a wrong key after which an address begins anew, and for which a right one is remembered."""
MOST_ADDRESSES = 10_000


class Keys:
    """The keys that are accepted, compared in constant time; each gives sessions, which can be ended."""

    def __init__(self, keys: Iterable[str]):
        self.keys = list(keys)
        self.digests = [hashlib.sha256(key.encode()).digest() for key in self.keys]
        self.ended = Ended()

    def client(self, headers: Headers) -> str | None:
        """A name for whose key this is; None where a key is needed and there is none. Without keys: everybody's."""
        if not self.digests:
            return ""
        given = bearer(headers)
        return self.owner(given) if given is not None else self.of_session(headers)

    def owner(self, key: str) -> str | None:
        return _match(hashlib.sha256(key.encode("utf-8", "replace")).digest(), self.digests)

    def new_session(self, key: str) -> str:
        """What a browser keeps in place of the key, since pictures and event streams can't send one in a header."""
        said = f"{secrets.token_hex(16)}.{int(time.time())}"
        return f"{said}.{_sealed(key, said)}"

    def of_session(self, headers: Headers) -> str | None:
        cookie = session_in(headers)
        said, _, seal = cookie.rpartition(".")
        identifier, _, begun = said.partition(".")
        found = _match(seal.encode("utf-8", "replace"), [_sealed(key, said).encode() for key in self.keys])
        if found is None or time.time() - int(begun) > SESSION_SECONDS or identifier in self.ended:
            return None
        return found

    def end_session(self, headers: Headers) -> None:
        """The session's cookie, wherever it is kept, is of no use any more. Raises StorageError."""
        if self.of_session(headers) is not None:
            identifier, begun, _ = session_in(headers).split(".")
            self.ended.add(identifier, int(begun) + SESSION_SECONDS)


class Ended:
    """The sessions that were ended before their time, in `HOME/ended-sessions.json`: all servers there see them."""

    def __init__(self) -> None:
        self.file = files.home() / "ended-sessions.json"
        self._known: dict[str, int] = {}
        self._read_at: int | None = None

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._now()

    def add(self, identifier: str, until: int) -> None:
        left = {one: end for one, end in self._now().items() if end > time.time()} | {identifier: until}
        files.write_atomically(self.file, json.dumps(left).encode())

    def _now(self) -> dict[str, int]:
        try:
            changed = self.file.stat().st_mtime_ns
            if changed != self._read_at:
                self._known = {str(one): int(end) for one, end in json.loads(self.file.read_text("utf-8")).items()}
                self._read_at = changed
        except FileNotFoundError:
            self._known, self._read_at = {}, None
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise StorageError(f"{self.file} can't be read ({error}); delete it") from None
        return self._known


class Guesses:
    """Slows down who tries keys: after some wrong ones an address waits, each time twice as long.

    Who gave a right one from there lately is not held up: behind a proxy all are one address.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self.now = now
        self.wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # address: how many, when it may try again
        self.right: OrderedDict[tuple[str, str], float] = OrderedDict()  # address and client: when

    def wait(self, address: str) -> float:
        """Seconds until this address may send a key again."""
        count, until = self.wrong.get(_network(address), (0, 0.0))
        return max(0.0, until - self.now()) if count >= GUESSES else 0.0

    def was_right_lately(self, address: str, client: str) -> bool:
        return self.now() - self.right.get((_network(address), client), -FORGOTTEN_AFTER) < FORGOTTEN_AFTER

    def say(self, address: str, client: str | None) -> None:
        """A key came from there: whose it was, or None where it was nobody's."""
        address, now = _network(address), self.now()
        if client is not None:
            self.wrong.pop(address, None)
            _keep(self.right, (address, client), now)
            return
        count, until = self.wrong.get(address, (0, 0.0))
        count = count + 1 if now - until < FORGOTTEN_AFTER else 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(30, count - GUESSES)) if count >= GUESSES else 0.0
        _keep(self.wrong, address, (count, now + wait))


def bearer(headers: Headers) -> str | None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def session_in(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie is not None else ""


def _match(given: bytes, known: list[bytes]) -> str | None:
    # All are compared, so that the time says nothing of which one it was.
    found = [hmac.compare_digest(given, one) for one in known]
    return f"key-{found.index(True) + 1}" if any(found) else None


def _sealed(key: str, said: str) -> str:
    return hmac.new(key.encode(), f"genarium session {said}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _network(address: str) -> str:
    """Of IPv6 the network that one household has: it holds more addresses than can be remembered."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def _keep(kept: OrderedDict, name: object, value: object) -> None:  # type: ignore[type-arg]
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > MOST_ADDRESSES:
        kept.popitem(last=False)

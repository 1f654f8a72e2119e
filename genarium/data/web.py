"""Fetches what a URL names, only from where it is safe: http and https, public addresses, limits of size and time.

Each hop of a redirect is looked at like the first URL. The connection goes to the very address that was checked, so
that a name can't point elsewhere a moment later (DNS rebinding). Proxies are not used: what they connect to can't be
checked.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from urllib.parse import urljoin, urlsplit

from genarium.errors import BadInput
from genarium.files import reason

MOST_BYTES = 64 * 2**20
MOST_SECONDS = 20.0
MOST_REDIRECTS = 5
_CHUNK = 64 * 1024


def is_url(text: str) -> bool:
    """Whether it is written like a URL of any scheme."""
    return "://" in text


def fetch(
    url: str,
    *,
    private: bool = False,
    most_bytes: int = MOST_BYTES,
    most_seconds: float = MOST_SECONDS,
) -> bytes:
    """The content behind a URL, at most `most_bytes` in at most `most_seconds` for all hops together.

    `private` allows addresses that are not public (this machine, the local network). Raises BadInput.
    """
    deadline = time.monotonic() + most_seconds
    here = url
    for _ in range(MOST_REDIRECTS + 1):
        try:
            answer = _get(here, private, most_bytes, deadline)
        except ssl.SSLError as error:
            raise BadInput(f"{here} has no certificate to be trusted ({error.reason}); check the address") from None
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
                raise BadInput(
                    f"{url} was not here within {most_seconds:g} seconds; download it and name the file"
                ) from None
            raise BadInput(f"{url} can't be reached: {_why(error)}; check it, or name a file in its place") from None
        if isinstance(answer, bytes):
            return answer
        here = urljoin(here, answer)
    raise BadInput(f"{url} redirects more than {MOST_REDIRECTS} times; name the picture's own address")


def _get(url: str, private: bool, most_bytes: int, deadline: float) -> bytes | str:
    """The content, or where a redirect leads. Raises BadInput, OSError, http.client.HTTPException."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadInput(f"{url} is no URL; write it like https://example.org/picture.jpg") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(f"{url} is not http or https; only those are fetched, so download it and name the file")
    port = port or (443 if parts.scheme == "https" else 80)
    address = _checked_address(url, host, port, private, deadline)
    opened = [socket.create_connection((address, port), timeout=_left(deadline))]
    # Reading has a time limit for each piece; this one is for the whole, however slowly the pieces come.
    watchdog = threading.Timer(_left(deadline), _shut, [opened])
    watchdog.daemon = True
    watchdog.start()
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            secure = context.wrap_socket(opened[0], server_hostname=host, do_handshake_on_connect=False)
            opened[0] = secure  # before the handshake, which may be slow as well
            secure.do_handshake()
        connection = http.client.HTTPConnection(host, port)
        connection.sock = opened[0]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"User-Agent": "genarium", "Accept": "image/*, video/*", "Connection": "close"}
        connection.request("GET", target, headers=headers)
        with contextlib.closing(connection), connection.getresponse() as response:
            if response.status in (301, 302, 303, 307, 308) and (there := response.getheader("Location")):
                return there
            if response.status != http.client.OK:
                raise BadInput(f"{url} answered {response.status} {response.reason}; check the address")
            return _read(response, url, most_bytes, deadline)
    finally:
        watchdog.cancel()
        opened[0].close()


def _read(response: http.client.HTTPResponse, url: str, most_bytes: int, deadline: float) -> bytes:
    too_much = BadInput(
        f"{url} is larger than the {most_bytes / 2**20:.0f} MiB that are fetched; download it and make it smaller"
    )
    if response.length is not None and response.length > most_bytes:
        raise too_much
    parts, size = list[bytes](), 0
    while piece := response.read1(_CHUNK):
        size += len(piece)
        if size > most_bytes:
            raise too_much
        parts.append(piece)
    _left(deadline)  # the watchdog's end of it looks like the server's own
    if response.length:
        raise BadInput(f"{url} broke off with {response.length:,} bytes missing; try again")
    return b"".join(parts)


def _checked_address(url: str, host: str, port: int, private: bool, deadline: float) -> str:
    """The address to connect to. Where a name has several and one of them is not public, none is taken."""
    found: list[str] = []
    failed: list[OSError] = []

    def resolve() -> None:
        try:
            listed = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(entry[4][0]) for entry in listed))
        except OSError as error:
            failed.append(error)

    asking = threading.Thread(target=resolve, daemon=True)  # the system's resolver knows no time limit
    asking.start()
    asking.join(_left(deadline))
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    if not private and not all(is_public(address) for address in found):
        raise BadInput(
            f"{url} leads to {', '.join(found)}, which is on this machine or its own network; allow that with "
            "--allow-private, or name the file"
        )
    return found[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also where IPv4 is wrapped into IPv6."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed in ipaddress.ip_network("64:ff9b::/96"):  # NAT64
            parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        else:
            parsed = parsed.ipv4_mapped or parsed.sixtofour or parsed
    return parsed.is_global and not parsed.is_multicast


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises TimeoutError after it."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _shut(opened: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        opened[0].shutdown(socket.SHUT_RDWR)


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return reason(error) if isinstance(error, OSError) else str(error) or type(error).__name__

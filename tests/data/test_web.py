"""URLs are fetched within their limits, and from nowhere they should not lead to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genarium.data import web
from genarium.errors import BadInput


class Handler(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        match self.path.split("?")[0]:
            case "/small":
                self._answer(200, b"content")
            case "/ten-gigabytes":
                self.send_response(200)
                self.send_header("Content-Length", str(10 * 2**30))
                self.end_headers()
                self._drip(b"x")
            case "/endless":
                self.send_response(200)
                self.end_headers()
                self._pour()
            case "/drip":
                self.send_response(200)
                self.end_headers()
                self._drip(b"x")
            case "/dripping-headers":
                self._drip(b"X-A: b\r\n", b"HTTP/1.1 200 OK\r\n")
            case "/short":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"only this")
            case "/hop":
                self._redirect("/small")
            case "/loop":
                self._redirect("/loop")
            case "/to-file":
                self._redirect("file:///etc/passwd")
            case "/to-metadata":
                self._redirect("http://169.254.169.254/latest/meta-data/")
            case _:
                self._answer(404, b"")

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _redirect(self, there: str) -> None:
        self.send_response(302)
        self.send_header("Location", there)
        self.end_headers()

    def _pour(self) -> None:
        try:
            while True:
                self.wfile.write(bytes(2**20))
        except OSError:
            return

    def _drip(self, drop: bytes, first: bytes = b"") -> None:
        try:
            self.wfile.write(first)
            while True:
                self.wfile.write(drop)
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    opened = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=opened.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{opened.server_port}"
    opened.shutdown()
    opened.server_close()


def test_what_is_allowed_is_fetched_also_behind_a_redirect(server: str) -> None:
    assert web.fetch(f"{server}/small", private=True) == b"content"
    assert web.fetch(f"{server}/hop?x=1", private=True) == b"content"


def test_addresses_of_this_machine_are_not_even_connected_to(server: str) -> None:
    Handler.asked.clear()
    for url in (server, server.replace("127.0.0.1", "localhost"), server.replace("127.0.0.1", "[::ffff:127.0.0.1]")):
        with pytest.raises(BadInput, match="allow-private"):
            web.fetch(f"{url}/small")
    assert Handler.asked == []


def test_a_name_of_which_one_address_is_private_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(_host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("93.184.216.34", "10.0.0.8")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with pytest.raises(BadInput, match=r"10\.0\.0\.8"):
        web.fetch("http://both.example/x.jpg")


@pytest.mark.parametrize(("path", "says"), [("/to-file", "not http or https"), ("/loop", "redirects more than")])
def test_redirects_are_looked_at_hop_by_hop(server: str, path: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        web.fetch(server + path, private=True)


def test_a_redirect_from_outside_to_a_private_address_is_refused(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server stands for one outside: its address passes, that of the redirect does not."""
    judged = web.is_public
    monkeypatch.setattr(web, "is_public", lambda address: address == "127.0.0.1" or judged(address))
    with pytest.raises(BadInput, match=r"169\.254\.169\.254, which is on this machine or its own network"):
        web.fetch(f"{server}/to-metadata")


def test_ten_gigabytes_are_refused_from_their_header_and_an_endless_answer_at_the_limit(server: str) -> None:
    with pytest.raises(BadInput, match="larger than the 64 MiB"):  # what drips from it would last for years
        web.fetch(f"{server}/ten-gigabytes", private=True, most_seconds=3600)
    with pytest.raises(BadInput, match="larger than the 4 MiB"):
        web.fetch(f"{server}/endless", private=True, most_bytes=4 * 2**20)


@pytest.mark.parametrize("path", ["/drip", "/dripping-headers"])
def test_slow_ones_stop_at_the_time_limit_however_often_something_comes(server: str, path: str) -> None:
    with pytest.raises(BadInput, match=r"not here within 0\.6 seconds"):
        web.fetch(server + path, private=True, most_seconds=0.6)


def test_every_other_failure_is_a_sentence(server: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    for url, says in (
        (f"{server}/nothing", "answered 404"),
        (f"{server}/short", "broke off with 991 bytes missing|can't be reached"),
        (closed, "can't be reached: connection refused"),
        ("http://no-such-name.invalid/x.jpg", "can't be reached: its name is not known|not here within"),
        ("ftp://127.0.0.1/x.jpg", "not http or https"),
        ("http://[1:2/x.jpg", "is no URL"),
        ("http://127.0.0.1:99999/x", "is no URL"),
        ("https://", "not http or https"),
    ):
        with pytest.raises(BadInput, match=says):
            web.fetch(url, private=True, most_seconds=60)


@given(st.ip_addresses(v=4))
def test_ipv4_inside_ipv6_is_judged_as_what_it_is(address: Any) -> None:
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert web.is_public(wrapped) == web.is_public(str(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111"])
def test_the_open_internet_is_public(address: str) -> None:
    assert web.is_public(address)


PRIVATE = (
    "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 0.0.0.0 100.64.0.1 224.0.0.1 ::1 fe80::1%eth0 fc00::1 ::"
)


@pytest.mark.parametrize("address", PRIVATE.split())
def test_what_is_not_is_not(address: str) -> None:
    assert not web.is_public(address)

"""A server that really listens, on a thread of the test's own process, so that its data folder is the test's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from genarium.ledger import Ledger
from genarium.server.desk import Desk
from genarium.server.serve import Server, address, listen, server_of
from genarium.server.settings import ServerSettings

Serve = Callable[..., "Running"]


class Running:
    """`http` is a client of the server at `address`; `desk` is its inside."""

    def __init__(self, where: str, server: Server, thread: threading.Thread):
        self.address, self.server, self.thread = where, server, thread
        self.http = httpx2.Client(base_url=where, timeout=600)

    @property
    def desk(self) -> Desk:
        return self.server.desk

    def stop(self) -> None:
        """As SIGTERM does."""
        self.server.should_exit = True
        self.thread.join(600)
        assert not self.thread.is_alive(), "the server did not go down"


@contextmanager
def running(settings: ServerSettings) -> Iterator[Running]:
    Ledger().close()
    listening = listen(settings)
    up = threading.Event()
    made: list[Server] = []

    async def run() -> None:
        made.append(server_of(settings, up.set))
        await made[0].serve(sockets=[listening])

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert up.wait(600)
    found = Running(address(listening), made[0], thread)
    try:
        yield found
    finally:
        found.http.close()
        found.stop()


@pytest.fixture
def serve(home: Path, tiny: Path) -> Iterator[Serve]:
    """Starts servers; the small random model is `tiny` there."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Running:
            settings.setdefault("models", {"tiny": str(tiny)})
            return stack.enter_context(running(ServerSettings(**{"port": 0, "grace": 2.0} | settings)))

        yield start


@pytest.fixture
def server(serve: Serve) -> Running:
    return serve()

"""Running the application with uvicorn: the socket, connections that say nothing, and going down in order."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from genarium.errors import BadInput
from genarium.files import reason, shortened
from genarium.ledger import Ledger
from genarium.server import logs
from genarium.server.app import application
from genarium.server.desk import Desk
from genarium.server.settings import ServerSettings

HEADERS_WITHIN = 15.0
"""Seconds a connection may take to say what it wants; a thousand that say nothing are gone after that."""


class Patient(H11Protocol):
    """uvicorn's protocol, which lets a connection stay silent for ever before its first request."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        if self._between_requests() and self._deadline is None:
            self._arm()
        super().data_received(data)
        if not self._between_requests():
            self._disarm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(HEADERS_WITHIN, self._give_up)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self._between_requests() and not self.transport.is_closing():
            self.transport.close()

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete


class Server(uvicorn.Server):
    """Parks and finishes jobs while connections are still there to be told."""

    def __init__(self, config: uvicorn.Config, desk: Desk, ready: Callable[[], None]):
        super().__init__(config)
        self.desk, self.ready = desk, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self.ready()
            # torch takes seconds to import: better before the first request than in it.
            asyncio.get_running_loop().run_in_executor(None, importlib.import_module, "genarium.engines.text.native")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        closing = asyncio.create_task(asyncio.to_thread(self.desk.close))
        await super().shutdown(sockets)
        await closing


def serve(settings: ServerSettings, *, ready: Callable[[str], None] = lambda address: None) -> None:
    """Serve until SIGTERM or Ctrl-C. `ready` is told the address. Raises BadInput, StorageError."""
    Ledger().close()  # what can't be kept is not worth serving
    listening = listen(settings)
    _allow_many_connections()
    logs.to_standard_error()

    async def run() -> None:
        await server_of(settings, lambda: ready(address(listening))).serve(sockets=[listening])

    # uvicorn gives a signal on when it has gone down in order: that is an end without an error.
    with contextlib.suppress(ValueError):  # not on the main thread
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
    _leave()


def server_of(settings: ServerSettings, ready: Callable[[], None]) -> Server:
    """The server, not yet started; made inside the event loop that it will run on."""
    app = application(settings)
    config = uvicorn.Config(
        app,
        http=Patient,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(settings.grace) + 5,
        h11_max_incomplete_event_size=64 * 1024,
    )
    return Server(config, app.state.desk, ready)


def address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(settings: ServerSettings) -> socket.socket:
    """The socket; port 0 takes a free one. Raises BadInput."""
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, settings.port), family=family, backlog=2048)
    except (OSError, OverflowError, TypeError, UnicodeError) as error:  # a name that can't be looked up
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise BadInput(
            f"can't listen on {shortened(host)} port {settings.port}: {why}; choose another with --port"
        ) from None


def _leave() -> None:
    """End the process where a run did not end when it was told to: a thread inside the network can't be ended."""
    left = [thread for thread in threading.enumerate() if thread.name.startswith("genarium-")]
    for thread in left:
        thread.join(1.0)
    if any(thread.is_alive() for thread in left):
        logging.getLogger("genarium.server").warning("work was cut off; what it had finished is kept")
        logging.shutdown()
        sys.stderr.flush()
        os._exit(0)


def _allow_many_connections() -> None:
    """Each connection is an open file, of which a shell often allows no more than 1,024."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

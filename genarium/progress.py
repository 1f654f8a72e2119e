"""What is going on, told to whoever listens: the command line's bar, the server's event stream, a test.

Any code on the road calls `emit` or `note`; only a door decides what to show. Nobody listening costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """`done` of `total` units of `stage`; `preview` is what can be shown of output `item` so far.

    For text a preview is the new piece of text; for `stage="note"` it is a sentence to tell the user.
    """

    stage: str
    done: int = 0
    total: int | None = None
    preview: Any = None
    item: int = 0


Listener = Callable[[Event], None]
_listener: ContextVar[Listener | None] = ContextVar("genarium_listener", default=None)


def emit(stage: str, done: int = 0, total: int | None = None, preview: Any = None, item: int = 0) -> None:
    """Tell the listener, if there is one."""
    if (listener := _listener.get()) is not None:
        listener(Event(stage, done, total, preview, item))


_check: ContextVar[Callable[[], None] | None] = ContextVar("genarium_check", default=None)


def alive() -> None:
    """Say that the work continues, where it tells nothing else for a while: what nobody waits for ends here."""
    if (check := _check.get()) is not None:
        check()


@contextmanager
def ended_by(check: Callable[[], None]) -> Iterator[None]:
    """Inside the block `alive` calls `check`, which raises where the work is to end."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def is_heard() -> bool:
    """Whether anyone listens, where a preview costs something to make."""
    return _listener.get() is not None


def note(sentence: str) -> None:
    """Tell the user something they should know about this result (what was cut, what was skipped)."""
    emit("note", preview=sentence)


def note_left_out(where: object, names: Iterable[str], what: str) -> None:
    """Tell which files of a folder are not `what` and so not read. Hidden ones are not told."""
    left = sorted(name for name in names if not name.startswith("."))
    if left:
        shown = ", ".join(left[:5]) + (", …" if len(left) > 5 else "")
        count = "1 file" if len(left) == 1 else f"{len(left)} files"
        note(f"{count} in {where} left out, not {what}: {shown}")


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Send every event from inside the block to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def forwarding(changed: Callable[[Event], Event]) -> Iterator[None]:
    """Send every event from inside the block on to the listener, changed."""
    listener = _listener.get()
    with listening(None if listener is None else lambda event: listener(changed(event))):
        yield

"""The models that are open, within a memory budget: the one not used for longest is let go first.

Sizes are those of the weight files, which is what a network takes at least.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found

P = ParamSpec("P")
T = TypeVar("T")
WEIGHTS = ("*.safetensors", "*.pt", "*.bin")
USUAL_SHARE = 0.5
"""Of the machine's memory, where no budget was given."""


@dataclass
class _Open:
    engine: Any
    size: int


_open: OrderedDict[Hashable, _Open] = OrderedDict()
_lock = threading.Lock()
_loading: dict[Hashable, threading.Lock] = {}
_budget: int | None = None


def keep_within(budget: int | None) -> None:
    """Bytes that all open models may take; None for half of this machine's memory."""
    global _budget  # noqa: PLW0603 - one budget for the one memory
    _budget = budget


def held() -> int:
    """Bytes of the models that are open."""
    with _lock:
        return sum(one.size for one in _open.values())


def count() -> int:
    with _lock:
        return len(_open)


def forget_all() -> None:
    with _lock:
        _open.clear()


def kept(function: Callable[Concatenate[Found, P], T]) -> Callable[Concatenate[Found, P], T]:
    """Keep what the function opens. Of several threads that ask for one model, one opens it and all get it.

    An engine that others still run lives until they are done; what was let go is opened again when it is asked for.
    """

    @wraps(function)
    def opened(found: Found, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (function, found, args, tuple(sorted(kwargs.items())))
        with _lock:
            if key in _open:
                _open.move_to_end(key)
                return _open[key].engine  # type: ignore[no-any-return]
            turn = _loading.setdefault(key, threading.Lock())
        with turn:
            with _lock:
                if key in _open:
                    return _open[key].engine  # type: ignore[no-any-return]
            size = _size(found)
            _make_room(size)
            engine = function(found, *args, **kwargs)
            with _lock:
                _open[key] = _Open(engine, size)
                _loading.pop(key, None)
            return engine

    return opened  # type: ignore[return-value]


def _make_room(size: int) -> None:
    """Let go of models until one of this size fits beside the rest; one larger than the budget stands alone."""
    if not _open:
        return
    budget = _budget
    if budget is None:
        from genarium.devices import total_memory

        budget = int(USUAL_SHARE * total_memory())
    with _lock:
        while _open and sum(one.size for one in _open.values()) + size > budget:
            _open.popitem(last=False)


def _size(found: Found) -> int:
    if found.path is None:
        return 0
    if found.path.is_file():
        return found.path.stat().st_size
    return sum(file.stat().st_size for pattern in WEIGHTS for file in found.path.rglob(pattern))

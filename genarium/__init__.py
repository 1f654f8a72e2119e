"""Genarium: generative AI on machines you own.

    import genarium
    story = genarium.text("In the morning, I", n=3, seed=7)
    print(story[0].text, story[0].path)

Every task is a function here (`genarium.tasks.tasks()` lists them). Importing this module imports no torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from genarium.errors import GenariumError

if TYPE_CHECKING:
    from genarium.run import Result

__all__ = ["GenariumError"]


@cache
def _verb(name: str) -> Callable[..., Result]:
    from genarium.run import call
    from genarium.tasks import tasks

    task = tasks()[name]

    def verb(*args: Any, **kwargs: Any) -> Result:
        return call(name, *args, **kwargs)

    verb.__name__ = verb.__qualname__ = name
    verb.__doc__ = task.help
    verb.__signature__ = inspect.signature(task.function)  # type: ignore[attr-defined]
    return verb


def __getattr__(name: str) -> Any:
    from genarium.tasks import tasks

    if name in tasks():
        return _verb(name)
    raise AttributeError(f"module 'genarium' has no attribute {name!r}")


def __dir__() -> list[str]:
    from genarium.tasks import tasks

    return sorted([*globals(), *tasks()])

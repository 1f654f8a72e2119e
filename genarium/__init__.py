"""Genarium: generative AI on machines you own.

    import genarium
    story = genarium.text("In the morning, I", n=3, seed=7)
    print(story[0].text, story[0].path)

Every task is a function here (`genarium.tasks.tasks()` lists them). Importing this module imports no torch.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from genarium.errors import GenariumError

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable

    from genarium.run import Result

__all__ = ["GenariumError"]


@cache
def _verb(name: str) -> Callable[..., Result]:
    from genarium.plugins import left_out
    from genarium.run import call
    from genarium.tasks import tasks

    if name not in tasks():
        raise AttributeError(f"module 'genarium' has no attribute {name!r}: {' '.join(left_out(name))}")
    task = tasks()[name]

    def verb(*args: Any, **kwargs: Any) -> Result:
        return call(name, *args, **kwargs)

    verb.__name__ = verb.__qualname__ = name
    arguments = "\n".join(f"    {parameter.name}: {parameter.help}" for parameter in task.parameters)
    verb.__doc__ = f"{task.help}\n\nArgs:\n{arguments}\n\nReturns a genarium.run.Result, a sequence of artefacts."
    verb.__signature__ = _plain_signature(task.function)  # type: ignore[attr-defined]
    return verb


def _plain_signature(function: Callable[..., Any]) -> inspect.Signature:
    """The function's signature with bare types, as a reader wants it."""
    import inspect
    from typing import get_type_hints

    hints = get_type_hints(function)
    plain = inspect.signature(function)
    shown = [parameter.replace(annotation=hints[name]) for name, parameter in plain.parameters.items()]
    return plain.replace(parameters=shown, return_annotation="Result")


def __getattr__(name: str) -> Any:
    # By names alone: a room of this package that is being imported asks here first.
    from genarium.plugins import modules, tasks

    if not name.startswith("_") and name not in modules(".") and name in tasks():
        return _verb(name)
    raise AttributeError(f"module 'genarium' has no attribute {name!r}")


def __dir__() -> list[str]:
    from genarium.plugins import tasks

    return sorted({*globals(), *tasks()})

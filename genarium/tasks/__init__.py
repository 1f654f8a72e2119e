"""Tasks: one typed function a file. A new file here is a new command, Python verb, HTTP route and form."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from genarium.errors import BadInput
from genarium.tasks.task import Task

__all__ = ["Task", "find", "tasks"]


@cache
def tasks() -> dict[str, Task]:
    """Every task by name, found by looking: each module here but `task` defines the task it is named after."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "task")
    return {name: getattr(importlib.import_module(f"{__name__}.{name}"), name) for name in names}


def find(name: str) -> Task:
    """Raises BadInput, naming the tasks there are."""
    if name not in tasks():
        raise BadInput(f"no task called {name!r}; there are {', '.join(tasks())}")
    return tasks()[name]

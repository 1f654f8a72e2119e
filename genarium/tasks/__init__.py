"""Tasks: one typed function a file. A new file here is a new command, Python verb, HTTP route and form.

Another package brings one by the entry point group `genarium.tasks`.
"""

from __future__ import annotations

from functools import cache

from genarium import plugins
from genarium.errors import BadInput
from genarium.tasks.task import Task

__all__ = ["Task", "find", "tasks"]


@cache
def tasks() -> dict[str, Task]:
    """Every task by name: each module here but `task` defines the task it is named after, then other packages'."""
    found = {name: plugins.load(plugin, Task) for name, plugin in plugins.tasks().items()}
    return {name: task for name, task in found.items() if task is not None}


def find(name: str) -> Task:
    """Raises BadInput, naming the tasks there are."""
    if name not in tasks():
        raise BadInput(f"no task called {name!r}; there are {', '.join(tasks())}")
    return tasks()[name]

"""Tasks: one typed function a file. A new file here is a new command, Python verb, HTTP route and form.

Another package brings one by the entry point group `genarium.tasks`.
"""

from __future__ import annotations

from functools import cache

from genarium import plugins
from genarium.errors import BadInput, first_line
from genarium.tasks.task import Task

__all__ = ["Task", "find", "tasks"]


@cache
def tasks() -> dict[str, Task]:
    """Every task by name: each module here but `task` defines the task it is named after, then other packages'."""
    found = {name: _load(name) for name in plugins.tasks()}
    return {name: task for name, task in found.items() if task is not None}


@cache
def _load(name: str) -> Task | None:
    plugin = plugins.tasks()[name]
    task = plugins.load(plugin, Task)
    return task if task is not None and (not plugin.package or _is_sound(plugin, name, task)) else None


def _is_sound(plugin: plugins.Plugin, name: str, task: Task) -> bool:
    """Whether another package's task can be read as ours are: everything is built from its signature."""
    try:
        if task.name != name:
            raise BadInput(f"its function is called {task.name!r}")
        task.schema()
    except Exception as error:
        plugins.leave_out(plugin, f"{type(error).__name__}: {first_line(error)}; update that package, or uninstall it")
        return False
    return True


def find(name: str) -> Task:
    """Raises BadInput, naming the tasks there are."""
    task = _load(name) if name in plugins.tasks() else tasks().get(name)  # that one alone is imported
    if task is None:
        raise BadInput(f"no task called {name!r}; there are {', '.join(tasks())}")
    return task

"""Commands that train, one a file: a new file here is a new `genarium train …`.

Other packages bring more by the entry point group `genarium.commands`, each a `Command` under its name.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from genarium.training.command import Command

__all__ = ["Command", "find", "names"]

APART = ("finetune",)
"""Commands of their own, beside `train`."""


@cache
def names() -> tuple[str, ...]:
    """What `train` can be followed by; nothing is imported for it."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in APART))


@cache
def find(name: str) -> Command:
    """The command of a name that is there: `train_NAME` of its file."""
    made: Command = getattr(importlib.import_module(f"{__name__}.{name}"), f"train_{name}")
    return made

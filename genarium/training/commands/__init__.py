"""Commands that train, one a file: a new file here, which defines `train_NAME`, is a new `genarium train NAME`.

Other packages bring one by an entry point `train.NAME` of the group `genarium.commands`, which names a `Command`.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from genarium import plugins
from genarium.training.command import Command

__all__ = ["Command", "find", "names"]


@cache
def _listed() -> dict[str, plugins.Plugin]:
    folder, group = "training/commands", "genarium.commands"
    return plugins.listed(folder, group, attribute="train_{name}", prefix="train.", besides=("finetune",))


def names() -> Collection[str]:
    """What `train` can be followed by; nothing is imported for it."""
    return _listed().keys()


def find(name: str) -> Command | None:
    """The command of a name, imported; None where there is none, or that of another package is left out."""
    return plugins.load(_listed()[name], Command) if name in names() else None

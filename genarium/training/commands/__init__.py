"""Commands that train, one a file: a new file here, which defines `train_NAME`, is a new `genarium train NAME`.

In the folder `align` it defines `align_NAME`, and is `genarium align NAME`. Other packages bring one by an entry point
`train.NAME` or `align.NAME` of the group `genarium.commands`, which names a `Command`.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Literal

from genarium import plugins
from genarium.training.command import Command

__all__ = ["Command", "find", "names"]

Group = Literal["train", "align"]
FOLDERS: dict[Group, str] = {"train": "training/commands", "align": "training/commands/align"}


@cache
def _listed(group: Group) -> dict[str, plugins.Plugin]:
    # `finetune` is one command for all its tasks, and `align` the folder of a group.
    return plugins.listed(
        FOLDERS[group],
        "genarium.commands",
        attribute=f"{group}_{{name}}",
        prefix=f"{group}.",
        besides=("finetune", "align"),
    )


def names(group: Group = "train") -> Collection[str]:
    """What `train`, or `align`, can be followed by; nothing is imported for it."""
    return _listed(group).keys()


def find(name: str, group: Group = "train") -> Command | None:
    """The command of a name, imported; None where there is none, or that of another package is left out."""
    return plugins.load(_listed(group)[name], Command) if name in names(group) else None

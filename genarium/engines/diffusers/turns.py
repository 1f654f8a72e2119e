"""Parts of a pipeline that take turns in memory: one's weights are read when it computes, the one before is let go.

For a model whose text encoder and denoisers fit alone and not together. What is read is what would have been loaded at
once, so that no byte of a result changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from torch import nn

HELD = ("_parameters", "_buffers", "_modules")
"""What of a module holds its weights."""


class Turns:
    """Which of the parts holds its weights; none at first."""

    def __init__(self) -> None:
        self._load: dict[str, Callable[[], nn.Module]] = {}
        self._empty: dict[str, tuple[nn.Module, dict[str, Any]]] = {}
        self._held: str | None = None

    def part(self, name: str, empty: nn.Module, load: Callable[[], nn.Module]) -> nn.Module:
        """`empty`, whose weights `load` brings whenever it is called."""
        self._load[name], self._empty[name] = load, (empty, {kept: getattr(empty, kept) for kept in HELD})
        self.let_go_for(name, empty)
        return empty

    @property
    def names(self) -> set[str]:
        return set(self._load)

    def let_go_for(self, name: str, module: nn.Module) -> None:
        """Have whichever part holds its weights let go of them when `module` computes."""
        add_hook_to_module(module, _Turn(self, name), append=hasattr(module, "_hf_hook"))

    def take(self, name: str) -> None:
        """The part of that name holds its weights, and it alone. Raises BadCheckpoint where they can't be read."""
        if name == self._held:
            return
        self.let_go()
        if name in self._load:
            _hold(self._empty[name][0], vars(self._load[name]()))
            self._held = name

    def let_go(self) -> None:
        if self._held is not None:
            _hold(*self._empty[self._held])
            self._held = None


class _Turn(ModelHook):  # type: ignore[misc]
    def __init__(self, turns: Turns, name: str):
        self.turns, self.name = turns, name
        self.execution_device = torch.device("cpu")

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        self.turns.take(self.name)
        return args, kwargs


def empty(kind: Any, path: Path, config: dict[str, Any], dtype: torch.dtype) -> nn.Module:
    """A network of that class without its weights."""
    with torch.device("meta"):
        if hasattr(kind, "from_config"):
            made = kind.from_config(config)
        else:
            made = kind(kind.config_class.from_pretrained(path, local_files_only=True))
    network: nn.Module = made.to(dtype).eval()
    return network


def _hold(module: nn.Module, weights: Mapping[str, Any]) -> None:
    for kept in HELD:
        vars(module)[kept] = weights[kept]

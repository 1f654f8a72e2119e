"""A command that trains: a function, read once for its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from genarium.extras import naming_extra
from genarium.signature import Parameter, bind, grouped, parameters


@dataclass(frozen=True)
class Command:
    """`function` trains, writes a folder, and returns figures by name. `summary` is its line in the help."""

    name: str
    function: Callable[..., dict[str, Any]]
    summary: str

    @cached_property
    def parameters(self) -> list[Parameter]:
        return parameters(self.function)

    @property
    def help(self) -> str:
        said = inspect.getdoc(self.function) or ""
        return said if said.startswith(self.summary) else f"{self.summary}\n\n{said}"

    def __call__(self, **arguments: Any) -> dict[str, Any]:
        """Train. Raises BadInput, naming the option, and MissingPackage."""
        with naming_extra(self.name):
            return self.function(**grouped(self.function, bind(self.name, self.parameters, (), arguments)))


def command(summary: str, *, group: str = "train ") -> Callable[[Callable[..., dict[str, Any]]], Command]:
    """Make the decorated function, `train_NAME`, the command `train NAME`; of another `group`, its name leads."""

    def decorate(function: Callable[..., dict[str, Any]]) -> Command:
        return Command(group + function.__name__.removeprefix(group.replace(" ", "_")), function, summary)

    return decorate

"""The definition of a task: a function, read once for everything that is built from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args, get_type_hints

from genarium.artefacts import Artefact
from genarium.errors import BadInput
from genarium.signature import Parameter, parameters


@dataclass(frozen=True)
class Pin:
    """How an argument that names something outside, or leaves a choice open, stands in a recipe.

    `write`, of it and of all arguments by name (`model` is where it was found), puts down what it is and a digest
    of its content, or what was chosen, as JSON; `open` turns that into the argument again, or raises BadInput where it
    changed. `of_model` says that it names a model.
    """

    write: Callable[[Any, Mapping[str, Any]], Any]
    open: Callable[[Any], Any]
    of_model: bool = False


def model_pin(default: str, *, counts: Callable[[Mapping[str, Any]], bool] = lambda _: True) -> Pin:
    """Of a model beside the one every task may have: its reference and the sha256 of its files.

    `default` is the starter meant by `starter`. None is no model; nor is one named that by all arguments doesn't count.
    """

    def write(reference: str | None, values: Mapping[str, Any]) -> dict[str, str] | None:
        if reference is None or not counts(values):
            return None
        from genarium.engines.registry import digest_of

        return {"reference": reference, "sha256": digest_of(reference, default=default)}

    def opened(pin: dict[str, str] | None) -> str | None:
        from genarium.engines.registry import digest_of

        if pin is not None and digest_of(pin["reference"], default=default) != pin["sha256"]:
            raise BadInput(
                f"{pin['reference']} changed since this recipe was written; put it back as it was, or ask anew"
            )
        return None if pin is None else pin["reference"]

    return Pin(write, opened, of_model=True)


@dataclass(frozen=True)
class Task:
    """`function` yields artefacts one by one, as each is finished; `starter` is the model `--model starter` means.

    `pins` are of the arguments that a recipe names by content, beside files. One that `remakes` may be given the file
    of something that it made before as its first argument, by whoever may read files here.
    """

    name: str
    function: Callable[..., Iterator[Artefact]]
    starter: str | None
    pins: Mapping[str, Pin] = field(default_factory=dict)
    remakes: bool = False

    @cached_property
    def parameters(self) -> list[Parameter]:
        return parameters(self.function)

    @property
    def model_arguments(self) -> list[str]:
        """The arguments that name a model, which may be any folder."""
        return ["model", *(name for name, pin in self.pins.items() if pin.of_model)]

    @property
    def help(self) -> str:
        return inspect.getdoc(self.function) or ""

    @property
    def artefacts(self) -> tuple[type[Artefact], ...]:
        """The kinds of artefact it makes."""
        hint = get_args(get_type_hints(self.function)["return"])[0]
        made: tuple[type[Artefact], ...] = get_args(hint) or (hint,)
        return made

    @property
    def artefact(self) -> type[Artefact]:
        """The kind of artefact it makes; of several, the one that stands first."""
        return self.artefacts[0]

    def schema(self) -> dict[str, Any]:
        """The task as JSON Schema: its arguments, and the artefact's kind and media type."""
        return {
            "title": self.name,
            "description": self.help,
            "type": "object",
            "properties": {p.name: p.schema() for p in self.parameters},
            "required": [p.name for p in self.parameters if p.required],
            "additionalProperties": False,
            "artefact": {"kind": self.artefact.kind, "media_type": self.artefact.media_type},
        }


def task(
    *, starter: str | None = None, pins: Mapping[str, Pin] | None = None, remakes: bool = False
) -> Callable[[Callable[..., Iterator[Any]]], Task]:
    """Make the decorated function a task. A task with a `model` argument names the starter it defaults to."""

    def decorate(function: Callable[..., Iterator[Any]]) -> Task:
        return Task(function.__name__, function, starter, pins or {}, remakes)

    return decorate

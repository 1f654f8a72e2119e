"""`train NAME`: each command's options come from its function's signature, as with tasks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from genarium.cli.display import Display
from genarium.cli.groups import Group, with_common
from genarium.cli.options import click_parameters, given

if TYPE_CHECKING:
    from genarium.training.command import Command


class Commands(Group):
    """The commands there are in `training/commands`, each imported when it is asked for, then those that were added."""

    of: Literal["train", "align"] = "train"

    def list_commands(self, ctx: click.Context) -> list[str]:
        from genarium.training import commands

        return [*commands.names(self.of), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from genarium.training import commands

        if (added := super().get_command(ctx, name)) is not None:
            return added
        made = commands.find(name, self.of)
        return None if made is None else self.as_click(name, made)

    def as_click(self, name: str, made: Command) -> click.Command:
        """The command as click has it."""
        return click_command(name, made)


@click.group(cls=Commands)
def train() -> None:
    """Train a model from scratch. Stopped at any moment, the same command continues to the same weights."""


def plainly(made: Command, values: dict[str, Any]) -> dict[str, Any]:
    """Train by what was given on the command line; the figures."""
    return made(**given(made.parameters, values))


def click_command(
    name: str,
    made: Command,
    *,
    carry_out: Callable[[Command, dict[str, Any]], dict[str, Any]] = plainly,
    more: Sequence[click.Parameter] = (),
) -> click.Command:
    """The command as click has it; `more` options are among the values that `carry_out` gets."""

    def command(as_json: bool, **values: Any) -> None:
        from genarium.progress import listening

        with Display() as display, listening(display):
            figures = carry_out(made, values)
        if as_json:
            click.echo(json.dumps(figures, indent=2))
            return
        for key, value in figures.items():
            click.echo(f"{key}: {f'{value:.4f}' if isinstance(value, float) else value}")

    as_json = click.Option(["--json", "as_json"], is_flag=True, help="print the figures as JSON")
    options = [*click_parameters(made.parameters), *more, as_json]
    return with_common(click.Command(name, callback=command, params=options, help=made.help, short_help=made.summary))

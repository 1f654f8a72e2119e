"""Groups of commands: help is not cut, a mistyped name gets a suggestion, every command takes what all take."""

from __future__ import annotations

import difflib
from typing import Any

import click

from genarium.cli.common import options

LONGEST_HELP = 1000
"""Characters of a command's first sentence: click's own limit, for one line, cuts it."""


class Group(click.Group):
    """A click group whose commands are told apart by whole sentences."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        command = super().get_command(ctx, name)
        return command if command is None else with_common(command)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            known = self.list_commands(ctx)
            raise click.UsageError(unknown("command", args[0], known)) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [
            (name, command.get_short_help_str(LONGEST_HELP))
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None and not command.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def with_common(command: click.Command) -> click.Command:
    """The command with the options that all have, where it has none yet."""
    if not isinstance(command, click.Group) and not any(p.name == "quiet" for p in command.params):
        command.params = [*command.params, *options()]
    return command


def unknown(what: str, name: str, known: list[str]) -> str:
    """That there is no such command or option, with the one that was probably meant, or all there are."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"no {what} {name!r}; " + (f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}")

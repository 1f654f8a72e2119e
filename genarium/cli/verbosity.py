"""How much is said beside the result: -q nothing but errors, -v also each stage with its time."""

from __future__ import annotations

import click

KEY = "genarium.verbosity"


def options() -> list[click.Option]:
    """The two options, for a command's parameters."""
    return [
        _option("-q", "--quiet", by=-1, help="say nothing beside the result; errors are still told"),
        _option("-v", "--verbose", by=1, help="say each stage with its time, and what the recipe is"),
    ]


def _option(*names: str, by: int, help: str) -> click.Option:
    """A flag that changes the level by so much."""

    def change(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[KEY] = ctx.meta.get(KEY, 0) + by

    return click.Option(names, is_flag=True, expose_value=False, callback=change, allow_from_autoenv=False, help=help)


def level() -> int:
    """-1 quiet, 0 as usual, 1 verbose."""
    ctx = click.get_current_context(silent=True)
    return 0 if ctx is None else ctx.meta.get(KEY, 0)


def aside(sentence: str) -> None:
    """A line on stderr that is no part of the result; nothing when quiet."""
    if level() >= 0:
        click.echo(sentence, err=True)

"""What every command takes: -q says only errors, -v also each stage with its time, --threads how many compute."""

from __future__ import annotations

import os

import click

from genarium import devices

KEY = "genarium.verbosity"

json_option = click.option("--json", "as_json", is_flag=True, help="print JSON")


def options() -> list[click.Option]:
    """The three options, for a command's parameters."""
    return [
        _option("-q", "--quiet", by=-1, help="say nothing beside the result; errors are still told"),
        _option("-v", "--verbose", by=1, help="say each stage with its time, and what the recipe is"),
        click.Option(
            ["--threads"],
            type=click.IntRange(1, 1024),
            expose_value=False,
            callback=_threads,
            is_eager=True,
            help="how many threads compute  [default: the cores that this process may use]",
        ),
    ]


def _option(*names: str, by: int, help: str) -> click.Option:
    """A flag that changes the level by so much."""

    def change(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[KEY] = ctx.meta.get(KEY, 0) + by

    return click.Option(names, is_flag=True, expose_value=False, callback=change, allow_from_autoenv=False, help=help)


def _threads(_ctx: click.Context, _param: click.Parameter, count: int | None) -> None:
    """Before any library is imported that asks for it: onnxruntime, torch, llama.cpp and BLAS read one variable."""
    if count is not None:
        os.environ[devices.THREADS] = str(count)
    elif devices.THREADS not in os.environ and devices.cores() < (os.cpu_count() or 1):
        os.environ[devices.THREADS] = str(devices.cores())  # libraries count the machine's, not the container's


def level() -> int:
    """-1 quiet, 0 as usual, 1 verbose."""
    ctx = click.get_current_context(silent=True)
    return 0 if ctx is None else ctx.meta.get(KEY, 0)


def aside(sentence: str) -> None:
    """A line on stderr that is no part of the result; nothing when quiet."""
    if level() >= 0:
        click.echo(sentence, err=True)

"""`align NAME`: the steps that teach a model of language what people want, found as `train`'s commands are."""

from __future__ import annotations

import click

from genarium.cli.train import Commands


class Steps(Commands):
    """The commands there are in `training/commands/align`."""

    group = "align"


@click.group(cls=Steps)
def align() -> None:
    """Teach a model of language what people want. Stopped at any moment, the same command continues to the same end."""

"""`video` in a terminal: also a video made before, made again with other settings, and a stopped one continued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from genarium.cli.common import aside
from genarium.cli.options import given
from genarium.cli.tasks import run_task, task_command
from genarium.errors import BadInput
from genarium.tasks.task import Task

if TYPE_CHECKING:
    from genarium.recipe import Recipe


def video_command(task: Task) -> click.Command:
    """The task's command, which also takes the file of a video in place of a prompt, and `--resume`."""
    command = task_command(task)
    command.params.append(
        click.Option(["--resume"], is_flag=True, help="continue the newest stopped run of this, with its seed")
    )

    def callback(output: str | None, as_json: bool, no_keep: bool, resume: bool, **values: Any) -> None:
        from genarium.run import remade

        arguments = given(task.parameters, values)
        if resume and ("seed" in arguments or no_keep):
            raise BadInput("--resume takes the seed of the stopped run, which is kept; leave out --seed and --no-keep")
        rest = {name: value for name, value in arguments.items() if name != "prompt"}
        if values["prompt"] != ("-",) and "prompt" in arguments:
            arguments = remade(task.name, arguments["prompt"], rest) or arguments
        change = _resumed if resume else lambda recipe: recipe
        run_task(task, arguments, output=output, as_json=as_json, keep=not no_keep, change=change)

    command.callback = callback
    return command


def _resumed(recipe: Recipe) -> Recipe:
    from genarium.run import resumed

    found = resumed(recipe)
    if found is None:
        raise BadInput("no stopped run of this is kept; leave out --resume")
    aside(f"continues with seed {found.seed}")
    return found

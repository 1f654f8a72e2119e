"""`speak` in a terminal: also a text file by its name, and the sound as it is made, into a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from genarium.cli.common import aside
from genarium.cli.display import Display
from genarium.cli.options import given
from genarium.cli.tasks import check_output, kept, run_task, task_command, write
from genarium.cli.terminal import printable
from genarium.errors import BadInput
from genarium.progress import Event
from genarium.tasks.task import Task


def speak_command(task: Task) -> click.Command:
    """The task's command, which also takes the name of a text file in place of a text, and `--stream`."""
    command = task_command(task)
    command.params.append(
        click.Option(
            ["--stream"],
            is_flag=True,
            help="write the sound (WAV) to standard output as it is made, as in: … --stream | ffplay -",
        )
    )

    def callback(output: str | None, as_json: bool, no_keep: bool, stream: bool, **values: Any) -> None:
        words = values["text"]
        if len(words) == 1 and not values.get("file") and _is_text_file(words[0]):
            values |= {"text": (), "file": words[0]}
        arguments = given(task.parameters, values)
        if not stream:
            run_task(task, arguments, output=output, as_json=as_json, keep=not no_keep)
            return
        if as_json or sys.stdout.isatty():
            raise BadInput("--stream writes sound to standard output; pipe it into a player, and leave out --json")
        _streamed(task, arguments, output=output, keep=not no_keep)

    command.callback = callback
    return command


def _is_text_file(word: str) -> bool:
    try:
        return word != "-" and Path(word).is_file()
    except (OSError, ValueError):  # longer than any name, or with a zero in it
        return False


def _streamed(task: Task, arguments: dict[str, Any], *, output: str | None, keep: bool) -> None:
    from genarium.run import prepare, run

    if output is not None:
        check_output(task, output)
    recipe = prepare(task.name, **arguments)
    with Display() as display:
        result = run(recipe, listener=_into(sys.stdout.buffer, display), keep=keep)
    written = write(list(result), output) if output else []
    aside(printable(kept(list(result), written)))


def _into(out: Any, display: Display) -> Callable[[Event], None]:
    """A listener that writes what is spoken, as a WAV, and shows all else."""
    from genarium.artefacts import waves

    begun = False

    def listen(event: Event) -> None:
        nonlocal begun
        if event.stage == "speaking":
            if not begun:
                out.write(waves.wav_head(event.preview.rate))
                begun = True
            out.write(waves.pcm16(event.preview.samples))
            out.flush()
        else:
            display(event)

    return listen

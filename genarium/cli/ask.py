"""`ask` in a terminal: one question after another, each of which may refer to those before it."""

from __future__ import annotations

import sys
from typing import Any

import click

from genarium.cli.common import aside
from genarium.cli.options import given
from genarium.cli.tasks import run_task, task_command
from genarium.cli.terminal import next_line
from genarium.errors import BadInput, GenariumError
from genarium.tasks.task import Task

HELP = "/quit or Ctrl-D ends, /new forgets what was asked before"
REMEMBERED = 8
"""Questions that the next one may refer to."""


def ask_command(task: Task) -> click.Command:
    """The task's command, which without a question asks for one after another."""
    command = task_command(task)

    def callback(output: str | None, as_json: bool, no_keep: bool, **values: Any) -> None:
        arguments = given(task.parameters, values)
        if "question" in arguments:
            run_task(task, arguments, output=output, as_json=as_json, keep=not no_keep)
        elif output or as_json:
            raise BadInput("a conversation is shown as it goes; give a question with --json or -o")
        elif not sys.stdin.isatty():
            raise BadInput(
                "ask needs a question: give one, - to read it from standard input, or run it in a terminal for several"
            )
        else:
            converse(task, arguments, keep=not no_keep)

    command.callback = callback
    return command


def converse(task: Task, arguments: dict[str, Any], *, keep: bool) -> None:
    """Answer questions until the end of input or /quit. What goes wrong with one ends only that."""
    from genarium.run import prepare

    prepare(task.name, "What is this about?", **arguments)  # a mistake in the options is better told before than after
    aside(HELP)
    history: list[str] = list(arguments.get("history") or [])
    while (line := next_line()) is not None:
        question = line.strip()
        if question == "/quit":
            break
        if question == "/new":
            history = []
        elif question.startswith("/"):
            aside(f"no command {question.split()[0]}: {HELP}")
        elif question:
            try:
                run_task(
                    task, arguments | {"question": question, "history": history}, output=None, as_json=False, keep=keep
                )
            except GenariumError as error:
                aside(f"genarium: {error}")
            except KeyboardInterrupt:
                aside("stopped here")
            history = [*history, question][-REMEMBERED:]

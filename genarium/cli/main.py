"""`genarium`: one command a task, and the commands around them. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from functools import cache
from importlib import import_module
from typing import Any, NoReturn

import click

from genarium import plugins
from genarium.cli.common import aside
from genarium.cli.groups import Group, unknown, with_common
from genarium.cli.terminal import sentence
from genarium.errors import BadInput, GenariumError
from genarium.extras import naming_extra
from genarium.files import reason

# Commands that are no tasks, in the order of the help: where each is defined.
PLACES = {
    "history": "history",
    "show": "history",
    "reproduce": "history",
    "rate": "history",
    "edit": "history",
    "index": "index",
    "models": "models",
    "train": "train",
    "finetune": "finetune",
    "align": "align",
    "serve": "serve",
    "doctor": "doctor",
    "completion": "completion",
}


class Commands(Group):
    """The group's commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from genarium.tasks import tasks

        return [*tasks(), *PLACES, *_brought()]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in PLACES:
            return with_common(_ours(name))
        if name in _brought():
            return with_common(_brought()[name])
        if name not in plugins.tasks():
            return None
        from genarium.tasks import tasks

        if plugins.tasks()[name].package and name not in tasks():  # left out
            return None
        return with_common(_task(name))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        finally:
            _tell_left_out()

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help(ctx, formatter)
        _tell_left_out()


@cache
def _ours(name: str) -> click.Command:
    command: click.Command = getattr(import_module(f"genarium.cli.{PLACES[name]}"), name)
    return command


@cache
def _task(name: str) -> click.Command:
    from genarium.tasks import find

    if name == "chat":
        from genarium.cli.chat import chat_command

        return chat_command(find(name))
    if name == "ask":
        from genarium.cli.ask import ask_command

        return ask_command(find(name))
    if name == "speak":
        from genarium.cli.speak import speak_command

        return speak_command(find(name))
    if name == "video":
        from genarium.cli.video import video_command

        return video_command(find(name))
    from genarium.cli.tasks import task_command

    return task_command(find(name))


@cache
def _brought() -> dict[str, click.Command]:
    """Commands of other packages, by the entry point group `genarium.commands`."""
    found = plugins.brought("genarium.commands", taken={*plugins.tasks(), *plugins.COMMANDS})
    loaded = {name: plugins.load(plugin, click.Command) for name, plugin in found.items()}
    return {name: command for name, command in loaded.items() if command is not None}


def _tell_left_out() -> None:
    """At the end, when it is known how much is to be said, and which plug-ins were asked for."""
    for told in plugins.left_out():
        aside(sentence(f"note: {told}"))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "GENARIUM"},
)
@click.version_option(package_name="genarium", prog_name="genarium", allow_from_autoenv=False)
@click.pass_context
def genarium(ctx: click.Context) -> None:
    """Generative AI on machines you own.

    Works offline at once on small starter models; --model runs a folder, a hub checkpoint or an endpoint.
    """
    from genarium.cli import defaults

    given = defaults.read()
    for name, table in given.items():
        command = genarium.get_command(ctx, name)
        if command is None:
            raise BadInput(f"{defaults.place()}: {unknown('command', name, genarium.list_commands(ctx))}")
        if name == ctx.invoked_subcommand:  # of the others, what is wrong is told when they are asked for
            defaults.check(command, ctx, table, name)
    ctx.default_map = given


plugins.log.addHandler(logging.NullHandler())  # told at the end of a command


def main() -> None:
    """The entry point: a person's mistake becomes one plain sentence and a non-zero exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that is not of its encoding is shown, and no error
            stream.reconfigure(errors="backslashreplace")
    try:
        with naming_extra("this command"):
            code = genarium.main(prog_name="genarium", standalone_mode=False)
        sys.stdout.flush()  # here, where what goes wrong with it can be said
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        sys.exit(2)
    except click.ClickException as error:
        _fail(sentence(error.format_message()), 2)
    except GenariumError as error:
        _fail(sentence(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _fail("stopped; what was finished is kept, nothing is half-written", 130)
    except BrokenPipeError:
        # The reader of our output went away: not an error, and nothing more can be said.
        _forget_output()
        sys.exit(141)
    except RecursionError:
        _fail("something that was given is nested too deeply; flatten it", 2)
    except OSError as error:
        _forget_output()
        of = f" {error.filename}" if error.filename else " the output"
        _fail(f"can't read or write{of}: {reason(error)}", 1)
    except MemoryError:
        _fail("out of memory; use a smaller model, or ask for fewer or shorter results", 1)


def _fail(told: str, code: int) -> NoReturn:
    with contextlib.suppress(OSError):
        click.echo(f"genarium: {told}", err=True)
    sys.exit(code)


def _forget_output() -> None:
    """What is still to be written goes nowhere, so that the interpreter's end doesn't trip over it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()

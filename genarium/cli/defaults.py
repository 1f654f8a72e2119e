"""Defaults for options: from `config.toml` in the data folder, and from the environment.

    model = "./my-model"        # for text and chat, as GENARIUM_MODEL
    [text]
    max_new_tokens = 200        # as GENARIUM_TEXT_MAX_NEW_TOKENS
    [train.gpt]
    preset = "tiny"

What is given on the command line comes first, then GENARIUM_COMMAND_OPTION, then GENARIUM_MODEL, then the file. The
recipe holds what was used, wherever it came from. Python, the server and the studio read none of these.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import click

from genarium import files
from genarium.cli.groups import unknown
from genarium.errors import BadInput

WRITERS = ("text", "chat")
"""The commands that GENARIUM_MODEL, and `model` at the top of the file, are for: one model can't do every task."""


def place() -> Path:
    """Where the file is looked for: GENARIUM_CONFIG, else `config.toml` in the data folder."""
    named = os.environ.get("GENARIUM_CONFIG")
    return Path(named).expanduser() if named else files.home() / "config.toml"


def read() -> dict[str, Any]:
    """The defaults as click takes them: a table a command. Raises BadInput where the file can't be read."""
    file, given = place(), {}
    try:
        given = tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if os.environ.get("GENARIUM_CONFIG"):
            raise BadInput(f"GENARIUM_CONFIG names {file}, which is not there") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} can't be read as TOML ({error}); mend it or put it elsewhere") from None
    tables = {name: value for name, value in given.items() if isinstance(value, dict)}
    for name, value in given.items():
        if name not in tables and (name != "model" or not isinstance(value, str)):
            raise BadInput(f"{file}: {name} = {value!r} stands under no command; put it under [text], say")
    for name in WRITERS:
        if model := os.environ.get("GENARIUM_MODEL"):
            tables[name] = tables.get(name, {}) | {"model": model}
        elif "model" in given:
            tables[name] = {"model": given["model"]} | tables.get(name, {})
    return tables


def check(command: click.Command, ctx: click.Context, table: dict[str, Any], names: str) -> None:
    """Raises BadInput, naming the file and the place in it, where a default is of no option or of another type."""
    if isinstance(command, click.Group):
        for name, inner in table.items():
            found = command.get_command(ctx, name) if isinstance(inner, dict) else None
            if found is None:
                raise BadInput(f"{place()}: [{names}] {unknown('command', name, command.list_commands(ctx))}")
            check(found, ctx, inner, f"{names}.{name}")
        return
    options = {p.name: p for p in command.params if isinstance(p, click.Option) and p.name}
    for name, value in table.items():
        if name not in options:
            raise BadInput(f"{place()}: [{names}] {unknown('option', name, sorted(options))}")
        try:
            options[name].type_cast_value(ctx, value)
        except (click.BadParameter, TypeError) as error:
            told = error.message if isinstance(error, click.BadParameter) else str(error)
            raise BadInput(f"{place()}: [{names}] {name} = {value!r}: {told}") from None

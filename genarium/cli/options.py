"""Signature parameters as click options and arguments."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from genarium.cli.completion import models
from genarium.errors import BadInput
from genarium.files import shortened
from genarium.signature import Parameter


class JsonObject(click.ParamType[Any]):
    """An object with named fields, written as JSON."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            self.fail(f"{shortened(value)!r} is not JSON ({error})", param, ctx)


class Whole(click.types.StringParamType):
    """Text of which several may be given; from the environment it is one, whatever spaces are in it."""

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return [rv]


class OneOrMore(click.Option):
    """An option that may be repeated, and by a default of the user's be one text."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        return super().type_cast_value(ctx, (value,) if isinstance(value, str) else value)


LARGEST_INPUT = 64 * 2**20
"""Bytes that are read from standard input."""
TYPES: dict[type, click.ParamType[Any]] = {
    str: click.STRING,
    int: click.INT,
    float: click.FLOAT,
    Path: click.Path(),
    dict: JsonObject(),
}


def click_parameters(parameters: Sequence[Parameter]) -> list[click.Parameter]:
    """One option a parameter; those that may be given unnamed become arguments. Ranges are checked by `bind`.

    The last argument takes all the words that are left (`genarium text Once upon a time`), those before it one each.
    """
    unnamed = [p for p in parameters if p.positional]
    return [_argument(p, last=p is unnamed[-1]) if p.positional else _option(p) for p in parameters]


def _argument(parameter: Parameter, *, last: bool) -> click.Parameter:
    metavar = parameter.name.upper() + ("..." if parameter.repeated else "")
    metavar = metavar if parameter.required else f"[{metavar}]"
    return click.Argument([parameter.name], nargs=-1 if last else 1, required=False, metavar=metavar)


def _option(parameter: Parameter) -> click.Parameter:
    name = parameter.name.removesuffix("_")  # lambda_ is lambda where Python has no other use for the word
    flag = "-" + name if len(name) == 1 else "--" + name.replace("_", "-")
    shown = parameter.default not in (None, False) and not parameter.required
    help_text = parameter.help + (f" [default: {parameter.default}]" if shown else "")
    if parameter.required:
        help_text += " [required]"
    if parameter.type is bool:
        both = f"{flag}/--no-{flag[2:]}" if parameter.optional and len(flag) > 2 else flag
        return click.Option([both, parameter.name], is_flag=True, default=None, help=help_text)
    kind: click.ParamType[Any] = click.Choice(parameter.choices) if parameter.choices else TYPES[parameter.type]
    return (OneOrMore if parameter.or_one else click.Option)(
        [flag, parameter.name],
        type=Whole() if parameter.or_one else kind,
        multiple=parameter.repeated,
        default=None,
        help=help_text,
        shell_complete=models if parameter.name == "model" else None,
    )


def given(parameters: Sequence[Parameter], values: dict[str, Any]) -> dict[str, Any]:
    """What was given on the command line, by name: words of an argument joined, `-` read from standard input.

    A repeatable argument keeps its words apart; from standard input it takes one item a line. An option that needs
    text reads it from there too.
    """
    found: dict[str, Any] = {}
    for parameter in parameters:
        value = values.get(parameter.name)
        if value is None or (value == () and not parameter.positional):
            continue
        if parameter.positional:
            if value == ():
                continue
            words = (value,) if isinstance(value, str) else value
            piped = words == ("-",) and not parameter.verbatim
            if len(words) == 1 and any(other.name == "file" for other in parameters):
                refuse_file(words[0])
            if parameter.repeated:
                value = lines_of_standard_input() if piped else list(words)
            else:
                value = read_standard_input() if piped else " ".join(words)
        elif parameter.repeated:
            value = list(value)
        elif value == "-" and parameter.needs_content:
            value = read_standard_input()
        found[parameter.name] = value
    return found


def refuse_file(word: str) -> None:
    """Raises BadInput where what stands for a text is the name of a file: its name is hardly what was meant."""
    try:
        there = word != "-" and Path(word).is_file()
    except (OSError, ValueError):  # longer than any name, or with a zero in it
        there = False
    if there:
        raise BadInput(f"{word} is the name of a file; to have it read: --file {shlex.quote(word)}")


def lines_of_standard_input() -> list[str]:
    """One item a line, as in a file of plain lines: empty ones are left out."""
    return [line.removesuffix("\r") for line in read_standard_input().split("\n") if line.strip()]


def read_standard_input() -> str:
    """All of it, without the line end a pipe adds. Raises BadInput where it is not UTF-8."""
    content = sys.stdin.buffer.read(LARGEST_INPUT + 1)
    if len(content) > LARGEST_INPUT:
        raise BadInput(f"standard input is larger than {LARGEST_INPUT // 2**20} MiB, the most that is read; give less")
    try:
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise BadInput("standard input is not UTF-8 text; convert it first (iconv -t UTF-8)") from None

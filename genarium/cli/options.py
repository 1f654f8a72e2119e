"""Signature parameters as click options and arguments."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from genarium.errors import BadInput
from genarium.signature import Parameter

TYPES: dict[type, click.ParamType[Any]] = {str: click.STRING, int: click.INT, float: click.FLOAT}


def click_parameters(parameters: Sequence[Parameter]) -> list[click.Parameter]:
    """One option a parameter; those that may be given unnamed become arguments. Ranges are checked by `bind`."""
    return [_argument(p) if p.positional else _option(p) for p in parameters]


def _argument(parameter: Parameter) -> click.Parameter:
    return click.Argument([parameter.name], nargs=-1, metavar=parameter.name.upper())


def _option(parameter: Parameter) -> click.Parameter:
    flag = "-" + parameter.name if len(parameter.name) == 1 else "--" + parameter.name.replace("_", "-")
    shown = parameter.default not in (None, False) and not parameter.required
    help_text = parameter.help + (f" [default: {parameter.default}]" if shown else "")
    if parameter.required:
        help_text += " [required]"
    if parameter.type is bool:
        return click.Option([flag, parameter.name], is_flag=True, default=None, help=help_text)
    kind: click.ParamType[Any] = click.Choice(parameter.choices) if parameter.choices else TYPES[parameter.type]
    return click.Option([flag, parameter.name], type=kind, multiple=parameter.repeated, default=None, help=help_text)


def given(parameters: Sequence[Parameter], values: dict[str, Any]) -> dict[str, Any]:
    """What was given on the command line, by name: words of an argument joined, `-` read from standard input."""
    found: dict[str, Any] = {}
    for parameter in parameters:
        value = values.get(parameter.name)
        if value is None or (value == () and not parameter.positional):
            continue
        if parameter.positional:
            if value == ():
                continue
            value = read_standard_input() if value == ("-",) else " ".join(value)
        elif parameter.repeated:
            value = list(value)
        found[parameter.name] = value
    return found


def read_standard_input() -> str:
    """All of it, without the line end a pipe adds. Raises BadInput where it is not UTF-8."""
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise BadInput("standard input is not UTF-8 text; convert it first (iconv -t UTF-8)") from None

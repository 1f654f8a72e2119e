"""What may be sent to a terminal: text, and no sequences that command it; and what is typed there."""

from __future__ import annotations

import re
import sys

import click

# C0 and C1 but the line feed and the tabulator, the separators of lines and paragraphs, what turns the direction of
# writing around (so that a name reads as another), and halves of surrogate pairs.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    """The text with its control characters shown as Python writes them (`\\x1b`)."""
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], str(text))


def sentence(text: object) -> str:
    """A message on one line: whatever it quotes can't begin another."""
    return printable(" ".join(str(text).splitlines()))


def echo_result(text: object, *, nl: bool = True) -> None:
    """A result on standard output: as it is into a file or a pipe, without commands to a terminal."""
    # With color, click leaves out nothing of it.
    click.echo(printable(text) if sys.stdout.isatty() else str(text), nl=nl, color=True)


def next_line() -> str | None:
    """The next line that a person types; None at the end of input. Ctrl-C gives the line up."""
    prompt = "> "
    if not sys.stdout.isatty():  # a prompt is no part of what is piped on
        click.echo(prompt, nl=False, err=True)
        prompt = ""
    try:
        return input(prompt)
    except EOFError:
        click.echo(err=True)
        return None
    except KeyboardInterrupt:
        click.echo(err=True)
        return ""
    except UnicodeDecodeError:
        click.echo("that line is not UTF-8 text", err=True)
        return ""

"""`completion`: the shell completes commands, options, starters and ids."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from genarium.cli.groups import Group
from genarium.errors import BadInput
from genarium.files import write_atomically

VARIABLE = "_GENARIUM_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
shell_option = click.option(
    "--shell", type=click.Choice(SHELLS), help="which shell [default: the one that SHELL names]"
)


@click.group(cls=Group)
def completion() -> None:
    """Let the shell complete commands, options, models and ids."""


@completion.command()
@shell_option
def show(shell: str | None) -> None:
    """Print the script, to put it where you like."""
    click.echo(_script(_shell(shell)), nl=False)


@completion.command()
@shell_option
def install(shell: str | None) -> None:
    """Put the script where the shell looks for it."""
    name = _shell(shell)
    file = _place(name)
    write_atomically(file, _script(name).encode())
    click.echo(file)
    if name == "zsh":
        click.echo(f"put this into ~/.zshrc, before compinit: fpath=({file.parent} $fpath)", err=True)
    click.echo("new shells complete genarium", err=True)


def _shell(named: str | None) -> str:
    shell = named or Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise BadInput(f"SHELL names {shell or 'nothing'}, which is not known here; choose --shell bash, zsh or fish")
    return shell


def _script(shell: str) -> str:
    from genarium.cli.main import genarium

    found = get_completion_class(shell)
    assert found is not None
    # Not `found(…).source()`: that of bash starts bash, to look at its version.
    complete = found(genarium, {}, "genarium", VARIABLE)
    return complete.source_template % complete.source_vars() + "\n"


def _place(shell: str) -> Path:
    """Where each shell loads completions from by itself; zsh needs to be told the folder."""
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return {
        "bash": data / "bash-completion" / "completions" / "genarium",
        "zsh": home / ".zfunc" / "_genarium",
        "fish": config / "fish" / "completions" / "genarium.fish",
    }[shell]


def models(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The starters, and folders."""
    from genarium.checkpoints.store.catalogue import starters

    names = [f"starter/{name}" for name in starters()]
    items = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [*items, CompletionItem(incomplete, type="dir")] if not items or not incomplete else items


def identifiers(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest artefacts' ids, with what they are."""
    from genarium.ledger import Ledger

    with Ledger() as ledger:
        entries = ledger.history(50)
    found = [CompletionItem(entry.id, help=entry.title[:60]) for entry in entries if entry.id.startswith(incomplete)]
    return [*([CompletionItem("last", help="the newest")] if "last".startswith(incomplete) else []), *found]

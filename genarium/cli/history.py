"""What was made: `history`, `history export`, `history delete`, `show`, `reproduce`, `rate`, `edit`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from genarium.cli.common import aside, json_option
from genarium.cli.completion import identifiers
from genarium.cli.display import Display
from genarium.cli.groups import Group
from genarium.cli.terminal import echo_result, printable

if TYPE_CHECKING:
    from genarium.ledger import Entry
    from genarium.recipe import Recipe


@click.group(cls=Group, invoke_without_command=True)
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="how many, newest first")
@click.option("--task", help="only what this task made")
@click.option("--search", help="only what has this in its text")
@json_option
@click.pass_context
def history(ctx: click.Context, limit: int, task: str | None, search: str | None, as_json: bool) -> None:
    """List what was made, newest first; export its ratings, or delete."""
    from genarium.ledger import Ledger

    if ctx.invoked_subcommand is not None:
        return
    with Ledger() as ledger:
        entries = ledger.history(limit, task=task, search=search)
    if as_json:
        listed = [entry.as_dict() | {"file_state": entry.state} for entry in entries]
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    if not entries:
        click.echo('nothing was made yet; try genarium text "Once upon a time"', err=True)
        return
    width = max(20, _terminal_width() - 62)
    for entry in entries:
        model = entry.recipe.model.reference if entry.recipe.model else ""
        ratings = ",".join(str(rating) for rating in entry.ratings) or "-"
        when = entry.created[:16].replace("T", " ")
        about = f"{entry.recipe.task:<9} {_shorten(model, 14):<14} {ratings:<5} {_shorten(entry.title, width)}"
        state = entry.state
        click.echo(printable(f"{entry.id}  {when}  {about}") + ("" if state == "whole" else f"  (file {state})"))


@history.command()
@click.option("--preferences", is_flag=True, help="pairs of a chosen and a rejected text, as JSON Lines")
@click.option("--examples", is_flag=True, help="edited texts, and those that were rated good, as JSON Lines")
@click.option("--task", type=click.Choice(["text", "chat"]), help="of which task [default: the one that has some]")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="a file to write to [default: standard output]")
def export(preferences: bool, examples: bool, task: str | None, output: str | None) -> None:
    """Write ratings and edits as training data.

    A preference has a prompt, the chosen and the rejected answer, as preference training reads them; an example is a
    whole conversation, or a prompt and how it continues, as fine-tuning reads them.
    """
    from genarium import files
    from genarium.cli.learning import Kind, rows_of
    from genarium.errors import BadInput
    from genarium.rows import line

    if preferences == examples:
        raise BadInput("say what to export: genarium history export --preferences, or --examples")
    kind: Kind = "pairs" if preferences else "examples"
    name, rows = rows_of(kind, task)
    written = b"".join(map(line, rows))
    if output is None:
        click.echo(written.decode(), nl=False)
    else:
        files.write_output(files.named(output), written)
        aside(f"{len(rows)} {kind} of {name} are in {output}")


@history.command()
@click.argument("identifiers", metavar="ID...|last", nargs=-1, required=True, shell_complete=identifiers)
@click.option("-y", "--yes", is_flag=True, allow_from_autoenv=False, help="don't ask first")
@json_option
def delete(identifiers: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Delete artefacts, with their files, ratings and edits."""
    import sys

    from genarium.errors import BadInput
    from genarium.ledger import Ledger

    with Ledger() as ledger:
        entries = {entry.id: entry for entry in map(ledger.find, identifiers)}.values()
        if not yes and not sys.stdin.isatty():
            raise BadInput(f"deleting {len(entries)} can't be undone; say so with --yes")
        for entry in entries if not yes else ():
            click.echo(printable(f"{entry.id}  {entry.recipe.task:<9} {_shorten(entry.title, 60)}"), err=True)
        if not yes:
            click.confirm(f"delete {'it' if len(entries) == 1 else f'these {len(entries)}'} for good?", abort=True)
        for entry in entries:
            ledger.delete(entry.id)
    if as_json:
        click.echo(json.dumps({"deleted": [entry.id for entry in entries]}))
    else:
        aside("\n".join(f"deleted {entry.id}" for entry in entries))


@click.command()
@click.argument("identifier", metavar="ID|last", shell_complete=identifiers)
@json_option
def show(identifier: str, as_json: bool) -> None:
    """Show an artefact with its recipe. The beginning of its id is enough; `last` is the newest."""
    from genarium.cli import chat
    from genarium.ledger import Ledger
    from genarium.messages import transcript

    with Ledger() as ledger:
        entry = ledger.find(identifier)
    if as_json:
        click.echo(json.dumps(entry.as_dict() | {"file_state": entry.state}, indent=2, ensure_ascii=False))
        return
    described = _described(entry)
    width = max(len(name) for name, _ in described) + 1
    for name, value in described:
        first, *more = str(value).splitlines() or [""]
        click.echo(printable(f"{name + ':':<{width}} {first}".rstrip()))
        for line in more:
            click.echo(printable(f"{'':<{width}} {line}".rstrip()))
    if entry.kind == "chat":
        click.echo()
        echo_result(transcript(chat.said(entry, edited=False)))
    elif entry.kind in ("text", "records", "summary", "answer"):
        click.echo()
        echo_result(_read(entry))


@click.command()
@click.argument("identifier", metavar="ID|last", shell_complete=identifiers)
@json_option
@click.pass_context
def reproduce(ctx: click.Context, identifier: str, as_json: bool) -> int:
    """Make an artefact again and compare the bytes.

    Exit code 1 where they are not equal.
    """
    from genarium.ledger import Ledger
    from genarium.run import reproduce as run_again

    with Ledger() as ledger, Display() as display:
        outcome = run_again(identifier, ledger=ledger, listener=display)
    entry = outcome.entry
    made = [artefact.id for artefact in outcome.result if artefact.item == entry.item]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "id": entry.id,
                    "equal": outcome.equal,
                    "sha256": entry.sha256,
                    "made_instead": made if not outcome.equal else [],
                    "file_was": outcome.found,
                    "changed_file": str(outcome.kept) if outcome.kept else None,
                }
            )
        )
    elif outcome.equal:
        click.echo(f"{entry.id}: equal, byte for byte (sha256 {entry.sha256[:16]}…)")
        if outcome.found != "whole":
            beside = f"; the changed one is {outcome.kept}" if outcome.kept else ""
            aside(f"its file was {outcome.found} and is written again: {entry.path}{beside}")
    else:
        click.echo(f"{entry.id}: different; what came this time is kept as {', '.join(made)}")
    return 0 if outcome.equal else 1


@click.command()
@click.argument("identifier", metavar="ID|last", shell_complete=identifiers)
@click.argument("verdict", metavar="up|down|1-5|better")
@click.option("--than", "other", metavar="ID", help="the artefact that this one is better than")
@click.option("--note", default="", help="why")
@json_option
def rate(identifier: str, verdict: str, other: str | None, note: str, as_json: bool) -> None:
    """Rate an artefact: up, down, 1 to 5, or better than another."""
    from genarium.errors import BadInput
    from genarium.ledger import Ledger

    if (verdict == "better") != (other is not None):
        raise BadInput("which is better than which? genarium rate ID better --than OTHER")
    with Ledger() as ledger:
        rating = ledger.rate(identifier, verdict, note) if other is None else ledger.prefer(identifier, other, note)
        entry = ledger.find(identifier)
    if as_json:
        click.echo(json.dumps({"id": entry.id, **vars(rating)}))
    else:
        click.echo(f"{entry.id} rated {rating}{printable(f' ({note})') if note else ''}")


@click.command()
@click.argument("identifier", metavar="ID|last", shell_complete=identifiers)
@click.argument("text", required=False)
@click.option("--note", default="", help="why")
@json_option
def edit(identifier: str, text: str | None, note: str, as_json: bool) -> None:
    """Say how a text or a reply should have been.

    TEXT is kept beside it, - reads it from standard input, and without it your editor opens. What was made stays as it
    is; training learns from both (genarium align sft, and dpo).
    """
    from genarium.cli.options import read_standard_input
    from genarium.ledger import Ledger

    with Ledger() as ledger:
        entry = ledger.find(identifier)
        if text is None:
            text = _in_editor(entry)
        made = ledger.edit(entry.id, read_standard_input() if text == "-" else text, note)
    if as_json:
        click.echo(json.dumps({"id": entry.id, **vars(made)}, ensure_ascii=False))
    else:
        click.echo(f"{entry.id} edited{printable(f' ({note})') if note else ''}")


def _in_editor(entry: Entry) -> str:
    """What a person makes of its text, or of their last edit, in their editor. Raises BadInput."""
    import sys

    from genarium.errors import BadInput
    from genarium.ledger.ledger import EDITED

    if entry.recipe.task not in EDITED:
        return ""  # which the ledger refuses, and says why
    if not sys.stdin.isatty():
        raise BadInput(f"how should it have been? genarium edit {entry.id} TEXT, or - to read it from standard input")
    before = entry.text
    after = click.edit(before)
    if after is None:  # closed without saving
        raise BadInput("nothing was saved in the editor, so nothing is edited")
    return after.removesuffix("\n") if not before.endswith("\n") else after  # editors end the last line


def _described(entry: Entry) -> list[tuple[str, Any]]:
    recipe = entry.recipe
    model = f"{recipe.model.reference} (sha256 {recipe.model.digest[:16] or 'unknown'}…)" if recipe.model else "none"
    # What the recipe says already, and what is shown below.
    facts = {k: v for k, v in entry.facts.items() if k not in ("text", "citations") and recipe.arguments.get(k) is None}
    return [
        ("id", entry.id),
        ("made", f"{entry.created} by {recipe.task}, item {entry.item + 1}, by a model (AI-generated)"),
        ("model", model),
        ("seed", recipe.seed),
        *_arguments(recipe),
        ("facts", ", ".join(f"{k}={v}" for k, v in facts.items())),
        *[("note", note) for note in entry.notes],
        *[("rating", f"{rating}{' ' + rating.note if rating.note else ''}") for rating in entry.ratings],
        *[("edit", f"{edit.text}{f' ({edit.note})' if edit.note else ''}") for edit in entry.edits],
        ("recipe", f"sha256 {recipe.digest}"),
        ("file", f"{entry.path}{OF_STATE[entry.state].format(id=entry.id)}"),
    ]


OF_STATE = {
    "whole": "",
    "missing": " is missing; genarium reproduce {id} makes it again",
    "changed": " was changed since it was made; genarium reproduce {id} makes it again and keeps this one beside it",
    "unreadable": " can't be read; check who may read it",
}


def _arguments(recipe: Recipe) -> list[tuple[str, Any]]:
    """Every argument in the order in which the task takes them; those that were left open share a line at the end."""
    from genarium import tasks
    from genarium.errors import BadInput

    given = recipe.arguments
    try:
        order = [parameter.name for parameter in tasks.find(recipe.task).parameters]
    except BadInput:  # of a package that is gone
        order = []
    named = [*(name for name in order if name in given), *(name for name in given if name not in order)]
    said = [(name, given[name]) for name in named if given[name] is not None]
    left_open = ", ".join(name for name in named if given[name] is None)
    shown = [(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for name, value in said]
    told = [*shown, *([("left open", left_open)] if left_open else [])]
    return [("arguments", ""), *((f"  {name}", value) for name, value in told)]


def _read(entry: Entry) -> str:
    from genarium.errors import StorageError
    from genarium.files import reason

    try:
        return entry.path.read_text("utf-8")
    except OSError as error:
        raise StorageError(
            f"{entry.path} can't be read: {reason(error)}; genarium reproduce {entry.id} makes it again"
        ) from None


def _terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size((120, 24)).columns


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"

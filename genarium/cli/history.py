"""What was made: `history`, `show`, `reproduce`, `rate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from genarium.cli.display import Display

if TYPE_CHECKING:
    from genarium.ledger import Entry

json_option = click.option("--json", "as_json", is_flag=True, help="print JSON")


@click.command()
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="how many, newest first")
@click.option("--task", help="only what this task made")
@click.option("--search", help="only what has this in its text")
@json_option
def history(limit: int, task: str | None, search: str | None, as_json: bool) -> None:
    """List what was made, newest first."""
    from genarium.ledger import Ledger

    with Ledger() as ledger:
        entries = ledger.history(limit, task=task, search=search)
    if as_json:
        click.echo(json.dumps([entry.as_dict() for entry in entries], indent=2, ensure_ascii=False))
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
        click.echo(f"{entry.id}  {when}  {about}")


@click.command()
@click.argument("identifier", metavar="ID|last")
@json_option
def show(identifier: str, as_json: bool) -> None:
    """Show an artefact with its recipe. The beginning of its id is enough; `last` is the newest."""
    from genarium.cli import chat
    from genarium.ledger import Ledger
    from genarium.messages import transcript

    with Ledger() as ledger:
        entry = ledger.find(identifier)
    if as_json:
        click.echo(json.dumps(entry.as_dict(), indent=2, ensure_ascii=False))
        return
    for name, value in _described(entry):
        click.echo(f"{name + ':':<12} {value}")
    if entry.kind == "chat":
        click.echo()
        click.echo(transcript(chat.said(entry)))
    elif entry.kind in ("text", "records", "summary", "answer"):
        click.echo()
        click.echo(_read(entry))


@click.command()
@click.argument("identifier", metavar="ID|last")
@json_option
@click.pass_context
def reproduce(ctx: click.Context, identifier: str, as_json: bool) -> int:
    """Run an artefact's recipe again and say whether the bytes are equal. Exit code 1 where they are not."""
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
                }
            )
        )
    elif outcome.equal:
        click.echo(f"{entry.id}: equal, byte for byte (sha256 {entry.sha256[:16]}…)")
    else:
        click.echo(f"{entry.id}: different; what came this time is kept as {', '.join(made)}")
    return 0 if outcome.equal else 1


@click.command()
@click.argument("identifier", metavar="ID|last")
@click.argument("verdict", metavar="up|down|1-5")
@click.option("--note", default="", help="why")
@json_option
def rate(identifier: str, verdict: str, note: str, as_json: bool) -> None:
    """Rate an artefact: thumb up or down, or 1 to 5 stars."""
    from genarium.ledger import Ledger

    with Ledger() as ledger:
        rating = ledger.rate(identifier, verdict, note)
        entry = ledger.find(identifier)
    if as_json:
        click.echo(json.dumps({"id": entry.id, **vars(rating)}))
    else:
        click.echo(f"{entry.id} rated {rating}{f' ({note})' if note else ''}")


def _described(entry: Entry) -> list[tuple[str, Any]]:
    recipe = entry.recipe
    model = f"{recipe.model.reference} (sha256 {recipe.model.digest[:16] or 'unknown'}…)" if recipe.model else "none"
    shown_below = ("prompt", "message", "messages", "text")
    arguments = {k: v for k, v in recipe.arguments.items() if k not in shown_below and v is not None}
    facts = {k: v for k, v in entry.facts.items() if k not in ("prompt", "text", "citations")}
    return [
        ("id", entry.id),
        ("made", f"{entry.created} by {recipe.task}, item {entry.item + 1}, by a model (AI-generated)"),
        ("model", model),
        ("seed", recipe.seed),
        ("arguments", ", ".join(f"{k}={v}" for k, v in arguments.items())),
        ("facts", ", ".join(f"{k}={v}" for k, v in facts.items())),
        *[("note", note) for note in entry.notes],
        *[("rating", f"{rating}{' ' + rating.note if rating.note else ''}") for rating in entry.ratings],
        ("recipe", f"sha256 {recipe.digest}"),
        ("file", entry.path),
    ]


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

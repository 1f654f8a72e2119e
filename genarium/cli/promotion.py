"""`models promote`, `demote` and `versions`: which model `chat` and `text` use, and what was made of what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from genarium.cli.common import json_option
from genarium.cli.completion import models as complete_models
from genarium.cli.terminal import printable

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.checkpoints.store.versions import Version

task_argument = click.argument("task", required=False, type=click.Choice(["chat", "text"]))


@click.command()
@click.argument("reference", metavar="MODEL", shell_complete=complete_models)
@task_argument
@json_option
def promote(reference: str, task: str | None, as_json: bool) -> None:
    """Make a model what chat, or text, uses where none is named.

    Without a task it is chat where the model was taught to talk, else text. The command line, Python, the server and
    the studio take it from then on; recipes that were recorded before name their model, and make the same again.
    """
    from genarium.checkpoints.store import promoted
    from genarium.checkpoints.store.find import find

    found = find(reference, default=task or "chat")
    task = _task_of(found, task)
    before = promoted.in_use(task)
    made = promoted.promote(task, found)
    instead = before.reference if before else f"starter/{task}"
    if as_json:
        click.echo(json.dumps({"task": task, **vars(made), "instead_of": instead}, indent=2))
    else:
        click.echo(printable(f"{task} uses {made.reference} now, instead of {instead}"))


@click.command()
@task_argument
@json_option
def demote(task: str | None, as_json: bool) -> None:
    """Take back the last promotion for chat or text.

    It uses again what it used before.
    """
    from genarium.checkpoints.store import promoted
    from genarium.errors import BadInput

    if task is None:
        having = list(promoted.all_in_use())
        if len(having) != 1:
            raise BadInput(
                "models were promoted for chat and for text; say which: genarium models demote chat, or text"
                if having
                else "nothing was promoted; chat and text use their starters"
            )
        [task] = having
    taken, now = promoted.demote(task)
    reference = now.reference if now else f"starter/{task}"
    if as_json:
        click.echo(json.dumps({"task": task, "reference": reference, "demoted": vars(taken)}, indent=2))
    else:
        click.echo(printable(f"{task} uses {reference} again, instead of {taken.reference}"))


@click.command()
@json_option
def versions(as_json: bool) -> None:
    """List the models that were aligned here, oldest first.

    Each with what it came from and what it learned from.
    """
    from genarium.checkpoints.store import promoted
    from genarium.checkpoints.store import versions as store

    found, in_use = store.listed(), promoted.all_in_use()
    tasks = {version.name: promoted.tasks_of(version.reference, version.digest, in_use) for version in found}
    if as_json:
        told = [vars(version) | {"is_here": version.is_here, "promoted_for": tasks[version.name]} for version in found]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo("no model was aligned here yet; see genarium align --help", err=True)
    for version in found:
        used = "".join(f", what {task} uses" for task in tasks[version.name])
        gone = "" if version.is_here else " (its folder is gone)"
        click.echo(
            printable(f"{version.name}{used}\n    {version.created[:16].replace('T', ' ')}  {described(version)}")
        )
        click.echo(printable(f"    {version.reference}{gone}"))


def described(version: Version) -> str:
    """In a line: how it was aligned, over what, and from what."""
    learned = version.learned_from
    parents = " and ".join(str(parent.get("reference")) for parent in version.parents)
    what = f"{learned.get('count')} {learned.get('kind')}"
    return f"{version.method} over {parents}, from {what} of {learned.get('name')}"


def rows() -> list[dict[str, Any]]:
    """What `models list` has of versions, and of what was promoted besides."""
    from genarium.checkpoints.store import promoted, versions

    found: dict[str, dict[str, Any]] = {
        version.reference: _row(
            version.reference, ["rank"] if version.method == "reward" else ["text"], described(version)
        )
        for version in versions.listed()
        if version.is_here
    }
    for task, one in promoted.all_in_use().items():
        row = found.setdefault(one.reference, _row(one.reference, [task], ""))
        row["promoted_for"].append(task)
    return list(found.values())


def _row(reference: str, tasks: list[str], summary: str) -> dict[str, Any]:
    from genarium import files

    folder = files.named(reference)
    size = sum(file.stat().st_size for file in folder.glob("*") if file.is_file()) if folder.is_dir() else 0
    told = {"reference": reference, "tasks": tasks, "bytes": size, "licence": "", "summary": summary}
    return told | {"promoted_for": list[str]()}


def _task_of(found: Found, task: str | None) -> str:
    """What the model can be promoted for: it is opened for that. Raises BadInput, BadCheckpoint."""
    from genarium.engines import registry
    from genarium.errors import BadInput

    if not registry.can_open(found, "text"):
        raise BadInput(f"{found.reference} is no model that writes; chat and text need one that does")
    chats = registry.open_found(found, "text", dtype="auto", backend="auto").chats
    if task == "chat" and not chats:
        raise BadInput(
            f"{found.reference} was not taught to talk (it has no chat template), so chat can't use it; it can be "
            f"promoted for text: genarium models promote {found.reference} text"
        )
    return task or ("chat" if chats else "text")

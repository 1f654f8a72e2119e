"""A task as a command."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

from genarium import files
from genarium.artefacts import Artefact, Png, Sheet, Text
from genarium.cli.display import Display
from genarium.cli.options import click_parameters, given
from genarium.cli.terminal import echo_result, printable
from genarium.tasks.task import Task


def task_command(task: Task) -> click.Command:
    """The command for a task: its signature's options, and those every task has."""
    common: list[click.Parameter] = [
        click.Option(
            ["-o", "--output"],
            type=click.Path(),
            help="also write the result to this file, or each of several into this folder/",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="print recipe, results and speeds as JSON"),
    ]

    def command(output: str | None, as_json: bool, **values: Any) -> None:
        run_task(task, given(task.parameters, values), output=output, as_json=as_json)

    return TaskCommand(task, callback=command, params=[*click_parameters(task.parameters), *common])


class TaskCommand(click.Command):
    """A command whose help says what its arguments are, which click's own leaves out."""

    def __init__(self, task: Task, **options: Any):
        super().__init__(task.name, help=task.help, **options)
        self.arguments = {p.name: p.help for p in task.parameters if p.positional and p.help}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(p.make_metavar(ctx), self.arguments[p.name]) for p in self.params if p.name in self.arguments]
        if rows:
            with formatter.section("Arguments"):
                formatter.write_dl(rows)
        super().format_options(ctx, formatter)


def run_task(task: Task, arguments: dict[str, Any], *, output: str | None, as_json: bool) -> None:
    """Ask, run, print: results to stdout, everything else to stderr."""
    from genarium.run import prepare, run

    place = files.named(output) if output is not None else None
    recipe = prepare(task.name, **arguments)
    stream = (
        not as_json and sys.stdout.isatty() and issubclass(task.artefact, Text) and recipe.arguments.get("n", 1) == 1
    )
    to_rows = task.artefact.kind == "records" and place is not None and place.suffix == ".jsonl"
    rows = place if place and to_rows and not is_folder(str(output)) and not files.is_device(place) else None
    with Display(stream=stream, rows=rows) as display:
        if stream:
            display.write(recipe.arguments.get("prompt", ""))
        result = run(recipe, listener=display)
        stream = stream and display.streamed
    if as_json:
        click.echo(json.dumps(as_dict(result), indent=2, ensure_ascii=False))
    elif stream:
        click.echo()
    else:
        pictures = all(isinstance(artefact, Png) for artefact in result)
        for number, artefact in enumerate(result):
            if len(result) > 1 and not pictures:  # of those, standard output has the paths
                click.echo(f"{'' if number == 0 else chr(10)}--- {number + 1}/{len(result)} {artefact.id}", err=True)
                if number and not sys.stderr.isatty():
                    click.echo("\n---\n")
            echo_result(artefact)
    if output:
        write(list(result), output)
    if not as_json:
        click.echo(printable(kept(list(result))), err=True)


def is_folder(output: str) -> bool:
    """Whether `-o` names a folder: one that is there, or a name that ends as a folder's does."""
    return output.endswith(("/", os.sep)) or files.named(output).is_dir()


def write(artefacts: list[Artefact], output: str) -> None:
    """The results as `-o` wants them: in one file, or each in its own in a folder."""
    place = files.named(output)
    if not is_folder(output):
        files.write_output(place, as_file(artefacts, place.suffix))
        return
    singles = [artefact for artefact in artefacts if not isinstance(artefact, Sheet)]  # all on it are there already
    for number, artefact in enumerate(singles, 1):
        file = place / f"{artefact.kind}-{number:0{len(str(len(singles)))}}{artefact.suffix}"
        files.write_output(file, artefact.content())


def as_file(artefacts: list[Artefact], suffix: str) -> bytes:
    """The results as the one file that `-o` names: texts apart by a rule, others in the format of its suffix.

    Where they are of several kinds, those that have that suffix: `-o x.png` is the plot, not the table beside it.
    Of pictures it is the contact sheet.
    """
    artefacts = [artefact for artefact in artefacts if artefact.overview] or artefacts
    if all(isinstance(artefact, Text) for artefact in artefacts):
        return b"\n\n---\n\n".join(artefact.content() for artefact in artefacts) + b"\n"
    chosen = [a for a in artefacts if a.suffix == suffix] or [a for a in artefacts if a.kind == artefacts[0].kind]
    return b"".join(artefact.as_file(suffix) for artefact in chosen)


def kept(artefacts: list[Artefact]) -> str:
    """Where they were kept, and how fast they came."""
    lines = [f"kept {artefact.path}" for artefact in artefacts if str(artefact) != str(artefact.path)]
    speeds = [a.stats["tokens_per_second"] for a in artefacts if "tokens_per_second" in a.stats]
    speed = f", {max(speeds):.0f} tokens/s" if speeds else ""
    if not artefacts:
        return "nothing was made"
    whole = next((artefact for artefact in artefacts if artefact.overview), artefacts[0])
    return "\n".join([*lines, f"see genarium show {whole.id}{speed}"])


def as_dict(result: Any) -> dict[str, Any]:
    """A result as JSON values."""
    shown = {
        "recipe": result.recipe.as_dict(),
        "recipe_sha256": result.recipe.digest,
        "artefacts": [
            {"id": a.id, "item": a.item, "kind": a.kind, "path": str(a.path), **a.as_json(), "stats": a.stats}
            for a in result
        ],
        "notes": result.notes,
        "seconds": result.seconds,
    }
    texts = [a for a in result if isinstance(a, Text)]
    if texts:
        shown["texts"] = [a.text for a in texts]
        shown["prompt_tokens"] = texts[0].prompt_tokens
        shown["completion_tokens"] = sum(a.completion_tokens for a in texts)
        shown["time_to_first_token"] = min(a.stats.get("time_to_first_token", 0.0) for a in texts)
        shown["tokens_per_second"] = max(a.stats.get("tokens_per_second", 0.0) for a in texts)
    return shown

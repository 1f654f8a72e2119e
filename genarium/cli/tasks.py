"""A task as a command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genarium import files
from genarium.artefacts import Artefact, Media, Plot, Sheet, Text
from genarium.cli.common import aside, level
from genarium.cli.display import Display
from genarium.cli.options import click_parameters, given
from genarium.cli.terminal import echo_result, printable
from genarium.errors import BadInput, StorageError
from genarium.tasks.task import Task

if TYPE_CHECKING:
    from genarium.recipe import Recipe


def task_command(task: Task) -> click.Command:
    """The command for a task: its signature's options, and those every task has."""
    common: list[click.Parameter] = [
        click.Option(
            ["-o", "--output"],
            type=click.Path(),
            help="also write the result to this file, or each of several into this folder/",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="print recipe, results and speeds as JSON"),
        click.Option(["--no-keep"], is_flag=True, help="leave no trace in the history or the data folder"),
    ]

    def command(output: str | None, as_json: bool, no_keep: bool, **values: Any) -> None:
        run_task(task, given(task.parameters, values), output=output, as_json=as_json, keep=not no_keep)

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


def run_task(
    task: Task,
    arguments: dict[str, Any],
    *,
    output: str | None,
    as_json: bool,
    keep: bool = True,
    change: Callable[[Recipe], Recipe] = lambda recipe: recipe,
) -> None:
    """Ask, run, print: results to stdout, all else to stderr. `change` gives what is run in place of a recipe."""
    from genarium.run import prepare, run

    place = files.named(output) if output is not None else None
    if output is not None:
        check_output(task, output)
    elif not keep and not as_json and issubclass(task.artefact, Media):
        raise BadInput("nothing would be left of it; name a file with -o, or leave out --no-keep")
    recipe = change(prepare(task.name, **arguments))
    stream = (
        not as_json and sys.stdout.isatty() and issubclass(task.artefact, Text) and recipe.arguments.get("n", 1) == 1
    )
    to_rows = task.artefact.kind == "records" and place is not None and place.suffix == ".jsonl"
    rows = place if place and to_rows and not is_folder(str(output)) and not files.is_device(place) else None
    with Display(stream=stream, rows=rows) as display:
        if stream:
            display.write(recipe.arguments.get("prompt", ""))
        result = run(recipe, listener=display, keep=keep)
        stream = stream and display.streamed
    written = write(list(result), output) if output else []
    if as_json:
        click.echo(json.dumps(as_dict(result), indent=2, ensure_ascii=False))
        return
    if stream:
        click.echo()
    else:
        print_result(list(result), written)
    aside(printable(kept(list(result), written)))
    if level() > 0:
        described = recipe.model.reference if recipe.model else "no model"
        aside(f"recipe {recipe.digest}, {described}, seed {recipe.seed}, {result.seconds:.2f} s")


def print_result(artefacts: list[Artefact], written: list[Path]) -> None:
    """The results on standard output: texts and tables as they are, pictures as the paths of their files."""
    # A plot beside a table shows the same again: its file is told on stderr.
    shown = [artefact for artefact in artefacts if not isinstance(artefact, Plot)] or artefacts
    if written and all(isinstance(a, Media) and str(a) in (str(a.path), a.title()) for a in shown):  # no numbers beside
        click.echo(printable("\n".join(map(str, written))))
        return
    for number, artefact in enumerate(shown):
        if len(shown) > 1 and not isinstance(artefact, Media):
            aside(f"{'' if number == 0 else chr(10)}--- {number + 1}/{len(shown)} {artefact.id}".rstrip())
            if number and not sys.stderr.isatty():
                click.echo("\n---\n")
        echo_result(artefact)


def check_output(task: Task, output: str) -> None:
    """What can be known before a model works for it. Raises BadInput, StorageError."""
    target = files.named(output)
    suffix, formats = target.suffix.lower(), {one for kind in task.artefacts for one in kind.formats()}
    if not is_folder(output) and suffix and formats and suffix not in formats:
        raise BadInput(f"{task.name} writes {', '.join(sorted(formats))}, and {output} is none of these")
    there = next(folder for folder in (target, *target.absolute().parents) if folder.exists())
    if there != target and not there.is_dir():
        raise StorageError(f"can't write {output}: {there} is a file, not a folder")
    if not os.access(there, os.W_OK):
        raise StorageError(f"can't write {output}: {there} can't be written to; choose another place")


def is_folder(output: str) -> bool:
    """Whether `-o` names a folder: one that is there, or a name that ends as a folder's does."""
    return output.endswith(("/", os.sep)) or files.named(output).is_dir()


def write(artefacts: list[Artefact], output: str) -> list[Path]:
    """The results as `-o` wants them: in one file, or each in its own in a folder. Which files were written."""
    place = files.named(output)
    if not is_folder(output):
        return write_files(artefacts, place)
    written = []
    singles = [artefact for artefact in artefacts if not isinstance(artefact, Sheet)]  # all on it are there already
    for number, artefact in enumerate(singles, 1):
        for name, content in artefact.in_folder(f"{artefact.kind}-{number:0{len(str(len(singles)))}}"):
            files.write_output(place / name, content)
            written += [place / name] if "/" not in name else []
    return written


def write_files(artefacts: list[Artefact], place: Path) -> list[Path]:
    """The results as the file that `-o` names: texts apart by a rule, others in the format of its suffix.

    Where they are of several kinds, those that have that suffix: `-o x.png` is the plot, not the table beside it.
    Of pictures it is the contact sheet; of several videos each has a file, numbered.
    """
    suffix = place.suffix.lower()
    able = [a for a in artefacts if not a.formats() or suffix in a.formats()] or artefacts
    able = [artefact for artefact in able if artefact.overview] or able
    if all(isinstance(artefact, Text) for artefact in able):
        files.write_output(place, b"\n\n---\n\n".join(artefact.content() for artefact in able) + b"\n")
        return [place]
    chosen = [a for a in able if a.suffix == suffix] or [a for a in able if a.kind == able[0].kind]
    if len(chosen) == 1 or not all(isinstance(artefact, Media) for artefact in chosen) or files.is_device(place):
        files.write_output(place, b"".join(artefact.as_file(suffix) for artefact in chosen))
        return [place]
    written = [
        place.with_stem(f"{place.stem}-{number:0{len(str(len(chosen)))}}") for number in range(1, len(chosen) + 1)
    ]
    for file, artefact in zip(written, chosen, strict=True):
        files.write_output(file, artefact.as_file(suffix))
    return written


def kept(artefacts: list[Artefact], written: list[Path]) -> str:
    """Where they are, and how fast they came."""
    if not artefacts:
        return "nothing was made"
    lines = [f"wrote {file}" for file in written]
    lines += [f"kept {a.path}" for a in artefacts if a.path is not None and (written or str(a) != str(a.path))]
    speeds = [a.stats["tokens_per_second"] for a in artefacts if "tokens_per_second" in a.stats]
    speed = f"{max(speeds):.0f} tokens/s" if speeds else ""
    whole = next((artefact for artefact in artefacts if artefact.overview), artefacts[0])
    seen = f"see genarium show {whole.id}" if whole.id else ""
    return "\n".join(filter(None, [*lines, ", ".join(filter(None, [seen, speed]))]))


def as_dict(result: Any) -> dict[str, Any]:
    """A result as JSON values."""
    shown = {
        "recipe": result.recipe.as_dict(),
        "recipe_sha256": result.recipe.digest,
        "artefacts": [
            {
                "id": a.id,
                "item": a.item,
                "kind": a.kind,
                "path": None if a.path is None else str(a.path),
                **a.as_json(),
                "stats": a.stats,
            }
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

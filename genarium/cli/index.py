"""`index DIR`: make and refresh the indexes that `ask` answers from."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genarium.cli.common import aside
from genarium.cli.display import Display
from genarium.cli.terminal import printable

if TYPE_CHECKING:
    from genarium.retrieval.build import Report
    from genarium.retrieval.watch import Held, Update

SHOWN = 10
SAMPLE = 64
"""Passages that are looked at to say which language the documents are in."""


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path())
@click.option("--name", help="what to call the index [default: the folder's name]")
@click.option("--list", "list_them", is_flag=True, help="list the indexes, and whether their folders changed since")
@click.option("--remove", metavar="NAME", help="remove an index; the documents stay")
@click.option(
    "--encoder",
    help="the model that makes the vectors [default: the index's own; for a new one starter/retriever where "
    "it has been pulled, else starter/encoder]",
)
@click.option("--watch", "watched", is_flag=True, help="follow the folder until Ctrl-C: what changes is read again")
@click.option("--every", type=click.FloatRange(min=0.1), help="with --watch, seconds between two looks [default: 2]")
@click.option("--json", "as_json", is_flag=True, help="print JSON; with --watch a line an update")
def index(
    folder: str | None,
    name: str | None,
    list_them: bool,
    remove: str | None,
    encoder: str | None,
    watched: bool,
    every: float | None,
    as_json: bool,
) -> None:
    """Index a folder of documents, to ask them.

    It reads text, Markdown, HTML, PDF, Word, Excel, OpenDocument, EPUB, CSV and source code. Given again, it reads only
    what is new or changed, and forgets what is gone. Stopped, it continues where it was.
    """
    from genarium.errors import BadInput

    if sum([folder is not None, list_them, remove is not None]) != 1:
        raise BadInput("give a folder to index, or --list, or --remove NAME")
    if watched and folder is None:
        raise BadInput("--watch follows a folder; give one")
    if every is not None and not watched:
        raise BadInput("--every is for --watch: without it, the folder is looked at once")
    if list_them:
        _list(as_json)
    elif remove is not None:
        from genarium.retrieval.places import remove as remove_index

        remove_index(remove)
        click.echo(
            json.dumps({"removed": remove}) if as_json else f"removed the index {remove}; the documents are untouched"
        )
    else:
        assert folder is not None
        update = _updating(Path(folder), name, encoder)
        if watched:
            _watch(Path(folder), update, every or 2.0, as_json)
        else:
            _tell(update(lambda path, seen: False), as_json)


def _updating(folder: Path, name: str | None, encoder: str | None) -> Update:
    """Brings the folder's index up to date, showing how far it is."""
    from genarium.checkpoints.store.find import find
    from genarium.engines.languages import tell_of_other_languages
    from genarium.progress import listening
    from genarium.retrieval.asking import embedder, usual_encoder, vectors_digest
    from genarium.retrieval.build import build

    reference = encoder or usual_encoder(folder, name)
    found = find(reference, default="encoder")
    sample: list[str] = []

    def embed(texts: Sequence[str]) -> Any:
        sample.extend(texts[: SAMPLE - len(sample)])
        # Opened when the first passage is there: with nothing new, the command answers at once.
        return embedder(reference)(texts)

    def update(held: Held) -> Report:
        is_first = not sample
        with Display() as display, listening(display):
            report = build(
                folder,
                embed,
                encoder=found.reference,
                encoder_digest=vectors_digest(found),
                name=name,
                held=held,
            )
            if is_first:
                then = "then index with --encoder {model}"
                tell_of_other_languages(found.reference, "encoder", sample, share=0.5, then=then)
        return report

    return update


def _watch(folder: Path, update: Update, every: float, as_json: bool) -> None:
    """A line an update until Ctrl-C, which ends it well."""
    from genarium.retrieval.watch import watch

    skipped: dict[str, str] | None = None
    try:
        for report in watch(folder, update, every=every, told=lambda sentence: aside(printable(sentence))):
            if as_json:
                _tell(report, as_json, a_line=True)
            elif skipped is None:
                _tell(report, as_json)
                aside(f"following {printable(str(folder))}; Ctrl-C ends it")
            else:
                click.echo(_counted(report, unchanged=False))
                _list_some(dict(report.skipped.items() - skipped.items()))
            skipped = report.skipped
            sys.stdout.flush()
    except KeyboardInterrupt:
        aside("stopped; what was indexed is kept")


def _tell(report: Report, as_json: bool, *, a_line: bool = False) -> None:
    if as_json:
        click.echo(json.dumps(vars(report), indent=None if a_line else 2, ensure_ascii=False))
        return
    click.echo(_counted(report))
    _list_some(report.skipped)
    for path, what in list(report.notes.items())[:SHOWN]:
        aside(printable(f"note: {path}: {what}"))
    if len(report.notes) > SHOWN:
        aside(f"note: and {len(report.notes) - SHOWN} more files; --json lists them all")
    aside(f'ask it: genarium ask "…" --index {report.name}')


def _counted(report: Report, *, unchanged: bool = True) -> str:
    """What an update did, on a line."""
    counts = ", ".join(
        f"{len(paths)} {what}"
        for what, paths in (
            ("new", report.added),
            ("changed", report.changed),
            ("unchanged", report.unchanged if unchanged else ()),
            ("removed", report.removed),
            ("skipped", report.skipped),
        )
        if paths
    )
    return printable(f"{report.name}: {report.files} files, {report.passages} passages ({counts})")


def _list_some(skipped: dict[str, str]) -> None:
    for path, why in list(skipped.items())[:SHOWN]:
        click.echo(printable(f"  skipped {path}: {why}"))
    if len(skipped) > SHOWN:
        click.echo(f"  and {len(skipped) - SHOWN} more; --json lists them all")


def _list(as_json: bool) -> None:
    from genarium.retrieval.places import names

    rows = [_described(name) for name in names()]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not rows:
        click.echo("no index yet; make one: genarium index DIR", err=True)
    else:
        for row in rows:
            size = f"{row['bytes'] / 2**20:.1f} MiB"
            counts = f"{row['files']} files, {row['passages']} passages, {size}, indexed {row['updated']}"
            click.echo(printable(f"{row['name']}: {counts}, {row['state']}\n  {row['folder']}"))


def _described(name: str) -> dict[str, Any]:
    """An index as JSON values."""
    from genarium.retrieval.store import Index
    from genarium.retrieval.walk import state

    with Index(name) as opened:
        meta, kept = opened.meta(), opened.files()
        return {
            "name": name,
            "folder": meta["folder"],
            "encoder": meta["encoder"],
            "updated": meta.get("updated", "not finished"),
            "files": sum(not file.problem for file in kept.values()),
            "skipped": {file.path: file.problem for file in kept.values() if file.problem},
            "notes": {file.path: file.notes for file in kept.values() if file.notes},
            "passages": opened.count(),
            "bytes": sum(file.stat().st_size for file in opened.file.parent.glob("index.sqlite*")),
            "state": state(Path(meta["folder"]), kept) if opened.is_current() else "made by an earlier version",
            "sha256": opened.digest(),
        }

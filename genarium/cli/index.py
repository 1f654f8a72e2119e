"""`index DIR`: make and refresh the indexes that `ask` answers from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from genarium.cli.common import aside
from genarium.cli.display import Display
from genarium.cli.terminal import printable

SHOWN = 10


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path())
@click.option("--name", help="what to call the index [default: the folder's name]")
@click.option("--list", "list_them", is_flag=True, help="list the indexes, and whether their folders changed since")
@click.option("--remove", metavar="NAME", help="remove an index; the documents stay")
@click.option("--encoder", default="starter/encoder", show_default=True, help="the model that makes the vectors")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def index(
    folder: str | None, name: str | None, list_them: bool, remove: str | None, encoder: str, as_json: bool
) -> None:
    """Index a folder of documents, to ask them.

    It reads text, Markdown, HTML, PDF, Word, Excel, OpenDocument, EPUB, CSV and source code. Given again, it reads only
    what is new or changed, and forgets what is gone. Stopped, it continues where it was.
    """
    from genarium.errors import BadInput

    if sum([folder is not None, list_them, remove is not None]) != 1:
        raise BadInput("give a folder to index, or --list, or --remove NAME")
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
        _build(Path(folder), name, encoder, as_json)


def _build(folder: Path, name: str | None, reference: str, as_json: bool) -> None:
    from genarium.checkpoints.store.find import find
    from genarium.progress import listening
    from genarium.retrieval.asking import embedder, vectors_digest
    from genarium.retrieval.build import build

    found = find(reference, default="encoder")

    def embed(texts: Sequence[str]) -> Any:
        # Opened when the first passage is there: with nothing new, the command answers at once.
        return embedder(reference)(texts)

    with Display() as display, listening(display):
        report = build(
            folder,
            embed,
            encoder=found.reference,
            encoder_digest=vectors_digest(found),
            name=name,
        )
    if as_json:
        click.echo(json.dumps(vars(report), indent=2, ensure_ascii=False))
        return
    counts = ", ".join(
        f"{len(paths)} {what}"
        for what, paths in (
            ("new", report.added),
            ("changed", report.changed),
            ("unchanged", report.unchanged),
            ("removed", report.removed),
            ("skipped", report.skipped),
        )
        if paths
    )
    click.echo(printable(f"{report.name}: {report.files} files, {report.passages} passages ({counts})"))
    for path, why in list(report.skipped.items())[:SHOWN]:
        click.echo(printable(f"  skipped {path}: {why}"))
    if len(report.skipped) > SHOWN:
        click.echo(f"  and {len(report.skipped) - SHOWN} more; --json lists them all")
    for path, what in list(report.notes.items())[:SHOWN]:
        aside(printable(f"note: {path}: {what}"))
    if len(report.notes) > SHOWN:
        aside(f"note: and {len(report.notes) - SHOWN} more files; --json lists them all")
    aside(f'ask it: genarium ask "…" --index {report.name}')


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
    from genarium.retrieval.build import state
    from genarium.retrieval.store import Index

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

"""A folder into an index: only what is new or changed is read, what is gone is dropped, each step is kept at once."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from genarium import files, progress
from genarium.errors import BadInput
from genarium.retrieval import documents, places
from genarium.retrieval.chosen import of_folder
from genarium.retrieval.document import Unreadable
from genarium.retrieval.hits import Kept
from genarium.retrieval.passages import Passage, passages
from genarium.retrieval.store import Index
from genarium.retrieval.tables import FORMAT
from genarium.retrieval.walk import Listed, Seen, walk

Embed = Callable[[Sequence[str]], np.ndarray]
BATCH = 256
"""Passages that are embedded and committed together: what a kill can cost, some seconds of work."""


@dataclass
class Report:
    """What an indexing did, by path relative to the folder. `skipped` maps each to the reason, `notes` to what of it
    could not be read.
    """

    name: str
    folder: str
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    files: int = 0
    passages: int = 0
    new_passages: int = 0


_Held = Callable[[str, Seen | None], bool] | None


@dataclass(frozen=True)
class _Read:
    """A file's passages, waiting to be embedded with others."""

    file: Kept
    found: list[Passage]

    @property
    def context(self) -> list[str]:
        return [about(self.file.path, passage.heading) for passage in self.found]


def about(path: str, heading: str) -> str:
    """What stands over a passage when it is searched: the file's name in words, and the heading."""
    name = re.sub(r"[\W_]+", " ", Path(path).stem).strip()
    return f"{name} › {heading}" if heading else name


def build(
    folder: Path,
    embed: Embed,
    *,
    encoder: str,
    encoder_digest: str,
    name: str | None = None,
    held: Callable[[str, Seen | None], bool] | None = None,
) -> Report:
    """Bring the index of `folder` up to date, making it where there is none; `embed` gives passages their vectors.
    Of a file that is `held`, by its path and how it is now, None if gone, the index stays as it was.

    A stopped or killed call loses at most the batch in hand; the next one continues. Raises BadInput where the folder
    is not there or holds nothing that can be read, StorageError where another process is at it.
    """
    where = files.named(folder)
    if not where.is_dir():
        raise BadInput(f"{folder} is {'a file' if where.exists() else 'not there'}; name a folder of documents")
    where = where.resolve()
    name = _name(where, name)
    fresh = name not in places.names()
    report = Report(name, str(where))
    found = list(walk(where, report.skipped))
    if found:
        made_with = {
            "folder": str(where),
            "encoder": encoder,
            "encoder_digest": encoder_digest,
            "format": str(FORMAT),
        }
        with places.writing(name), _opened(name, made_with) as index:
            _drop(index, found, held, report)
            _update(index, where, found, embed, held, report)
            with index.transaction():
                index.set_meta(updated=datetime.now(UTC).isoformat(timespec="seconds"))
            report.files = sum(not file.problem for file in index.files().values())
            report.passages = index.count()
    if not report.files and fresh:
        if found:
            places.remove(name)
        listed = "".join(f"\n  {path}: {why}" for path, why in list(report.skipped.items())[:5])
        raise BadInput(f"{folder} holds nothing that can be read; put text, PDF or Word files there{listed}")
    if not found:
        # An empty folder is more often a drive that is not there than a wish to forget everything.
        raise BadInput(f"{folder} is empty now; the index {name} stays as it was (genarium index --remove {name})")
    return report


def _name(folder: Path, name: str | None) -> str:
    """The name asked for, the one the folder's index has, or the folder's own. Raises BadInput where it is taken."""
    there = of_folder(folder)
    if name is None:
        name = there or re.sub(r"[^\w.-]+", "-", folder.name).strip("-._") or "documents"
    places.checked(name)
    if name in places.names():
        with Index(name) as index:
            other = index.meta()["folder"]
        if other != str(folder):
            raise BadInput(f"the index {name} is of {other}; give this one another name with --name")
    return name


def _opened(name: str, made_with: dict[str, str]) -> Index:
    """The index, made where it is not there; made with something else before, it is emptied."""
    if name not in places.names():
        places.create(name, made_with)
    index = Index(name)
    meta = index.meta()
    if any(meta[key] != value for key, value in made_with.items()):
        progress.note("the index was made by another encoder or version; every file is read again")
        with index.transaction():
            index.clear()
            index.set_meta(**made_with)
    return index


def _drop(index: Index, found: list[Listed], held: _Held, report: Report) -> None:
    """Forget the files that are gone."""
    gone = sorted(index.files().keys() - {path for path, _ in found})
    report.removed = [path for path in gone if held is None or not held(path, None)]
    with index.transaction():
        for path in report.removed:
            index.drop(path)


def _update(index: Index, folder: Path, found: list[Listed], embed: Embed, held: _Held, report: Report) -> None:
    """Read what is new or changed."""
    before = index.files()
    waiting: list[_Read] = []
    for done, (path, status) in enumerate(found):
        progress.emit("indexing", done, len(found), preview=path)
        known = before.get(path)
        if held is not None and held(path, (status.st_size, status.st_mtime_ns)):
            if known is None:
                continue
            read = _Read(known, [])
        elif known and known.sha256 and (known.size, known.mtime) == (status.st_size, status.st_mtime_ns):
            read = _Read(known, [])
        else:
            read = _read(folder / path, path, status)
            if known == read.file:  # can't be read, and couldn't be
                pass
            elif known and known.sha256 and known.sha256 == read.file.sha256:
                with index.transaction():
                    index.touch(read.file)
            else:
                waiting.append(read)
                known = None
        if read.file.notes:
            report.notes[path] = read.file.notes.replace("\n", "; ")
        if read.file.problem:
            report.skipped[path] = read.file.problem
        else:
            (report.unchanged if known else report.changed if path in before else report.added).append(path)
        if sum(max(1, len(read.found)) for read in waiting) >= BATCH:
            _keep(index, waiting, embed, report)
            waiting = []
    _keep(index, waiting, embed, report)


def _read(file: Path, path: str, status: os.stat_result) -> _Read:
    """The file in passages, or without any and the reason. Its size and time are from before it was opened, so that
    what changes behind them is seen the next time.
    """
    digest, found, problem, notes = "", [], "", ""
    try:
        content = documents.load(file)
        digest = hashlib.sha256(content).hexdigest()
        document = documents.parse(path, content)
        found, notes = list(passages(document)), "\n".join(document.notes)
    except Unreadable as error:
        problem = str(error)
    return _Read(Kept(path, status.st_size, status.st_mtime_ns, digest, problem, notes), found)


def _keep(index: Index, waiting: list[_Read], embed: Embed, report: Report) -> None:
    """Embed what waits, all together, and commit it."""
    texts = [
        f"{about}\n{passage.searched}"
        for read in waiting
        for about, passage in zip(read.context, read.found, strict=True)
    ]
    vectors = _embedded(texts, embed)
    first = 0
    with index.transaction():
        for read in waiting:
            index.put(read.file, read.found, read.context, vectors[first : first + len(read.found)])
            first += len(read.found)
    report.new_passages += len(texts)


def _embedded(texts: Sequence[str], embed: Embed) -> np.ndarray:
    """(N, C) float16: of a file of many passages a few at a time, so that memory is bounded and something moves."""
    found = [np.zeros((0, 0), np.float16)] if not texts else []
    for first in range(0, len(texts), BATCH):
        with progress.listening(None):  # a passage that is cut is cut for its vector only
            found.append(embed(texts[first : first + BATCH]).astype(np.float16))
        if len(texts) > 2 * BATCH:
            progress.emit("embedding", first + len(found[-1]), len(texts))
    return np.concatenate(found)

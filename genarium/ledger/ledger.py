"""The ledger: every artefact that was made, its recipe, and what people thought of it.

    HOME/ledger.sqlite              the tables, in WAL mode: many readers, writers wait for each other
    HOME/artefacts/ID/text.txt      the artefact
    HOME/artefacts/ID/page.html     its page, where its kind has one
    HOME/artefacts/ID/poster.png    and what else its kind keeps beside it
    HOME/artefacts/ID/recipe.json   its recipe and the mark that it was made by a model

    HOME/unfinished/ID              an artefact that is being written: locked as long as its process lives

An artefact's folder is filled under a temporary name and renamed inside the transaction that records it, so
that it is either there whole and recorded, or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genarium import files
from genarium.artefacts import Artefact
from genarium.errors import BadInput, StorageError
from genarium.ledger.database import opened, sweep, transaction
from genarium.ledger.entry import Edit, Entry, Rating
from genarium.ledger.folder import MARK, PAGE, State, mark, state_of
from genarium.recipe import Recipe

EDITED = ("text", "chat")
"""The tasks whose artefacts can be edited: what they wrote is learned from."""


class Ledger:
    """The ledger in `home` (default: the user's data folder), made if it is not there. A context manager.

    Raises StorageError where the folder can't be written or the file is not a ledger.
    """

    def __init__(self, home: Path | None = None):
        self.home = home or files.home()
        self.artefacts = self.home / "artefacts"
        self.unfinished = self.home / "unfinished"
        self.file = self.home / "ledger.sqlite"
        with self.explained():
            for folder in (self.artefacts, self.unfinished):
                folder.mkdir(parents=True, exist_ok=True)
            self.connection = opened(self.file)
            if any(self.unfinished.iterdir()):
                sweep(self.connection, self.artefacts, self.unfinished)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise StorageError(
                    f"can't use the ledger {self.file}: {error}; check the folder's permissions and free space, "
                    "or set GENARIUM_HOME to another folder"
                ) from None
            raise StorageError(
                f"{self.file} is not a Genarium ledger ({error}); move it away and a new one is made, "
                "or set GENARIUM_HOME to another folder"
            ) from None
        except OSError as error:
            raise StorageError(
                f"can't write to the data folder {self.home}: {files.reason(error)}; "
                "free some space, or set GENARIUM_HOME to another folder"
            ) from None

    def keep(self, artefact: Artefact, recipe: Recipe, *, item: int | None = None) -> Artefact:
        """Write the artefact's files, record it, and set its `id` and `path`. All of it, or nothing.

        `item` is its place among what `recipe` makes [default: its place in the run].
        """
        content = artefact.content()
        item = artefact.item if item is None else item
        created = _now()
        identifier = secrets.token_hex(5)
        target = self.artefacts / identifier
        part = self.artefacts / f".{identifier}.part"
        name = artefact.kind + artefact.suffix
        sha256 = hashlib.sha256(content).hexdigest()
        told = mark(
            id=identifier, item=item, kind=artefact.kind, file=name, sha256=sha256, created=created, recipe=recipe
        )
        with self.explained():
            lock = files.open_locked(self.unfinished / identifier)
            try:
                part.mkdir()
                _write(part / name, content)
                if (page := artefact.as_page()) is not None:
                    _write(part / PAGE, page.encode("utf-8", errors="replace"))
                for beside, made in artefact.beside().items():
                    _write(part / beside, made)
                _write(part / MARK, told)
                with transaction(self.connection):
                    self.connection.execute(
                        "INSERT OR IGNORE INTO recipes VALUES (?, ?)", (recipe.digest, recipe.canonical().decode())
                    )
                    self.connection.execute(
                        "INSERT INTO artefacts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (
                            identifier,
                            recipe.digest,
                            item,
                            artefact.kind,
                            name,
                            sha256,
                            artefact.title()[:200],
                            json.dumps(artefact.facts()),
                            json.dumps(artefact.stats),
                            json.dumps(artefact.notes),
                            created,
                        ),
                    )
                    part.rename(target)
            except BaseException:
                if not self._recorded(identifier):  # an interrupt may also come when all is written
                    shutil.rmtree(part, ignore_errors=True)
                    shutil.rmtree(target, ignore_errors=True)
                raise
            finally:
                if lock is not None:
                    files.remove_quietly(self.unfinished / identifier)
                    os.close(lock)
        artefact.id, artefact.path = identifier, target / name
        return artefact

    def _recorded(self, identifier: str) -> bool:
        try:
            return self.connection.execute("SELECT 1 FROM artefacts WHERE id = ?", (identifier,)).fetchone() is not None
        except sqlite3.Error:
            return False

    def history(
        self,
        limit: int = 20,
        *,
        task: str | None = None,
        search: str | None = None,
        before: str | None = None,
        rated: bool = False,
    ) -> list[Entry]:
        """The latest entries, newest first; `search` looks for a piece of text in their titles.

        `before` is the id of an entry: those older than it. `rated`: those that were rated or edited.
        Raises BadInput where there is no such entry.
        """
        where, values = ["1"], []
        if task is not None:
            where.append("json_extract(recipes.json, '$.task') = ?")
            values.append(task)
        if search is not None:
            where.append("instr(lower(title), lower(?))")
            values.append(search.encode("utf-8", errors="replace").decode())
        if before is not None:
            where.append("number < (SELECT number FROM artefacts WHERE id = ?)")
            values.append(self.find(before).id)
        if rated:
            said = ("artefact FROM ratings", "other FROM ratings", "artefact FROM edits")
            where.append(f"({' OR '.join(f'id IN (SELECT {one})' for one in said)})")
        return self._entries(f"{' AND '.join(where)} ORDER BY number DESC LIMIT ?", (*values, limit))

    def count(self) -> int:
        """How many artefacts there are."""
        with self.explained():
            return int(self.connection.execute("SELECT count(*) FROM artefacts").fetchone()[0])

    def damaged(self) -> list[tuple[str, State]]:
        """The artefacts, newest first, whose files are not those that were recorded: id, and what is wrong."""
        with self.explained():
            rows = self.connection.execute("SELECT id, file, sha256 FROM artefacts ORDER BY number DESC").fetchall()
        found = (
            (identifier, state_of(self.artefacts / identifier / name, sha256)) for identifier, name, sha256 in rows
        )
        return [(identifier, state) for identifier, state in found if state != "whole"]

    def find(self, identifier: str) -> Entry:
        """The entry whose id is or begins with `identifier`, or the newest for `last`. Raises BadInput."""
        if identifier == "last":
            newest = self.history(1)
            if not newest:
                raise BadInput("nothing was made yet, so there is no last artefact")
            return newest[0]
        if not identifier or not set(identifier) <= set("0123456789abcdef"):
            raise BadInput(f"{identifier!r} is not an artefact's id; `genarium history` lists them")
        # Two are enough to know that the beginning is not enough.
        found = self._entries("id >= ? AND id < ? ORDER BY id LIMIT 2", (identifier, identifier + "g"))
        exact = [entry for entry in found if entry.id == identifier]
        if len(found) > 1 and not exact:
            raise BadInput(f"several artefacts begin with {identifier}; give more of the id")
        if not found:
            raise BadInput(f"no artefact {identifier}; `genarium history` lists them")
        return (exact or found)[0]

    def made_by(self, digest: str) -> list[Entry]:
        """What the recipe with this digest made, newest first."""
        return self._entries("recipes.digest = ? ORDER BY number DESC", (digest,))

    def rate(self, identifier: str, verdict: str, note: str = "") -> Rating:
        """Rate an artefact `up`, `down` or `1` to `5`; later ratings are kept beside earlier ones. Raises BadInput."""
        verdicts = {"up": ("thumb", 1), "down": ("thumb", -1)} | {str(n): ("stars", n) for n in range(1, 6)}
        if verdict not in verdicts:
            raise BadInput(f"a rating is up, down or 1 to 5, got {verdict!r}")
        return self._rate(self.find(identifier).id, *verdicts[verdict], None, note)

    def prefer(self, chosen: str, rejected: str, note: str = "") -> Rating:
        """Say that of two artefacts of one task the first is better. Raises BadInput."""
        better, other = self.two_of_one_task(chosen, rejected)
        return self._rate(better.id, "better", 1, other.id, note)

    def edit(self, identifier: str, text: str, note: str = "") -> Edit:
        """Keep what a person made of a text or a reply beside it, which stays as it was made. Raises BadInput."""
        entry = self.find(identifier)
        text = _storable(text.strip() if entry.recipe.task == "chat" else text)  # as a reply is kept
        if entry.recipe.task not in EDITED:
            raise BadInput(f"{entry.id} is of {entry.recipe.task}; only what text and chat wrote can be edited")
        if not text.strip():
            raise BadInput("an edit needs some text; to say that a text is of no use, rate it down")
        if text == entry.facts["text"]:
            raise BadInput(f"this is what {entry.id} says already, so nothing is edited; rate it up if it is good")
        note, created = _storable(note), _now()
        with self.explained(), transaction(self.connection):
            done = self.connection.execute(
                "INSERT INTO edits VALUES (NULL, ?, ?, ?, ?)", (entry.id, text, note, created)
            )
        return Edit(text, note, created, done.lastrowid or 0)

    def two_of_one_task(self, chosen: str, rejected: str) -> tuple[Entry, Entry]:
        """Two artefacts that can be compared. Raises BadInput."""
        better, other = self.find(chosen), self.find(rejected)
        if better.id == other.id:
            raise BadInput(f"{better.id} can't be better than itself; name two artefacts")
        if better.recipe.task != other.recipe.task:
            raise BadInput(
                f"{better.id} is of {better.recipe.task}, {other.id} of {other.recipe.task}; compare two of one task"
            )
        return better, other

    def delete(self, identifier: str) -> Entry:
        """Forget an artefact: its row, what was said of it, its recipe where that made nothing else, and its folder.

        Raises BadInput where there is none.
        """
        entry = self.find(identifier)
        with self.explained(), transaction(self.connection):
            self.connection.execute('DELETE FROM comparisons WHERE "left" = ? OR "right" = ?', (entry.id, entry.id))
            self.connection.execute("DELETE FROM ratings WHERE artefact = ? OR other = ?", (entry.id, entry.id))
            self.connection.execute("DELETE FROM edits WHERE artefact = ?", (entry.id,))
            self.connection.execute("DELETE FROM artefacts WHERE id = ?", (entry.id,))
            self.connection.execute(
                "DELETE FROM recipes WHERE digest = ? AND digest NOT IN (SELECT recipe FROM artefacts)",
                (entry.recipe.digest,),
            )
        # Afterwards: a kill in between leaves a folder that nothing names, and never a row without its file.
        shutil.rmtree(entry.path.parent, ignore_errors=True)
        return entry

    def _rate(self, identifier: str, scale: str, value: int, other: str | None, note: str) -> Rating:
        with self.explained(), transaction(self.connection):
            return rated(self.connection, identifier, scale, value, other, note)

    def _entries(self, condition: str, values: tuple[Any, ...]) -> list[Entry]:
        with self.explained():
            rows = self.connection.execute(
                "SELECT id, recipes.json, item, kind, file, sha256, title, facts, stats, notes, created"
                f" FROM artefacts JOIN recipes ON recipes.digest = artefacts.recipe WHERE {condition}",
                values,
            ).fetchall()
            return [self._entry(row) for row in rows]

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        identifier, recipe, item, kind, name, sha256, title, facts, stats, notes, created = row
        ratings = self.connection.execute(
            "SELECT scale, value, note, created, other, number FROM ratings WHERE artefact = ? ORDER BY number",
            (identifier,),
        ).fetchall()
        edits = self.connection.execute(
            "SELECT text, note, created, number FROM edits WHERE artefact = ? ORDER BY number", (identifier,)
        ).fetchall()
        return Entry(
            id=identifier,
            recipe=Recipe.from_json(recipe),
            item=item,
            kind=kind,
            path=self.artefacts / identifier / name,
            sha256=sha256,
            title=title,
            facts=json.loads(facts),
            stats=json.loads(stats),
            notes=json.loads(notes),
            created=created,
            ratings=[Rating(*rating) for rating in ratings],
            edits=[Edit(*edit) for edit in edits],
        )


def rated(
    connection: sqlite3.Connection, identifier: str, scale: str, value: int, other: str | None, note: str
) -> Rating:
    """Add a rating, inside a transaction."""
    note, created = _storable(note), _now()
    done = connection.execute(
        "INSERT INTO ratings VALUES (NULL, ?, ?, ?, ?, ?, ?)", (identifier, scale, value, other, note, created)
    )
    return Rating(scale, value, note, created, other, done.lastrowid or 0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _storable(text: str) -> str:
    """The text as SQLite takes it: without halves of surrogate pairs."""
    return text.encode("utf-8", errors="replace").decode()


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())

"""The one road: recipe -> engine -> artefact -> ledger. Every door submits recipes here; there is no second exit."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from typing_extensions import TypeVar

from genarium import files, progress, rows, signature, tasks
from genarium.artefacts import Artefact
from genarium.artefacts.inside import recipe_in
from genarium.checkpoints.store import promoted
from genarium.checkpoints.store.find import Found, find
from genarium.errors import BadCheckpoint, BadInput
from genarium.extras import naming_extra
from genarium.ledger import Entry, Ledger
from genarium.ledger.folder import State, restore
from genarium.progress import Event, Listener
from genarium.recipe import Model, Recipe

Made = TypeVar("Made", bound=Artefact, default=Artefact)
"""The kinds of artefact a task makes."""


LONGEST_FILE = 4096
"""Characters of a file's name."""


@dataclass
class Result(Sequence[Made]):
    """What a recipe made, in order of item. `seconds` is the whole run, loading the model included."""

    recipe: Recipe
    artefacts: list[Made] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @overload
    def __getitem__(self, place: int) -> Made: ...
    @overload
    def __getitem__(self, place: slice) -> list[Made]: ...
    def __getitem__(self, place: int | slice) -> Made | list[Made]:
        return self.artefacts[place]

    def __len__(self) -> int:
        return len(self.artefacts)

    @property
    def text(self) -> str:
        """What it says in words; of several artefacts, with an empty line between them."""
        return "\n\n".join(artefact.in_words() for artefact in self.shown())

    @property
    def path(self) -> Path | None:
        """The file of what shows all of it, or of the first artefact; None where nothing was kept."""
        return self.shown()[0].path if self.artefacts else None

    def __str__(self) -> str:
        return "\n\n".join(str(artefact) for artefact in self.artefacts)

    def shown(self) -> list[Made]:
        """What shows all of it: the overview where there is one."""
        return [artefact for artefact in self.artefacts if artefact.overview] or self.artefacts

    def _repr_html_(self) -> str:
        return "\n".join(artefact.as_html() for artefact in self.shown())


def prepare(task: str, /, *args: Any, **kwargs: Any) -> Recipe:
    """The complete recipe of a call: arguments checked and filled in, the model found and pinned, a seed drawn.

    Where no model is named it is the one that was promoted for the task, else its starter.
    Raises BadInput, ModelNotFound, BadCheckpoint.
    """
    asked = tasks.find(task)
    values = signature.bind(task, asked.parameters, args, kwargs)
    model = found = None
    if asked.starter is not None:
        named, usual = values.pop("model"), None
        if "model" not in kwargs and task in promoted.TASKS:
            usual = promoted.find_in_use(task)
        found = usual or find(named, default=asked.starter)
        model = Model(found.reference, found.digest)
    draws = "seed" in values
    seed = values.pop("seed", None)
    if draws and seed is None:
        seed = secrets.randbelow(2**31)  # short enough to be read out and typed again
    return Recipe.of(task, _pinned(asked, values, found), model, seed or 0)


def run(recipe: Recipe, *, listener: Listener | None = None, ledger: Ledger | None = None, keep: bool = True) -> Result:
    """Carry out a recipe. Each artefact is kept in the ledger as soon as it is finished, unless `keep` is false.

    `listener` gets the progress events: those of the engine, `note`, and `made` with each finished artefact as
    its preview. An interrupt leaves the artefacts finished so far, whole. Raises GenariumError.
    """
    asked = tasks.find(recipe.task)
    if recipe.model is not None:
        _require_same_model(recipe.model, asked.starter or "")
    result = Result(recipe)

    def listen(event: Event) -> None:
        if event.stage == "note":
            result.notes.append(event.preview)
        if listener is not None:
            listener(event)

    with progress.listening(listen):
        arguments = signature.bind(recipe.task, asked.parameters, (), arguments_of(recipe))
    began = time.perf_counter()
    opened = Ledger() if keep and ledger is None else ledger  # first: what can't be kept is not worth making
    try:
        kept_rows = rows.keeping(recipe.digest if keep else None, recipe.canonical())
        with progress.listening(listen), naming_extra(recipe.task), kept_rows as finished:
            for artefact in asked.function(**arguments):
                artefact.notes = list(result.notes)
                artefact.recipe = artefact.own_recipe(recipe)
                if keep and opened is not None:
                    opened.keep(artefact, artefact.recipe, item=artefact.item if artefact.recipe == recipe else 0)
                result.artefacts.append(artefact)
                progress.emit("made", len(result.artefacts), None, preview=artefact, item=artefact.item)
            finished.forget()
    finally:
        if opened is not None and ledger is None:
            opened.close()
    result.artefacts.sort(key=lambda artefact: artefact.item)
    result.seconds = time.perf_counter() - began
    return result


def arguments_of(recipe: Recipe) -> dict[str, Any]:
    """The arguments that a call of the recipe's task is made with again, model and seed among them. Raises BadInput."""
    asked = tasks.find(recipe.task)
    values = _opened(asked, recipe.arguments)
    if recipe.model is not None:
        values["model"] = recipe.model.reference
    if any(parameter.name == "seed" for parameter in asked.parameters):
        values["seed"] = recipe.seed
    return values


def remade(task: str, file: str | Path, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments that made the file of an artefact, and `given` in place of those; None where `file` names none.

    For who may read files here: a prompt from elsewhere is a prompt. Raises BadInput where it holds no recipe of this
    task, or what it was made from changed since.
    """
    asked = tasks.find(task)
    suffixes = asked.artefact.formats()
    if not asked.remakes or len(str(file)) > LONGEST_FILE or not str(file).lower().endswith(suffixes):
        return None
    place = files.named(file)
    if not place.is_file():
        if len(str(file).split()) > 1:
            return None
        raise BadInput(f"there is no file {str(file)!r} to make again; for a prompt, write it without {place.suffix}")
    recipe = recipe_in(place)
    if recipe is None or recipe.task != task:
        other = "" if recipe is None else f" but one of {recipe.task}"
        raise BadInput(f"{file} holds no recipe of {task}{other}; give a prompt")
    if recipe.model is not None and "model" not in given:
        _require_same_model(recipe.model, asked.starter or "")
    return arguments_of(recipe) | dict(given)


def call(task: str, *args: Any, listener: Listener | None = None, **kwargs: Any) -> Result:
    """Prepare and run: what `genarium.text(…)` does."""
    first = next(iter(args), None)
    if isinstance(first, str | Path) and (found := remade(task, first, kwargs)) is not None:
        args, kwargs = args[1:], found
    return run(prepare(task, *args, **kwargs), listener=listener)


def resumed(recipe: Recipe) -> Recipe | None:
    """The newest unfinished one that is this but for the seed: to run it continues it. None where there is none."""
    for kept in rows.unfinished(recipe.task):
        found = Recipe.from_dict(kept)
        if (found.arguments_json, found.model) == (recipe.arguments_json, recipe.model):
            return found
    return None


@dataclass(frozen=True)
class Reproduction:
    """`equal` says whether the artefact's bytes came out the same; where not, `result` holds what came instead.

    `found` is how its file was before; where that was not whole and the bytes are equal it was written again, and
    `kept` is where a changed one is now.
    """

    entry: Entry
    equal: bool
    result: Result
    found: State = "whole"
    kept: Path | None = None


def reproduce(identifier: str, *, ledger: Ledger, listener: Listener | None = None) -> Reproduction:
    """Run an artefact's recipe again and compare its bytes with those recorded. Equal ones are not kept again: they
    put the artefact's own file back, where it is missing or was changed.
    """
    entry = ledger.find(identifier)
    result = run(entry.recipe, listener=listener, keep=False)
    same = (
        artefact
        for artefact in result
        if artefact.item == entry.item and hashlib.sha256(artefact.content()).hexdigest() == entry.sha256
    )
    equal = next(same, None)
    if equal is None:
        for artefact in result:
            ledger.keep(artefact, entry.recipe)
        return Reproduction(entry, False, result, entry.state)
    found = entry.state
    kept = None if found == "whole" else restore(entry, equal)
    return Reproduction(entry, True, result, found, kept)


def _pinned(asked: tasks.Task, values: dict[str, Any], model: Found | None) -> dict[str, Any]:
    """`values` as a recipe names them: files and the task's own pins by content."""
    given = values | {"model": model}
    return _changed(asked, values, _file_pin) | {
        name: pin.write(values[name], given) for name, pin in asked.pins.items()
    }


def _opened(asked: tasks.Task, values: dict[str, Any]) -> dict[str, Any]:
    """The arguments that a recipe's values stand for, None where it is of before there was such an argument.

    Raises BadInput where one changed since.
    """
    return _changed(asked, values, _file_of) | {name: pin.open(values.get(name)) for name, pin in asked.pins.items()}


def _changed(asked: tasks.Task, values: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """`values` with `change` made to every file argument that is given."""
    changed = dict(values)
    for parameter in asked.parameters:
        value = changed.get(parameter.name)
        if parameter.type is Path and value is not None:
            changed[parameter.name] = [change(one) for one in value] if parameter.repeated else change(value)
    return changed


def _file_pin(file: Path) -> dict[str, str]:
    """A file in a recipe: where it is, and what was in it."""
    return {"path": files.place_of(file), "sha256": files.sha256(file)}


def _file_of(pin: dict[str, str]) -> Path:
    file = files.at(pin["path"])
    if files.sha256(file) != pin["sha256"]:
        raise BadInput(f"{pin['path']} changed since this recipe was written; put the earlier file back, or ask anew")
    return file


def _require_same_model(model: Model, starter: str) -> None:
    now = find(model.reference, default=starter)
    if now.digest != model.digest:
        raise BadCheckpoint(
            f"{model.reference} is not the model this recipe names: its files changed since "
            f"(sha256 {model.digest[:12]} then, {now.digest[:12]} now); put the earlier files back, or ask anew"
        )

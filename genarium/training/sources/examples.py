"""What a task learns from: its reader, its parts (training, validation, held out), and the objective over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from genarium.data.labelled import (
    LabelledText,
    Pair,
    Question,
    alike,
    draw,
    hold_out,
    read_labelled,
    read_pairs,
    read_questions,
)
from genarium.data.pieces import pieces as cut
from genarium.data.tables import How
from genarium.errors import BadInput
from genarium.progress import note
from genarium.training.objectives.classify import Classify, Rank
from genarium.training.objectives.span import AnswerSpans, SpanWindows
from genarium.training.sources.inputs import Inputs

STRIDE = 128
"""Tokens by which the windows of a long context overlap (BERT's for SQuAD)."""


@dataclass(frozen=True)
class Parts:
    """Examples to learn from, to watch while learning, and to measure once at the end."""

    train: list[Any]
    validation: list[Any]
    held: list[Any]


def reader(
    task: str, *, text: str | None, label: str | None, how: How, names: Sequence[str]
) -> Callable[[Path], list[Any]]:
    """What reads a file of this task's examples. `names` are `LABEL=NAME`: a label is called NAME from then on."""
    if task != "classify":
        for option, value in (("--text-column", text), ("--label-column", label), ("--name", names or None)):
            if value is not None:
                raise BadInput(f"{option} is for --task classify; {task} has its columns' names fixed")
        return partial(read_questions if task == "answer" else read_pairs, how=how)
    called: dict[str, str] = {}
    for entry in names:
        before, equals, after = entry.partition("=")
        if not equals or not before or not after:
            raise BadInput(f"--name must be LABEL=NAME, as in 1=positive, got {entry!r}")
        called[before] = after
    return partial(_renamed, partial(read_labelled, text=text, label=label, how=how), called)


def _renamed(read: Callable[[Path], list[LabelledText]], called: dict[str, str], path: Path) -> list[LabelledText]:
    found = read(path)
    if missing := called.keys() - {example.label for example in found}:
        raise BadInput(f"{path} has no label {sorted(missing)[0]!r} to call {called[sorted(missing)[0]]!r}")
    return [replace(example, label=called.get(example.label, example.label)) for example in found]


def split(
    read: Callable[[Path], list[Any]],
    data: Path,
    *,
    also: Path | None,
    validation: float,
    validation_data: Path | None,
    holdout: Path | None,
    pieces: int = 0,
    examples: int | None,
    seed: int,
) -> Parts:
    """The parts of a run. Texts, contexts or queries that are alike (`labelled.alike`) are on one side.

    What validation measures, or is held out, is not trained on, which a note says. `also` is only trained on.
    `examples` are drawn before `pieces` are cut from them.

    Raises BadInput.
    """
    found, held = read(data), read(holdout) if holdout else []
    if validation_data is not None:
        train, measured = found, read(validation_data)
    else:
        learned, kept_out = hold_out([_key(example) for example in found], validation, seed)
        train, measured = [found[place] for place in learned], [found[place] for place in kept_out]
        if validation and not measured:
            note(f"nothing is left for validation: {validation:g} of {len(found)} rows is less than one")
    kept_apart = {_key(example) for example in (*measured, *held)}
    train = _without(kept_apart, train, data)
    if not train:
        raise BadInput(f"every row of {data} is measured as well, so nothing is left to learn; measure other rows")
    if also is not None:
        train = [*train, *_without(kept_apart, read(also), also)]
    if examples is not None:
        train = [train[place] for place in draw([str(getattr(e, "label", "")) for e in train], examples, seed)]
    if pieces:
        parts = [piece for piece in cut(train, pieces, seed) if _key(piece) not in kept_apart]
        if not parts:
            note("there are no pieces to learn from: the texts of one label are all too short to be cut")
        train = [*train, *parts]
    return Parts(train, measured, held)


def _key(example: LabelledText | Question | Pair) -> str:
    """What must not be known beforehand, the same for all that are alike in it."""
    match example:
        case LabelledText():
            return alike(example.text)
        case Question():
            return alike(example.context)
    return alike(example.query)


def _without(kept_apart: set[str], examples: Sequence[Any], file: Path) -> list[Any]:
    """The examples that are not measured. Says how many are."""
    kept = [example for example in examples if _key(example) not in kept_apart]
    if left_out := len(examples) - len(kept):
        note(
            f"{left_out} of {len(examples)} examples to learn from in {file.name} are validation or held out as well, "
            "and are left out of what is learned"
        )
    return kept


def labels_of(parts: Parts, data: Path) -> list[str]:
    """The labels to learn, in order. Raises BadInput where there is only one, or one that is measured but unknown."""
    labels = sorted({example.label for example in parts.train})
    if len(labels) < 2:
        raise BadInput(f"{data} has only one label to learn, {labels[0]!r}; classifying needs two or more")
    if unknown := {example.label for example in (*parts.validation, *parts.held)} - set(labels):
        missing = sorted(unknown)[0]
        raise BadInput(f"no example to learn from has the label {missing!r}; add some to {data}, or keep less out")
    said: dict[str, set[str]] = {}
    for example in parts.train:
        said.setdefault(alike(example.text), set()).add(example.label)
    if torn := [text for text, given in said.items() if len(given) > 1]:
        note(f"{len(torn)} texts to learn from have more than one label, as {torn[0][:60]!r}; only one can be right")
    if len(labels) > max(10, len(parts.train) // 2):
        note(f"there are {len(labels)} labels for {len(parts.train)} rows, most seen once: is it the right column?")
    return labels


def objective(
    task: str, model: Any, tokenizer: Tokenizer, parts: Parts, labels: list[str], *, max_length: int, **more: Any
) -> tuple[AnswerSpans | Classify | Rank, Callable[[], dict[str, float]]]:
    """The objective, and what measures the part held out. `more` is the objectives' own."""

    def encode(examples: Sequence[Any]) -> tuple[Any, Any]:
        match task:
            case "classify":
                return examples, Inputs.encode(tokenizer, [example.text for example in examples], max_length)
            case "rank":
                return examples, Inputs.encode(tokenizer, [(e.query, e.passage) for e in examples], max_length)
        windows = SpanWindows(tokenizer, examples, max_length, min(STRIDE, max_length // 3))
        return windows.questions, windows

    train, validation = encode(parts.train), encode(parts.validation)
    made: AnswerSpans | Classify | Rank
    if task == "classify":
        made = Classify(model, labels, train, validation, **more)
    elif task == "rank":
        made = Rank(model, train, validation, **more)
    else:
        made = AnswerSpans(model, train, validation, **more)
    return made, lambda: made.measure(*encode(parts.held))

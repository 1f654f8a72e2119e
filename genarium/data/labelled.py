"""What people have to learn from: texts with labels, questions with answers, queries with good and bad passages."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genarium.data.tables import read_table
from genarium.data.text import read
from genarium.errors import BadInput
from genarium.progress import note


@dataclass(frozen=True)
class LabelledText:
    text: str
    label: str


@dataclass(frozen=True)
class Question:
    """The answer is `context[start:end]`; there is none where both are 0."""

    question: str
    context: str
    start: int = 0
    end: int = 0

    @property
    def answer(self) -> str:
        return self.context[self.start : self.end]


@dataclass(frozen=True)
class Pair:
    """Whether the passage is what the query looks for: 1, or 0, or between."""

    query: str
    passage: str
    label: float


def read_rows(path: Path, *, header: bool = True) -> list[dict[str, Any]]:
    """The file's rows by column name: CSV and JSON Lines by their endings, any other has tabs between its values.

    Without a header the columns are called 1, 2, … Raises BadInput, also where the file has no rows.
    """
    kind = path.suffix.lower()
    if kind in (".jsonl", ".ndjson") or (kind == ".csv" and header):
        rows = read_table(path)
    else:
        text = read(path).removeprefix("\ufeff")
        # Quotes mean something in CSV; between tabs they are part of the text.
        split = csv.reader(io.StringIO(text)) if kind == ".csv" else (line.split("\t") for line in text.split("\n"))
        values = [row for row in split if any(value.strip() for value in row)]
        widest = max(map(len, values), default=0)
        columns = values.pop(0) if header and values else [str(number) for number in range(1, widest + 1)]
        rows = [dict(zip(columns, row, strict=False)) for row in values]
    if not rows:
        raise BadInput(f"{path} has no rows; name a file with some")
    return rows


def read_labelled(
    path: Path, *, text: str | None = None, label: str | None = None, header: bool = True
) -> list[LabelledText]:
    """Texts and their labels from CSV, TSV or JSON Lines; columns `text` and `label` unless named. Raises BadInput."""
    rows = read_rows(path, header=header)
    text = text or ("text" if header else "1")
    label = label or ("label" if header else "2")
    for name, option in ((text, "--text-column"), (label, "--label-column")):
        _require(rows, name, path, f"name the right one with {option}" + ", or say --no-header" * header)
    found = [LabelledText(str(row[text]).strip(), str(row[label]).strip()) for row in rows]
    kept = [example for example in found if example.text and example.label]
    if not kept:
        raise BadInput(f"{path} has no row with both a {text!r} and a {label!r}; fill some in")
    if empty := len(found) - len(kept):
        note(f"{empty} of {len(found)} rows in {path.name} have no text or no label and were left out")
    return kept


def read_questions(path: Path) -> list[Question]:
    """SQuAD's rows as JSON Lines: question, context, answer_start (characters) and text, or SQuAD's `answers`.

    A row without an answer, or an empty one, is a question the context does not answer. Raises BadInput.
    """
    rows = read_rows(path)
    for name in ("question", "context"):
        _require(rows, name, path, "rows need question, context, answer_start and text")
    found = []
    for number, row in enumerate(rows, 1):
        answers = row.get("answers") or {}
        text = row.get("text", next(iter(answers.get("text", [])), "")) or ""
        start = row.get("answer_start", next(iter(answers.get("answer_start", [])), 0)) or 0
        question, context = str(row["question"]), str(row["context"])
        if not text:
            found.append(Question(question, context))
            continue
        if not isinstance(start, int) or context[start : start + len(text)] != text:
            there = context.find(text)
            hint = f"it begins at {there}" if there >= 0 else "the context does not hold it"
            raise BadInput(f"{path}, row {number}: {text!r} is not at answer_start {start}; {hint}")
        found.append(Question(question, context, start, start + len(text)))
    if not any(question.answer for question in found):
        raise BadInput(f"{path} has no question with an answer; give some rows answer_start and text")
    return found


def read_pairs(path: Path) -> list[Pair]:
    """JSON Lines (or CSV) of query, passage and label 0 or 1; or of query, positive and a list of negatives.

    Raises BadInput.
    """
    rows = read_rows(path)
    _require(rows, "query", path, "rows need query, passage and label, or query, positive and negatives")
    found = []
    for number, row in enumerate(rows, 1):
        query = str(row["query"])
        if "positive" in row:
            negatives = row.get("negatives", [])
            if not isinstance(negatives, list):
                raise BadInput(f"{path}, row {number}: negatives must be a list of texts, got {negatives!r}")
            found.append(Pair(query, str(row["positive"]), 1.0))
            found += [Pair(query, str(passage), 0.0) for passage in negatives]
            continue
        try:
            label = float(row["label"])
            found.append(Pair(query, str(row["passage"]), label))
        except (KeyError, TypeError, ValueError):
            label = -1.0
        if not 0 <= label <= 1:
            raise BadInput(f"{path}, row {number}: needs a passage and a label from 0 to 1, or positive and negatives")
    if len({pair.label for pair in found}) < 2:
        raise BadInput(f"{path}: every label is {found[0].label:g}; ranking is learned from good and bad passages")
    return found


def hold_out(keys: Sequence[str], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Places to learn from and places to watch: at most `share` of them, equal keys on one side.

    A text that is there twice, or a passage with five questions, would be known beforehand otherwise.
    """
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    groups = list(places.values())
    watched: list[int] = []
    for number in np.random.default_rng([seed, 1]).permutation(len(groups)):
        if len(watched) + len(groups[number]) <= round(share * len(keys)):
            watched += groups[number]
    chosen = set(watched)
    return [place for place in range(len(keys)) if place not in chosen], sorted(watched)


def draw(labels: Sequence[str], count: int, seed: int) -> list[int]:
    """`count` places, as equally many of each label as there are. Raises BadInput where there are fewer rows."""
    if count > len(labels):
        raise BadInput(f"examples must be at most {len(labels)}, the rows there are to learn from; got {count}")
    order = np.random.default_rng([seed, 2]).permutation(len(labels))
    queues = [[int(place) for place in order if labels[place] == name] for name in sorted(set(labels))]
    drawn: list[int] = []
    while len(drawn) < count:
        for queue in queues:
            if queue and len(drawn) < count:
                drawn.append(queue.pop(0))
    return drawn


def _require(rows: Sequence[dict[str, Any]], name: str, path: Path, way_out: str) -> None:
    for number, row in enumerate(rows, 1):
        if row.get(name) is None:
            what = f"has no column {name!r}" if name not in rows[0] else f"has nothing under {name!r} in row {number}"
            raise BadInput(f"{path} {what}; its columns are {', '.join(rows[0])}; {way_out}")

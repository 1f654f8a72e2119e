"""What people have to learn from: texts with labels, questions with answers, queries with good and bad passages."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genarium.data.delimited import listed
from genarium.data.tables import AS_IT_LOOKS, How, Table, read_table, require_rows
from genarium.errors import BadInput
from genarium.progress import note


@dataclass(frozen=True)
class LabelledText:
    """`row` is its place in the file it comes from, 0 where it comes from none."""

    text: str
    label: str
    row: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Question:
    """The answer is `context[start:end]`; there is none where both are 0. `others` are as right as it."""

    question: str
    context: str
    start: int = 0
    end: int = 0
    others: tuple[str, ...] = ()
    row: int = field(default=0, compare=False)

    @property
    def answer(self) -> str:
        return self.context[self.start : self.end]


@dataclass(frozen=True)
class Pair:
    """Whether the passage is what the query looks for: 1, or 0, or between."""

    query: str
    passage: str
    label: float
    row: int = field(default=0, compare=False)


def read_rows(path: Path, how: How = AS_IT_LOOKS) -> Table:
    """The file's rows: JSON Lines by its ending, else a table, one with tabs between its columns where none is named.

    Raises BadInput, also where the file has no rows.
    """
    return require_rows(read_table(path, how, usual="\t"))


def read_labelled(
    path: Path,
    *,
    text: str | None = None,
    label: str | None = None,
    how: How = AS_IT_LOOKS,
) -> list[LabelledText]:
    """Texts and their labels from a table or JSON Lines; columns `text` and `label` unless named. Raises BadInput."""
    table = read_rows(path, how)
    text, label = text or ("text" if how.header else "1"), label or ("label" if how.header else "2")
    or_header = ", or say --no-header" if table.header else ""
    texts, labels = (
        table.texts(name, f"name the right one with {option}{or_header}")
        for name, option in ((text, "--text-column"), (label, "--label-column"))
    )
    rows = zip(texts, labels, table.numbers, strict=True)
    found = [LabelledText(said.strip(), name.strip(), number) for said, name, number in rows]
    kept = [example for example in found if example.text and example.label]
    if not kept:
        raise BadInput(f"{path} has no row with both a {text!r} and a {label!r}; fill some in")
    if empty := [example.row for example in found if not example.text or not example.label]:
        which = f"{len(empty)} of {len(found)} rows in {path.name} ({listed(empty)})"
        note(f"{which} have no text or no label and are left out")
    return kept


def read_questions(path: Path, how: How = AS_IT_LOOKS) -> list[Question]:
    """SQuAD's rows as JSON Lines: question, context, answer_start (characters) and text, or SQuAD's `answers`.

    A row without an answer, or an empty one, is a question the context does not answer. Of several answers the first
    is learned, and each is right. Raises BadInput.
    """
    table = read_rows(path, how)
    columns = [
        table.texts(name, "rows need question, context, answer_start and text") for name in ("question", "context")
    ]
    found = []
    for question, context, row, number in zip(*columns, table.dicts(), table.numbers, strict=True):
        if not question.strip() or not context.strip():
            raise BadInput(f"{path}, row {number}: has no question or no context; fill it in, or leave the row out")
        answers = [(text, start) for text, start in _answers(row, table, number) if text]
        for text, start in answers:
            if start < 0 or context[start : start + len(text)] != text:
                there = context.find(text)
                hint = f"it begins at {there}" if there >= 0 else "the context does not hold it"
                raise BadInput(f"{path}, row {number}: {text!r} is not at answer_start {start}; {hint}")
        text, start = answers[0] if answers else ("", 0)
        others = tuple(dict.fromkeys(other for other, _ in answers if other != text))
        found.append(Question(question, context, start, start + len(text), others, number))
    if not any(question.answer for question in found):
        raise BadInput(f"{path} has no question with an answer; give some rows answer_start and text")
    return found


def _answers(row: dict[str, Any], table: Table, number: int) -> list[tuple[str, int]]:
    """Each answer's text and where it begins, in any of the ways that SQuAD's rows are written. Raises BadInput."""
    named = row.get("answers")
    if "text" in row or named is None:
        found = [(row.get("text") or "", row.get("answer_start") or 0)]
    elif isinstance(named, dict):
        found = list(zip(named.get("text") or [], named.get("answer_start") or [], strict=False))
    else:
        found = [(one.get("text"), one.get("answer_start")) if isinstance(one, dict) else (one, None) for one in named]
    whole = []
    for text, told in found:
        start = int(told) if isinstance(told, str) and told.strip().isdecimal() else told
        if not isinstance(text, str) or not isinstance(start, int) or isinstance(start, bool):
            raise BadInput(
                f"{table.path}, row {number}: an answer is a text and answer_start a whole number, got {told!r}"
            )
        whole.append((table.as_read(text), start))
    return whole


def read_pairs(path: Path, how: How = AS_IT_LOOKS) -> list[Pair]:
    """JSON Lines (or CSV) of query, passage and label 0 or 1; or of query, positive and a list of negatives.

    Raises BadInput.
    """
    table = read_rows(path, how)
    queries = table.texts("query", "rows need query, passage and label, or query, positive and negatives")
    found = []
    for query, row, number in zip(queries, table.dicts(), table.numbers, strict=True):
        if "positive" in row:
            negatives = row.get("negatives", [])
            passages: list[Any] = [row["positive"], *negatives] if isinstance(negatives, list) else [None]
            if not all(isinstance(passage, str) for passage in passages):
                raise BadInput(f"{path}, row {number}: positive must be a text and negatives a list of texts")
            found += [Pair(query, one, float(place == 0), number) for place, one in enumerate(passages)]
            continue
        passage = row.get("passage")
        try:
            label = float(row["label"])
        except (KeyError, TypeError, ValueError):
            label = -1.0
        if not 0 <= label <= 1 or not isinstance(passage, str):
            raise BadInput(f"{path}, row {number}: needs a passage and a label from 0 to 1, or positive and negatives")
        found.append(Pair(query, passage, label, number))
    if silent := [pair.row for pair in found if not pair.query.strip() or not pair.passage.strip()]:
        raise BadInput(f"{path}, {listed(silent)}: no query or an empty passage; fill it in, or leave the row out")
    if len({pair.label for pair in found}) < 2:
        raise BadInput(f"{path}: every label is {found[0].label:g}; ranking is learned from good and bad passages")
    return found


def alike(text: str) -> str:
    """The same for texts that differ in case, white space and Unicode's ways to write one character (NFKC) alone."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


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

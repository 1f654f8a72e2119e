"""Labels as people give them: apart by commas, or in a table of labelled examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genarium.data.delimited import listed
from genarium.data.tables import pick, read_table, require_rows
from genarium.errors import BadInput
from genarium.progress import note


def read_labels(given: Sequence[str] | None) -> list[str] | None:
    """Labels apart by commas as a list. Raises BadInput where one is empty, there twice or alone."""
    if given is None:
        return None
    labels = [label.strip() for item in given for label in item.split(",")]
    if not all(labels):
        raise BadInput(f"a label is empty in {','.join(given)!r}; put one word or more between the commas")
    return _choice(labels)


def _choice(labels: list[str]) -> list[str]:
    """The same labels. Raises BadInput where one is there twice or alone."""
    folded = [label.casefold() for label in labels]
    if twice := [label for label in labels if folded.count(label.casefold()) > 1]:
        raise BadInput(f"label {twice[0]!r} is there twice; name each label once")
    if len(labels) < 2:
        raise BadInput(f"labels must be at least two, got only {labels[0]!r}; name what else a text can be")
    return labels


def read_examples(
    path: Path, text_column: str | None, label_column: str, labels: Sequence[str] | None
) -> tuple[list[tuple[str, str]], list[str]]:
    """Labelled examples from a table, as pairs of text and label, and the labels: those given, or those that occur.

    The text is in `text_column`, else in the only other column, else in `text`. Raises BadInput.
    """
    table = require_rows(read_table(path))
    found = [label.strip() for label in table.texts(label_column, "name the one with the labels with label_column")]
    others = [name for name in table.columns if name != label_column]
    texts = table.texts(text_column or (others[0] if len(others) == 1 else pick(table, None)))
    rows = list(zip(texts, found, table.numbers, strict=True))
    if empty := [number for text, label, number in rows if not text.strip() or not label]:
        note(f"{path.name}: {listed(empty)} of the examples have no text or no label and are left out")
        rows = [row for row in rows if row[2] not in set(empty)]
    if not rows:
        raise BadInput(f"{path} has no row with both a text and a label; fill some in")
    known = {label.casefold(): label for label in labels or _choice(sorted({label for _, label, _ in rows}))}
    examples = []
    for text, label, number in rows:
        if label.casefold() not in known:
            raise BadInput(
                f"{path}, row {number}: its label {label!r} is none of {', '.join(known.values())}; "
                "correct it, or name all labels"
            )
        examples.append((text, known[label.casefold()]))
    if missing := [label for label in known.values() if label not in {given for _, given in examples}]:
        raise BadInput(f"{path} has no example of {missing[0]!r}; give at least one of each label")
    return examples, list(known.values())

"""Labels as people give them: apart by commas, or in a table of labelled examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genarium.data.tables import PLAIN, column, read_table
from genarium.errors import BadInput


def read_labels(given: Sequence[str] | None) -> list[str] | None:
    """Labels apart by commas as a list. Raises BadInput where one is empty, there twice or alone."""
    if given is None:
        return None
    labels = [label.strip() for item in given for label in item.split(",")]
    if not all(labels):
        raise BadInput(f"a label is empty in {','.join(given)!r}; put one word or more between the commas")
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
    table = read_table(path)
    found = column(table, label_column, path)
    others = [name for name in table[0] if name != label_column]
    texts = column(table, text_column or (others[0] if len(others) == 1 else PLAIN), path)
    known = {label.casefold(): label for label in labels or read_labels(sorted(set(found))) or []}
    examples = []
    for number, (text, label) in enumerate(zip(texts, found, strict=True), 1):
        if label.strip().casefold() not in known:
            raise BadInput(
                f"{path}, example {number}: its label {label!r} is none of {', '.join(known.values())}; "
                "correct it, or name all labels with --labels"
            )
        examples.append((text, known[label.strip().casefold()]))
    if missing := [label for label in known.values() if label not in {given for _, given in examples}]:
        raise BadInput(f"{path} has no example of {missing[0]!r}; give at least one of each label")
    return examples, list(known.values())

"""One interface over the three ways to give texts labels: a trained head, an encoder's vectors, a language model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from genarium.decoding.ranking import log_softmax
from genarium.engines.classify.sequence_classifier import NativeHead
from genarium.errors import BadCheckpoint, BadInput, excerpt
from genarium.progress import note
from genarium.rows import Row, rows

CHUNK = 256
"""Texts computed together. Rows are finished a chunk at a time, whatever was finished before a stop."""


class Classifier(Protocol):
    """`way` says in a sentence how the labels are found; `n_cut` texts were longer than `context` tokens so far."""

    labels: list[str]
    way: str

    @property
    def context(self) -> int: ...
    @property
    def n_cut(self) -> int: ...

    def log_probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), L) float64: the logarithm of each label's probability, a row's summing to 1."""


class TrainedHead:
    """softmax over the scores of a checkpoint that was fine-tuned to classify.

    `labels`, where given, must be the head's own, in any order and case. Raises BadInput, BadCheckpoint.
    """

    def __init__(self, head: NativeHead, reference: str, labels: Sequence[str] | None = None):
        if len(head.labels) < 2:
            raise BadCheckpoint(f"{reference} gives one score, not labels; it can order passages: genarium rank")
        if head.problem == "multi_label_classification":
            raise BadCheckpoint(f"{reference} was trained to give a text several labels at once, not one of them")
        if head.problem == "regression":
            raise BadCheckpoint(
                f"{reference} was trained to give a text scores ({', '.join(head.labels)}), not one of several labels; "
                "run it with transformers"
            )
        if len(set(head.labels)) < len(head.labels):
            twice = next(label for label in head.labels if head.labels.count(label) > 1)
            raise BadCheckpoint(
                f"{reference} names two of its labels {twice!r}; give them names of their own in config.json"
            )
        outputs = _outputs(head.labels, labels if labels is not None else head.labels)
        if outputs is None:
            raise BadInput(
                f"{reference} was trained on the labels {', '.join(head.labels)}, got {', '.join(labels or ())}; leave "
                "out --labels, or use a model that takes any: starter/encoder"
            )
        self.head, self.labels, self.outputs = head, list(labels or head.labels), outputs
        self.way = f"a head trained on the labels {', '.join(self.labels)}"

    @property
    def context(self) -> int:
        return self.head.context

    @property
    def n_cut(self) -> int:
        return self.head.n_cut

    def log_probabilities(self, texts: Sequence[str]) -> np.ndarray:
        scores = log_softmax(self.head.scores(texts, tell=False))
        return scores[:, self.outputs]  # the same sums in whatever order they are asked


def _outputs(own: Sequence[str], asked: Sequence[str]) -> list[int] | None:
    """The outputs of the labels asked for: all of a head's own, in any order, and in any case where that is enough to
    tell them apart; None where they are others.
    """
    for read in (str, str.casefold):
        known = [read(label) for label in own]
        if sorted(map(read, asked)) == sorted(known) and len(set(known)) == len(known):
            return [known.index(read(label)) for label in asked]
    return None


def label_rows(classifier: Classifier, texts: Sequence[str]) -> list[Row]:
    """A row a text: `text`, `label`, and `probabilities` by label, to six decimals; of an empty text None and none.

    Rows that a stopped run of the same recipe finished are taken over. A chunk is computed whole even where its
    first rows are there, since what shares a batch can change a sum's last digit.
    """
    kept = rows()
    done = len(kept.begin(len(texts)))
    cut_before = classifier.n_cut  # a model stays open from run to run
    for begin in range(done - done % CHUNK, len(texts), CHUNK):
        chunk = texts[begin : begin + CHUNK]
        said = [text for text in chunk if text.strip()]
        found = iter(np.exp(classifier.log_probabilities(said)) if said else [])
        for place, text in enumerate(chunk, begin):
            row = next(found) if text.strip() else None
            if place >= done:
                kept.add(_row(text, row, classifier.labels))
    if cut := classifier.n_cut - cut_before:
        note(f"{cut} of {len(texts)} texts are longer than {classifier.context} tokens and were read up to there")
    return list(kept.done)


def _row(text: str, probabilities: np.ndarray | None, labels: Sequence[str]) -> Row:
    if probabilities is None:
        return {"text": text, "label": None, "probabilities": {}}
    shares = dict(zip(labels, (round(float(p), 6) for p in probabilities), strict=True))
    return {"text": text, "label": labels[int(probabilities.argmax())], "probabilities": shares}


def columns(labels: Sequence[str], found: Sequence[Row]) -> dict[str, list[Any]]:
    """The rows as columns of a table: the label, and each label's probability in one of its own."""
    shares = {f"probability_{label}": [row["probabilities"].get(label) for row in found] for label in labels}
    return {"label": [row["label"] for row in found]} | shares


def counts(labels: Sequence[str], found: Sequence[Row]) -> dict[str, int]:
    """How many texts have each label, none left out; empty texts have none."""
    counted = Counter(row["label"] for row in found if row["label"] is not None)
    return {label: counted[label] for label in labels}


def summary(counted: dict[str, int]) -> str:
    """'There are 3 positive and 2 negative.'"""
    parts = [f"{n} {label}" for label, n in counted.items()]
    verb = "is" if next(iter(counted.values())) == 1 else "are"
    return f"There {verb} {', '.join(parts[:-1])} and {parts[-1]}."


def table(found: Sequence[Row], width: int = 100) -> str:
    """Label, its probability and the text, a line each; of an empty text neither."""
    longest = max(len(row["label"] or "") for row in found)

    def line(row: dict[str, Any]) -> str:
        if row["label"] is None:
            return f"{'-':<{longest}}  {'-':<5}  (empty)"
        return f"{row['label']:<{longest}}  {row['probabilities'][row['label']]:.3f}  {excerpt(row['text'], width)}"

    return "\n".join(map(line, found))

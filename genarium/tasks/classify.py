"""`classify`: give every text one of a few labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from annotated_doc import Doc
from annotated_types import MinLen

from genarium.artefacts import Records
from genarium.data.tables import Delimiter, Encoding, How, NoHeader, given
from genarium.engines import registry
from genarium.engines.languages import tell_of_other_languages
from genarium.progress import note
from genarium.tasks.options import BACKEND, Backend, usual
from genarium.tasks.task import task


@task(starter="encoder", pins={"backend": BACKEND, "calibrate": usual("calibrate", False)})
def classify(
    texts: Annotated[list[str] | None, Doc("the texts; - reads one a line from standard input"), MinLen(1)] = None,
    *,
    labels: Annotated[
        list[str] | None, Doc("the labels to choose among, apart by commas; a trained head knows its own"), MinLen(1)
    ] = None,
    file: Annotated[Path | None, Doc("a .csv, .tsv or .jsonl file, or plain lines, in place of texts")] = None,
    column: Annotated[str | None, Doc("where the file has its texts [default: the only column, or text]")] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    few_shot: Annotated[Path | None, Doc("a table of labelled examples to learn from")] = None,
    label_column: Annotated[str, Doc("where the examples have their labels"), MinLen(1)] = "label",
    template: Annotated[
        str | None,
        Doc("zero-shot: a sentence with {label} in it; generative: a prompt with {text} that the label continues"),
    ] = None,
    calibrate: Annotated[
        bool | None,
        Doc("generative: leave out of the count what the model would say of any text [default: of starter/chat]"),
    ] = None,
    backend: Backend = "auto",
    model: Annotated[
        str, Doc("decides the way: a fine-tuned head, an encoder (zero-shot, few-shot), or a generative model")
    ] = "starter",
) -> Iterator[Records]:
    """Give every text one of a few labels, and count them.

    Written as .csv, the file's own columns are followed by the label and each label's probability. An empty text has
    neither, and is not counted.
    """
    from genarium.data.labels import read_examples, read_labels

    how = How(delimiter, encoding, header=not no_header)
    asked = given(texts, file, column, how, of_empty="they are given no label, and are not counted")
    tell_of_other_languages(model, "encoder", asked.texts)
    named = read_labels(labels)
    examples: list[tuple[str, str]] = []
    if few_shot is not None:
        # The examples' columns have names, whatever those of the file are called.
        examples, named = read_examples(few_shot, None if no_header else column, label_column, named)
    classifier = registry.open_classifier(
        model, labels=named, examples=examples, template=template, calibrate=bool(calibrate), backend=backend
    )
    from genarium.engines.classify.protocol import columns, counts, label_rows, summary, table

    note(classifier.way)
    found = label_rows(classifier, asked.texts)
    counted = counts(classifier.labels, found)
    names, cells = asked.table.with_columns(columns(classifier.labels, found))
    yield Records(
        rows=found,
        summary=summary(counted),
        shown=table(found),
        extra={"counts": counted, "way": classifier.way},
        columns=names,
        cells=cells,
        delimiter=asked.table.delimiter or ",",
        marked=asked.table.marked,
    )

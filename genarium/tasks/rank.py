"""`rank`: put passages in the order in which they answer a query."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from annotated_doc import Doc
from annotated_types import Ge, MinLen

from genarium.artefacts import Records
from genarium.data.tables import Delimiter, Encoding, How, NoHeader, given
from genarium.engines import registry
from genarium.engines.languages import tell_of_other_languages
from genarium.progress import note
from genarium.tasks.options import BACKEND, Backend
from genarium.tasks.task import task


@task(starter="encoder", pins={"backend": BACKEND})
def rank(
    query: Annotated[str, Doc("what is looked for"), MinLen(1)],
    passages: Annotated[
        list[str] | None, Doc("where it is looked for; - reads one a line from standard input"), MinLen(1)
    ] = None,
    *,
    file: Annotated[Path | None, Doc("a .csv, .tsv or .jsonl file, or plain lines, in place of passages")] = None,
    column: Annotated[str | None, Doc("where the file has its passages [default: the only column, or text]")] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    top_k: Annotated[int, Doc("keep this many, best first; 0 for all"), Ge(0)] = 0,
    backend: Backend = "auto",
    model: Annotated[
        str, Doc("decides the way: a head with one output reads query and passage together, an encoder apart")
    ] = "starter",
) -> Iterator[Records]:
    """Put passages in the order in which they answer a query."""
    how = How(delimiter, encoding, header=not no_header)
    asked = given(passages, file, column, how, what="passages").texts
    tell_of_other_languages(model, "encoder", [query, *asked])
    from genarium.engines.embed.rank import best, table

    ranker = registry.open_ranker(model, backend=backend)
    note(ranker.way)
    scores = ranker.scores(query, asked)
    rows = [
        {"rank": place, "number": number + 1, "score": round(float(scores[number]), 6), "text": asked[number]}
        for place, number in enumerate(best(scores, top_k), 1)
    ]
    yield Records(rows=rows, shown=table(rows), extra={"query": query, "passages": len(asked), "way": ranker.way})

"""`embed`: texts as vectors, and one word's vector in several sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from annotated_doc import Doc
from annotated_types import MinLen

from genarium.artefacts import Plot, Records, Vectors
from genarium.data.tables import Delimiter, Encoding, How, NoHeader, given
from genarium.engines import registry
from genarium.engines.languages import tell_of_other_languages
from genarium.errors import BadInput
from genarium.progress import note
from genarium.tasks.options import BACKEND, Backend
from genarium.tasks.task import task


@task(starter="encoder", pins={"backend": BACKEND})
def embed(
    texts: Annotated[list[str] | None, Doc("the texts; - reads one a line from standard input"), MinLen(1)] = None,
    *,
    file: Annotated[Path | None, Doc("a .csv, .tsv or .jsonl file, or plain lines, in place of texts")] = None,
    column: Annotated[str | None, Doc("where the file has its texts [default: the only column, or text]")] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    static: Annotated[bool, Doc("also the mean of the embedding table's rows, which no neighbour moves")] = False,
    compare: Annotated[bool, Doc("the first text is a word: show how its vector moves from text to text")] = False,
    backend: Backend = "auto",
    model: Annotated[str, Doc("starter, or a BERT, MiniLM, RoBERTa or DistilBERT as folder or hub id")] = "starter",
) -> Iterator[Vectors | Records | Plot]:
    """Turn texts into vectors, near each other where the meaning is.

    They are made as the model's folder says, and can be written as .safetensors, .npy or .jsonl.
    """
    asked = given(texts, file, column, How(delimiter, encoding, header=not no_header)).texts
    tell_of_other_languages(model, "encoder", asked)
    encoder = registry.open_encoder(model, backend=backend)
    if not compare:
        unit = encoder.sentence.similarity == "cosine"
        if not unit:
            note(f"{model} compares vectors by dot product, in which their lengths count: they are left as they are")
        if encoder.sentence.unused:
            note(
                f"{model} has prompts that rank, index and ask put before texts and embed does not, unless you write "
                f"them there: {encoder.sentence.unused}"
            )
        vectors = encoder.embed(asked, unit=unit)
        yield Vectors(texts=asked, embeddings=vectors, static=encoder.embed_static(asked) if static else None)
        return
    from genarium.artefacts.word_plot import plot_word
    from genarium.engines.embed.words import compare_word

    if len(asked) < 2:
        raise BadInput("--compare takes a word and then at least one text that has it")
    found = compare_word(encoder, asked[0], asked)
    yield Records(rows=found.rows(), shown=found.table(), summary=found.summary(), extra={"word": found.word})
    png = plot_word([place.short for place in found.places], found.contextual, found.static)
    yield Plot(
        item=1,
        png=png,
        caption=f"The vectors of {found.word!r} in {len(asked)} texts: contextual ones move, static ones do not",
    )

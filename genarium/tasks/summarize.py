"""`summarize`: say in short what a text says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from annotated_doc import Doc
from annotated_types import Ge, Interval, MaxLen, MinLen

from genarium.artefacts import Summary
from genarium.engines import registry
from genarium.engines.languages import tell_of_other_languages
from genarium.errors import BadInput
from genarium.signature import LONGEST_BOOK
from genarium.tasks.options import BACKEND, Backend
from genarium.tasks.task import task


@task(starter="encoder", pins={"backend": BACKEND})
def summarize(
    text: Annotated[
        str | None, Doc("the text; - reads it from standard input"), MinLen(1), MaxLen(LONGEST_BOOK)
    ] = None,
    *,
    file: Annotated[Path | None, Doc("a text file to read instead")] = None,
    sentences: Annotated[int | None, Doc("how many sentences; 3 where neither this nor ratio is given"), Ge(1)] = None,
    ratio: Annotated[
        float | None, Doc("how many sentences to choose, as a share of the text's"), Interval(gt=0, le=1)
    ] = None,
    lambda_: Annotated[
        float, Doc("1 chooses the most central sentences, lower ones less like each other"), Interval(ge=0, le=1)
    ] = 0.5,
    language: Annotated[str, Doc("the text's language, as in en, de, ja: where its sentences end"), MinLen(1)] = "en",
    max_new_tokens: Annotated[int | None, Doc("longest summary that a model writes, in tokens"), Ge(1)] = None,
    num_beams: Annotated[int | None, Doc("beams to search, of a sequence-to-sequence model"), Ge(1)] = None,
    length_penalty: Annotated[float | None, Doc("above 0 favours longer summaries in beam search")] = None,
    prefix: Annotated[
        str | None, Doc("what to put before the text; left out, what the model was trained with (T5: 'summarize: ')")
    ] = None,
    backend: Backend = "auto",
    model: Annotated[
        str,
        Doc(
            "an encoder (starter) chooses sentences; a T5, BART or Pegasus folder or hub id, a chat model or "
            "openai:NAME writes its own"
        ),
    ] = "starter",
) -> Iterator[Summary]:
    """Summarize a text.

    The starter chooses sentences of it; other models write their own.
    """
    from genarium.data.text import read
    from genarium.engines.summarize.summary import SummaryRequest

    if (text is None) == (file is None):
        raise BadInput("summarize takes a text, - for standard input, or --file FILE: give one of them")
    if sentences is not None and ratio is not None:
        raise BadInput("sentences and ratio both say how long the summary is; give one of them")
    whole = text if text is not None else read(file or Path())
    if not whole.strip():
        raise BadInput(f"{file} has no text in it; name a file with some")
    tell_of_other_languages(model, "encoder", [whole])
    request = SummaryRequest(
        sentences=sentences,
        ratio=ratio,
        lambda_=lambda_,
        language=language,
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
        length_penalty=length_penalty,
        prefix=prefix,
    )
    done = registry.open_summarizer(model, backend=backend).summarize(whole, request)
    yield Summary(
        prompt="",
        text=done.text,
        method=done.method,
        spans=[list(span) for span in done.spans],
        finish_reason=done.finish_reason,
        prompt_tokens=done.prompt_tokens,
        completion_tokens=done.completion_tokens,
    )

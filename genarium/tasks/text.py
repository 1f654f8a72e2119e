"""`text`: continue a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from annotated_doc import Doc
from annotated_types import Ge, Interval, MinLen

from genarium.artefacts import Text
from genarium.engines import registry
from genarium.engines.languages import tell_of_other_languages
from genarium.recipe import MAX_SEED
from genarium.tasks.options import (
    DECODER,
    Backend,
    JsonSchema,
    LogProbs,
    MinP,
    RepetitionPenalty,
    Stop,
    Temperature,
    TextDtype,
    TopK,
    TopP,
)
from genarium.tasks.task import task


@task(starter="text", pins=DECODER)
def text(
    prompt: Annotated[str, Doc("the text to continue; - reads it from standard input"), MinLen(1)],
    *,
    n: Annotated[int, Doc("how many continuations"), Interval(ge=1, le=256)] = 1,
    max_new_tokens: Annotated[int, Doc("longest continuation, in tokens"), Ge(1)] = 100,
    temperature: Temperature = 0.8,
    top_k: TopK = 0,
    top_p: TopP = 0.95,
    min_p: MinP = 0.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    stop: Stop = None,
    strict: Annotated[bool, Doc("refuse a prompt longer than the context instead of cutting its beginning")] = False,
    json_schema: JsonSchema = None,
    logprobs: LogProbs = None,
    dtype: TextDtype = "auto",
    backend: Backend = "auto",
    model: Annotated[str, Doc("starter, a folder, a GGUF file, a hub id, or openai:NAME")] = "starter",
    seed: Annotated[int | None, Doc("same seed, same text; drawn when not given"), Interval(ge=0, le=MAX_SEED)] = None,
) -> Iterator[Text]:
    """Continue a text."""
    from genarium.engines.text.protocol import TextRequest

    tell_of_other_languages(model, "text", [prompt])
    engine = registry.open_text(model, dtype=dtype, backend=backend)
    request = TextRequest(
        n=n,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        stop=stop or (),
        strict=strict,
        seed=seed or 0,
        json_schema=json_schema,
        logprobs=logprobs,
    )
    for completion in engine.write([prompt], request):
        yield Text(
            item=completion.row,
            prompt=prompt,
            text=completion.text,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            stats=completion.stats,
            logprobs=completion.logprobs,
        )

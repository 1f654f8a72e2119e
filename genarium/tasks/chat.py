"""`chat`: reply to a message, with the conversation before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_doc import Doc
from annotated_types import Ge, Interval, MinLen

from genarium.artefacts import Reply
from genarium.engines import registry
from genarium.engines.languages import tell_of_other_languages
from genarium.errors import BadInput
from genarium.messages import Message, conversation
from genarium.progress import note
from genarium.recipe import MAX_SEED
from genarium.tasks.options import (
    DECODER,
    Backend,
    JsonSchema,
    LogProbs,
    MinP,
    RepetitionPenalty,
    Stop,
    TextDtype,
    TopK,
    UsualTemperature,
    UsualTopP,
    usual,
)
from genarium.tasks.task import task

if TYPE_CHECKING:
    from genarium.engines.text.protocol import ChatRequest, Completion, TextEngine


TEMPERATURE, TOP_P = 0.8, 0.95
"""Where nobody says, and nothing is recommended of the model."""
ROUNDS = 4
"""How often replies that say what another does are written anew."""


@task(starter="chat", pins=DECODER | {"temperature": usual("temperature", TEMPERATURE), "top_p": usual("top_p", TOP_P)})
def chat(
    message: Annotated[str, Doc("what to say; - reads it from standard input"), MinLen(1)],
    *,
    model: Annotated[
        str,
        Doc(
            "a model that was taught to talk: starter, a folder, a GGUF file, a hub id such as "
            "Qwen/Qwen2.5-0.5B-Instruct, or openai:NAME"
        ),
    ] = "starter",
    system: Annotated[str | None, Doc("how the model should behave"), MinLen(1)] = None,
    messages: Annotated[
        list[Message] | None,
        Doc('what was said before, oldest first: {"role": "user" or "assistant", "content": "…"}; may be repeated'),
    ] = None,
    n: Annotated[int, Doc("how many replies"), Interval(ge=1, le=256)] = 1,
    max_new_tokens: Annotated[
        int | None,
        Doc("longest reply, in tokens [default: 512, or half of the model's context where that is less]"),
        Ge(1),
    ] = None,
    temperature: UsualTemperature = None,
    top_k: TopK = 0,
    top_p: UsualTopP = None,
    min_p: MinP = 0.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    stop: Stop = None,
    template: Annotated[
        Literal["checkpoint", "plain"],
        Doc("how the conversation is written for the model: its own chat template, or a plain transcript"),
    ] = "checkpoint",
    date: Annotated[
        str | None, Doc("today's date as YYYY-MM-DD, for templates that tell it; on the command line it is today's")
    ] = None,
    strict: Annotated[
        bool, Doc("refuse a conversation longer than the context instead of leaving out its oldest turns")
    ] = False,
    json_schema: JsonSchema = None,
    logprobs: LogProbs = None,
    dtype: TextDtype = "auto",
    backend: Backend = "auto",
    seed: Annotated[int | None, Doc("same seed, same reply; drawn when not given"), Interval(ge=0, le=MAX_SEED)] = None,
) -> Iterator[Reply]:
    """Talk with a model: one message, or a conversation."""
    from genarium.engines.text.protocol import ChatRequest, usual_reply

    said = conversation(system, messages or [], message)
    if any(turn["role"] == "system" for turn in said[1:]):
        raise BadInput("the system message comes first and once; give it with system, not among messages")
    tell_of_other_languages(model, "chat", [message])
    engine = registry.open_text(model, default="chat", dtype=dtype, backend=backend)
    request = ChatRequest(
        n=n,
        max_new_tokens=max_new_tokens or usual_reply(engine.context),
        temperature=TEMPERATURE if temperature is None else temperature,
        top_k=top_k,
        top_p=TOP_P if top_p is None else top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        stop=stop or (),
        strict=strict,
        seed=seed or 0,
        json_schema=json_schema,
        logprobs=logprobs,
        template=template,
        date=date,
    )
    for completion in _different(engine, said, request):
        yield Reply(
            item=completion.row,
            prompt=message,
            text=completion.text,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            stats=completion.stats,
            logprobs=completion.logprobs,
            messages=[*said, {"role": "assistant", "content": completion.text}],
        )


def _different(engine: TextEngine, said: list[Message], request: ChatRequest) -> Iterator[Completion]:
    """Replies, those of several that say what another does written anew: who asks for five wants five ideas."""
    seen: set[str] = set()
    alike: list[Completion] = []
    for attempt in range(ROUNDS):
        rows = [one.row for one in alike] or list(range(request.n))
        again = replace(request, n=len(rows), seed=(request.seed + attempt * request.n) % MAX_SEED)
        alike = []
        for completion in engine.reply(said, again):
            one = replace(completion, row=rows[completion.row])
            words = " ".join(one.text.casefold().split())
            if words in seen and request.temperature > 0:
                alike.append(one)
                continue
            seen.add(words)
            yield one
        if not alike:
            return
    note(f"{len(alike)} of {request.n} replies say what another does: the model has no more to say to this")
    yield from alike

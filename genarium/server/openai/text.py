"""OpenAI's `/v1/completions` and `/v1/chat/completions`, over the tasks `text` and `chat`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Len
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from genarium.errors import BadInput
from genarium.messages import Message
from genarium.recipe import MAX_SEED, Recipe
from genarium.run import Result
from genarium.server import errors
from genarium.server.desk import desk_of
from genarium.server.errors import Json, RequestRefused
from genarium.server.jobs import DONE, Job, JobEvent
from genarium.server.streams import event, stream

router = APIRouter(tags=["OpenAI"])


class StreamOptions(BaseModel):
    include_usage: bool = False


class ForModel(BaseModel):
    """Whom a request asks; where no model is named it is the task's own, or the one promoted for it."""

    model: str = "starter"

    def named_model(self) -> dict[str, Any]:
        """The argument `model`, where the client named one."""
        return {"model": self.model} if "model" in self.model_fields_set else {}

    def called(self, recipe: Recipe) -> str:
        """The model's name in the answer: as the client named it, else `starter`, or the one that was promoted."""
        used = "" if recipe.model is None else recipe.model.reference
        return self.named_model().get("model", "") or ("starter" if used.startswith("starter/") else used)


class Sampled(ForModel):
    """What text and chat requests have in common. OpenAI's names and defaults; the last three are ours."""

    n: int = Field(default=1, ge=1, le=128)
    temperature: float | None = Field(default=1.0, ge=0, le=2)
    top_p: float | None = Field(default=1.0, gt=0, le=1)
    stop: str | Annotated[list[str], Len(0, 16)] | None = None
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    stream: bool = False
    stream_options: StreamOptions | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, Any] | None = None
    user: str | None = None
    top_k: int = Field(default=0, ge=0)
    min_p: float = Field(default=0.0, ge=0, le=1)
    repetition_penalty: float = Field(default=1.0, gt=0)

    def refuse_what_is_lacking(self, *names: str) -> None:
        for name in ("presence_penalty", "frequency_penalty", "logit_bias", *names):
            if getattr(self, name):
                raise BadInput(f"{name} is not supported here; leave it out")

    def settings(self) -> dict[str, Any]:
        """The arguments of the task that are named alike."""
        return self.named_model() | {
            "n": self.n,
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop,
            "seed": self.seed,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
        }


class CompletionRequest(Sampled):
    prompt: str | Annotated[list[Any], Len(1, 8192), Field(description="texts")]
    max_tokens: int | None = Field(default=16, ge=1)
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: bool = False
    best_of: int | None = None
    suffix: str | None = None


class ContentPart(BaseModel):
    type: str
    text: str | None = None


class ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart]


class NamedSchema(BaseModel):
    name: str = "reply"
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(BaseModel):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class ChatCompletionRequest(Sampled):
    messages: Annotated[list[ChatMessage], Len(1, 4096)]
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = False
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    tools: list[Any] | None = None
    template: Literal["checkpoint", "plain"] = "checkpoint"


@router.post("/v1/completions", response_model=None)
async def completions(request: Request, asked: CompletionRequest) -> Response:
    """Continue texts."""
    asked.refuse_what_is_lacking("suffix")
    if asked.best_of not in (None, asked.n):
        raise BadInput("best_of is not supported here; leave it out")
    prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
    if not prompts or not all(isinstance(prompt, str) for prompt in prompts):
        raise BadInput("prompt must be text; prompts in tokens are not read here")
    desk = desk_of(request)
    settings = asked.settings() | {"max_new_tokens": asked.max_tokens or 16, "logprobs": asked.logprobs}
    recipes = await desk.prepare_all("text", [{"prompt": prompt, **settings} for prompt in prompts])
    head = _head(recipes[0], "cmpl", "text_completion", asked.called(recipes[0]))
    if asked.stream:
        pieces = _Pieces(asked.echo, prompts, asked.n)
        return await _streamed(request, recipes, head, pieces, asked)
    results = await desk.results(request, recipes)
    choices = [
        {
            "index": place * asked.n + artefact.item,
            "text": (prompts[place] if asked.echo else "") + artefact.facts()["text"],
            "finish_reason": artefact.facts()["finish_reason"],
            "logprobs": _legacy_logprobs(artefact.facts().get("logprobs")),
            "artefact": artefact.id,
        }
        for place, result in enumerate(results)
        for artefact in result
    ]
    return Json(head | {"choices": choices, "usage": usage_of(results)})


@router.post("/v1/chat/completions", response_model=None)
async def chat_completions(request: Request, asked: ChatCompletionRequest) -> Response:
    """Reply to the last message."""
    asked.refuse_what_is_lacking("tools")
    desk = desk_of(request)
    recipe = await desk.prepare("chat", chat_arguments(asked))
    head = _head(recipe, "chatcmpl", "chat.completion", asked.called(recipe))
    if asked.stream:
        head |= {"object": "chat.completion.chunk"}
        return await _streamed(request, [recipe], head, _Deltas(), asked)
    results = await desk.results(request, [recipe])
    choices = [
        {
            "index": artefact.item,
            "message": {"role": "assistant", "content": artefact.facts()["text"], "refusal": None},
            "finish_reason": artefact.facts()["finish_reason"],
            "logprobs": _chat_logprobs(artefact.facts().get("logprobs")),
            "artefact": artefact.id,
        }
        for artefact in results[0]
    ]
    return Json(head | {"choices": choices, "usage": usage_of(results)})


def chat_arguments(asked: ChatCompletionRequest) -> dict[str, Any]:
    """The chat task's arguments. Raises BadInput where the conversation is not one."""
    said = [message_of(message) for message in asked.messages]
    system = None
    if said[0]["role"] == "system":
        system, said = said[0]["content"] or None, said[1:]
    if not said or said[-1]["role"] != "user":
        raise BadInput("the last message must be the user's: it is what is replied to")
    return asked.settings() | {
        "message": said[-1]["content"],
        "messages": said[:-1] or None,
        "system": system,
        "max_new_tokens": asked.max_completion_tokens or asked.max_tokens,
        "template": asked.template,
        "date": time.strftime("%Y-%m-%d"),
        "json_schema": schema_of(asked.response_format),
        "logprobs": (asked.top_logprobs or 0) if asked.logprobs else None,
    }


def message_of(message: ChatMessage) -> Message:
    content = message.content
    if not isinstance(content, str):
        for part in content:
            if part.type not in ("text", "input_text", "output_text") or part.text is None:
                raise BadInput(f"a message's part of the type {part.type[:40]!r} is not read here; send text")
        content = "".join(part.text or "" for part in content)
    return {"role": "system" if message.role == "developer" else message.role, "content": content}  # type: ignore[typeddict-item]


def schema_of(asked: ResponseFormat | None) -> str | None:
    if asked is None or asked.type == "text":
        return None
    if asked.type == "json_object":
        return '{"type":"object"}'
    if asked.json_schema is None:
        raise BadInput("response_format json_schema needs json_schema with a schema in it")
    return json.dumps(asked.json_schema.schema_, sort_keys=True)


def usage_of(results: Sequence[Result]) -> dict[str, int]:
    """Tokens read and written; a prompt is counted once, however many texts continue from it."""
    read = sum(result[0].facts()["prompt_tokens"] for result in results if len(result))
    written = sum(artefact.facts()["completion_tokens"] for result in results for artefact in result)
    return _usage(read, written)


def _usage(read: int, written: int) -> dict[str, int]:
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _head(recipe: Recipe, prefix: str, kind: str, model: str) -> dict[str, Any]:
    digest = recipe.model.digest[:12] if recipe.model is not None else ""
    return {
        "id": f"{prefix}-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": f"fp_{digest}",
        "seed": recipe.seed,
        "recipe_sha256": recipe.digest,
    }


class _Pieces:
    """Choices of a streamed completion."""

    def __init__(self, echo: bool, prompts: Sequence[Any], n: int):
        self.echo, self.prompts, self.n = echo, prompts, n

    def first(self, index: int) -> dict[str, Any] | None:
        return self.piece(index, self.prompts[index // self.n], []) if self.echo else None

    def piece(self, index: int, text: str, logprobs: list[Any], **ended: Any) -> dict[str, Any]:
        told = _legacy_logprobs(logprobs) if logprobs else None
        return {"index": index, "text": text, "finish_reason": None, "logprobs": told} | ended


class _Deltas:
    """Choices of a streamed reply."""

    def first(self, index: int) -> dict[str, Any] | None:
        delta = {"role": "assistant", "content": "", "refusal": None}
        return {"index": index, "delta": delta, "finish_reason": None, "logprobs": None}

    def piece(self, index: int, text: str, logprobs: list[Any], **ended: Any) -> dict[str, Any]:
        told = _chat_logprobs(logprobs) if logprobs else None
        delta = {"content": text} if text else {}
        return {"index": index, "delta": delta, "finish_reason": None, "logprobs": told} | ended


async def _streamed(
    request: Request, recipes: Sequence[Recipe], head: dict[str, Any], shape: _Pieces | _Deltas, asked: Sampled
) -> Response:
    """Chunks as they come. Raises Refused, and what a task raised, where nothing was written yet."""
    desk = desk_of(request)
    jobs = await desk.begun(request, recipes)
    chunks = _chunks(jobs, head, shape, asked.stream_options, n=asked.n)
    return stream(chunks, ended=lambda: desk.leave(*jobs))


async def _chunks(
    jobs: Sequence[Job], head: dict[str, Any], shape: _Pieces | _Deltas, options: StreamOptions | None, *, n: int
) -> AsyncIterator[bytes]:
    """The stream of chunks, `[DONE]` last; before it, where one occurs, an error as an object with `error`."""
    begun: set[int] = set()
    held: dict[int, list[Any]] = defaultdict(list)
    read = written = 0
    try:
        async for place, told in together(jobs):
            index = place * n + int(told.data.get("item", 0))
            if told.name == "end" and told.data["status"] != DONE:
                raise _Failed(told.failure())
            if told.name == "gap":
                raise RequestRefused(
                    503,
                    f"texts are written faster than this stream is read: {told.data['missed']} pieces are gone; "
                    "ask for fewer texts at once, or without stream",
                )
            if told.name not in ("writing", "logprob", "artefact"):
                continue
            if index not in begun:
                begun.add(index)
                if (first := shape.first(index)) is not None:
                    yield event(head | {"choices": [first]})
            if told.name == "logprob":
                held[index].append(told.data["token"])
            elif told.name == "writing":
                yield event(head | {"choices": [shape.piece(index, told.data["text"], held.pop(index, []))]})
            else:
                read += told.data["prompt_tokens"] if told.data["item"] == 0 else 0
                written += told.data["completion_tokens"]
                ended = {"finish_reason": told.data["finish_reason"], "artefact": told.data["id"]}
                yield event(head | {"choices": [shape.piece(index, "", held.pop(index, []), **ended)]})
        if options is not None and options.include_usage:
            yield event(head | {"choices": [], "usage": _usage(read, written)})
    except _Failed as failed:
        yield event({"error": failed.told})
    except Exception as error:
        yield event(errors.of(error)[1])
    yield event("[DONE]")


class _Failed(Exception):
    """A job of a stream that was not done; `told` is OpenAI's `error`."""

    def __init__(self, told: dict[str, Any]):
        super().__init__()
        self.told = told


async def together(jobs: Sequence[Job]) -> AsyncIterator[tuple[int, JobEvent]]:
    """The events of several jobs as they come, each with its job's place."""
    if len(jobs) == 1:
        async for told in jobs[0].follow():
            yield 0, told
        return
    coming: asyncio.Queue[tuple[int, JobEvent | None]] = asyncio.Queue(maxsize=64)

    async def pump(place: int) -> None:
        async for told in jobs[place].follow():
            await coming.put((place, told))
        await coming.put((place, None))

    pumps = [asyncio.create_task(pump(place)) for place in range(len(jobs))]
    try:
        left = len(jobs)
        while left:
            place, came = await coming.get()
            if came is None:
                left -= 1
            else:
                yield place, came
    finally:
        for task in pumps:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*pumps, return_exceptions=True)


def _chat_logprobs(told: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    if told is None:
        return None

    def with_bytes(one: dict[str, Any]) -> dict[str, Any]:
        # A token that is part of a character has no text of its own.
        whole = "\ufffd" not in one["token"]
        return {
            "token": one["token"],
            "logprob": one["logprob"],
            "bytes": list(one["token"].encode()) if whole else None,
        }

    return {
        "content": [
            with_bytes(one) | {"top_logprobs": [with_bytes(other) for other in one["top_logprobs"]]} for one in told
        ],
        "refusal": None,
    }


def _legacy_logprobs(told: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    if told is None:
        return None
    offsets, at = [], 0
    for one in told:
        offsets.append(at)
        at += len(one["token"])
    return {
        "tokens": [one["token"] for one in told],
        "token_logprobs": [one["logprob"] for one in told],
        "top_logprobs": [{other["token"]: other["logprob"] for other in one["top_logprobs"]} for one in told],
        "text_offset": offsets,
    }

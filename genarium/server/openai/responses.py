"""OpenAI's `/v1/responses`, over the task `chat`. Its id is its recipe's digest: what was said is in the ledger."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from annotated_types import Len
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from genarium.errors import BadInput
from genarium.ledger import Entry, Ledger
from genarium.messages import conversation
from genarium.recipe import MAX_SEED, Recipe
from genarium.server import errors
from genarium.server.desk import desk_of
from genarium.server.errors import Json, RequestRefused
from genarium.server.jobs import DONE, Job
from genarium.server.openai.text import ChatCompletionRequest, ChatMessage, ContentPart, ForModel, chat_arguments
from genarium.server.streams import event, stream

router = APIRouter(tags=["OpenAI"])


class InputMessage(BaseModel):
    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart]


class Format(BaseModel):
    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = "reply"
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextSettings(BaseModel):
    format: Format | None = None


class ResponseRequest(ForModel):
    input: str | Annotated[list[InputMessage], Len(1, 4096)]
    instructions: str | None = None
    previous_response_id: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=1.0, ge=0, le=2)
    top_p: float | None = Field(default=1.0, gt=0, le=1)
    text: TextSettings | None = None
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    stream: bool = False
    store: bool | None = True
    tools: list[Any] | None = None
    template: Literal["checkpoint", "plain"] = "checkpoint"


@router.post("/v1/responses", response_model=None)
async def responses(request: Request, asked: ResponseRequest) -> Response:
    """Reply, in OpenAI's newer form; `previous_response_id` continues a conversation."""
    if asked.tools:
        raise BadInput("tools are not supported here; leave them out")
    desk = desk_of(request)
    recipe = await desk.prepare("chat", chat_arguments(await _as_chat(asked)))
    asked.model = asked.called(recipe)
    if asked.stream:
        [job] = await desk.begun(request, [recipe])
        return stream(_events(job, recipe, asked), ended=lambda: desk.leave(job))
    [result] = await desk.results(request, [recipe])
    artefact = result[0]
    return Json(_response(asked, recipe, artefact.facts() | {"id": artefact.id}))


@router.get("/v1/responses/{response}")
async def show_response(response: str) -> Response:
    """A response that was made before."""
    entry = await _entry(response, missing=404)
    asked = ResponseRequest.model_validate({"input": entry.recipe.arguments["message"]})
    asked.model = entry.recipe.model.reference if entry.recipe.model is not None else ""
    return Json(_response(asked, entry.recipe, entry.facts | {"id": entry.id}))


async def _as_chat(asked: ResponseRequest) -> ChatCompletionRequest:
    before: list[dict[str, Any]] = []
    if asked.previous_response_id is not None:
        entry = await _entry(asked.previous_response_id, missing=400)
        said = entry.recipe.arguments
        # Instructions are not carried over: that is OpenAI's rule.
        before = [dict(turn) for turn in conversation(None, said.get("messages") or [], said["message"])]
        before.append({"role": "assistant", "content": entry.facts["text"]})
    new = [InputMessage(role="user", content=asked.input)] if isinstance(asked.input, str) else asked.input
    first = [{"role": "system", "content": asked.instructions}] if asked.instructions else []
    return ChatCompletionRequest(
        **asked.named_model(),
        messages=[ChatMessage(**turn) for turn in [*first, *before]]
        + [ChatMessage(role=turn.role, content=turn.content) for turn in new],
        max_completion_tokens=asked.max_output_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=asked.seed,
        template=asked.template,
        response_format=_format(asked),  # type: ignore[arg-type]
    )


def _format(asked: ResponseRequest) -> dict[str, Any] | None:
    wanted = asked.text.format if asked.text is not None else None
    if wanted is None or wanted.type != "json_schema":
        return None if wanted is None else {"type": wanted.type}
    if wanted.schema_ is None:
        raise BadInput("text.format json_schema needs a schema")
    return {"type": "json_schema", "json_schema": {"name": wanted.name, "schema": wanted.schema_}}


async def _entry(identifier: str, *, missing: int) -> Entry:
    def inside() -> list[Entry]:
        with Ledger() as ledger:
            return ledger.made_by(identifier.removeprefix("resp_").encode("utf-8", errors="replace").decode())

    made = [entry for entry in await run_in_threadpool(inside) if entry.kind == "chat"]
    if not made:
        raise RequestRefused(missing, f"no response {identifier[:80]!r}")
    return made[0]


def _response(asked: ResponseRequest, recipe: Recipe, made: dict[str, Any] | None) -> dict[str, Any]:
    """The response as JSON values; `made` has id and facts of the artefact, and is None while it is written."""
    cut = made is not None and made["finish_reason"] == "length"
    usage = None
    if made is not None:
        read, written = made["prompt_tokens"], made["completion_tokens"]
        usage = {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        }
    return {
        "id": f"resp_{recipe.digest}",
        "object": "response",
        "created_at": int(time.time()),
        "model": asked.model,
        "status": "in_progress" if made is None else "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "output": [] if made is None else [_message(recipe, made, "incomplete" if cut else "completed")],
        "parallel_tool_calls": False,
        "previous_response_id": asked.previous_response_id,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "text": {"format": {"type": "text"}},
        "tool_choice": "none",
        "tools": [],
        "store": True,
        "metadata": {},
        "usage": usage,
        "artefact": made["id"] if made is not None else None,
        "seed": recipe.seed,
        "recipe_sha256": recipe.digest,
    }


def _message(recipe: Recipe, made: dict[str, Any], status: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": made["text"], "annotations": [], "logprobs": []}
    return {"id": f"msg_{recipe.digest}", "type": "message", "role": "assistant", "status": status, "content": [part]}


async def _events(job: Job, recipe: Recipe, asked: ResponseRequest) -> AsyncIterator[bytes]:
    """OpenAI's events of a response that is one message of one part."""
    number = 0

    def told(name: str, **data: Any) -> bytes:
        nonlocal number
        written = event({"type": name, "sequence_number": number, **data}, name=name)
        number += 1
        return written

    try:
        place = {"item_id": f"msg_{recipe.digest}", "output_index": 0, "content_index": 0}
        empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        begun = _response(asked, recipe, None)
        item = {"id": place["item_id"], "type": "message", "role": "assistant", "content": []}
        yield told("response.created", response=begun)
        yield told("response.in_progress", response=begun)
        yield told("response.output_item.added", output_index=0, item=item | {"status": "in_progress"})
        yield told("response.content_part.added", **place, part=empty)
        async for one in job.follow():
            if one.name == "writing":
                yield told("response.output_text.delta", **place, delta=one.data["text"], logprobs=[])
            elif one.name == "artefact":
                cut = one.data["finish_reason"] == "length"
                message = _message(recipe, one.data, "incomplete" if cut else "completed")
                yield told("response.output_text.done", **place, text=one.data["text"], logprobs=[])
                yield told("response.content_part.done", **place, part=message["content"][0])
                yield told("response.output_item.done", output_index=0, item=message)
                whole = _response(asked, recipe, one.data)
                ended = "incomplete" if whole["incomplete_details"] else "completed"
                yield told(f"response.{ended}", response=whole)
            elif one.name == "end" and one.data["status"] != DONE:
                failed = one.failure()
                yield told("error", code=failed["code"], message=failed["message"], param=failed["param"])
    except Exception as error:
        failed = errors.of(error)[1]["error"]
        yield told("error", code=failed["code"], message=failed["message"], param=failed["param"])

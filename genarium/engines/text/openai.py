"""Texts by any OpenAI-compatible endpoint, through the official client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from genarium.engines.endpoint import Endpoint
from genarium.engines.text.protocol import ChatRequest, Clock, Completion, TextRequest, tell
from genarium.errors import RemoteError
from genarium.messages import Message
from genarium.progress import note


class OpenAIText(Endpoint):
    """Writes with the model called `model` behind the endpoint's `/completions`, replies behind `/chat/completions`.

    Raises RemoteError.
    """

    context = None
    chats = True

    def __init__(self, model: str):
        super().__init__(model)
        # OpenAI's own endpoint has replaced the name that everybody else's servers know.
        self.limit = "max_completion_tokens" if self.is_openai else "max_tokens"

    def write(self, prompts: Sequence[str], request: TextRequest) -> Iterator[Completion]:
        def create(prompt: int, settings: dict[str, Any]) -> Any:
            limit = {"max_tokens": request.max_new_tokens}
            return self.client.completions.create(prompt=prompts[prompt], **limit, **settings)

        if request.json_schema is not None:
            note("the OpenAI protocol has no schema for a continued text: json_schema was left out")
        return self._stream(create, lambda choice: choice.text, len(prompts), request)

    def reply(self, messages: Sequence[Message], request: ChatRequest) -> Iterator[Completion]:
        if request.template != "checkpoint":
            note(f"the endpoint applies the model's own chat template: template {request.template} was left out")

        if request.json_schema is not None:
            schema = {"name": "reply", "schema": json.loads(request.json_schema)}
            asked: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": schema}}
        else:
            asked = {}

        def create(_: int, settings: dict[str, Any]) -> Any:
            limit = {self.limit: request.max_new_tokens} | asked
            return self.client.chat.completions.create(messages=list(messages), **limit, **settings)

        return self._stream(create, lambda choice: choice.delta.content, 1, request)

    def _stream(
        self,
        create: Callable[[int, dict[str, Any]], Any],
        piece_of: Callable[[Any], str | None],
        n_prompts: int,
        request: TextRequest,
    ) -> Iterator[Completion]:
        """The samples of every prompt, one request each: its seed then makes it repeatable apart from the others."""
        import openai

        for setting, off in (("top_k", 0), ("min_p", 0.0), ("repetition_penalty", 1.0), ("logprobs", None)):
            if getattr(request, setting) != off:
                note(f"{setting} is not asked of an endpoint: it was left out")
        clock = Clock()
        total = request.max_new_tokens * request.n * n_prompts
        try:
            for row in range(n_prompts * request.n):
                prompt, sample = divmod(row, request.n)
                settings = {
                    "model": self.model,
                    "temperature": request.temperature,
                    "top_p": request.top_p,
                    "stop": list(request.stop) or None,
                    "seed": request.seed + sample,
                    "stream": True,
                    "stream_options": {"include_usage": True},
                }
                with create(prompt, settings) as stream:
                    yield self._read(stream, piece_of, row, clock, total)
        except (openai.OpenAIError, json.JSONDecodeError) as error:
            raise RemoteError(self.explained(error)) from None

    def _read(
        self, stream: Any, piece_of: Callable[[Any], str | None], row: int, clock: Clock, total: int
    ) -> Completion:
        text, reason, usage, pieces = "", "", None, 0
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                if piece := piece_of(choice):
                    pieces += 1
                    clock.token(row)
                    text += piece
                    tell(piece, row, clock.tokens, total)
                reason = choice.finish_reason or reason
        if not reason:
            raise RemoteError(
                f"{self.client.base_url} broke off in the middle of a text (after {len(text)} characters); "
                "give the same command again"
            )
        stats = clock.stats(row)
        made = usage.completion_tokens if usage else pieces
        read = usage.prompt_tokens if usage else 0
        return Completion(row, text, "stop" if reason == "stop" else "length", read, made, stats)

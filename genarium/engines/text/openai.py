"""Any OpenAI-compatible endpoint, through the official client: `OPENAI_BASE_URL` and `OPENAI_API_KEY` say where."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from genarium.engines.text.protocol import ChatRequest, Clock, Completion, TextRequest, tell
from genarium.errors import RemoteError
from genarium.messages import Message
from genarium.progress import note


class OpenAIText:
    """Writes with the model called `model` behind the endpoint's `/completions`, replies behind `/chat/completions`.

    Raises RemoteError.
    """

    context = None
    chats = True

    def __init__(self, model: str):
        import openai

        base = os.environ.get("OPENAI_BASE_URL")
        key = os.environ.get("OPENAI_API_KEY")
        if not base and not key:
            raise RemoteError(
                "openai: needs to know the endpoint; set OPENAI_BASE_URL (as http://127.0.0.1:8000/v1 for a server of "
                "your own) or OPENAI_API_KEY"
            )
        self.model = model
        self.client: Any = openai.OpenAI(base_url=base, api_key=key or "none", max_retries=1)
        # OpenAI's own endpoint has replaced the name that everybody else's servers know.
        self.limit = "max_tokens" if base else "max_completion_tokens"

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
            raise RemoteError(self._explained(error)) from None

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

    def _explained(self, error: Exception) -> str:
        import openai

        where = self.client.base_url
        body = getattr(error, "body", None)
        message = body.get("message") if isinstance(body, dict) else None
        said = str(message or error or type(error).__name__).splitlines()[0][:300].rstrip(".")
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return f"{where} refused the key: {said}; set OPENAI_API_KEY to one it knows"
            case openai.RateLimitError():
                return f"{where} asks for fewer requests, or the account has no credit left: {said}; try again later"
            case openai.NotFoundError():
                return f"{where} has no model {self.model!r}, or not this kind of request: {said}"
            case openai.APITimeoutError():
                return f"{where} did not answer in time; try again, or see whether its server is busy"
            case openai.APIConnectionError():
                cause = error.__cause__
                why = f" ({cause})" if cause and str(cause) else ""
                return (
                    f"the connection to {where} failed{why}; see that its server runs and that OPENAI_BASE_URL is right"
                )
        return f"{where} answered: {said}"

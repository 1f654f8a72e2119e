"""Any OpenAI-compatible endpoint, through the official client: `OPENAI_BASE_URL` and `OPENAI_API_KEY` say where."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from genarium.engines.text import Clock, Completion, TextRequest, tell
from genarium.errors import RemoteError
from genarium.progress import note


class OpenAIText:
    """Writes with the model called `model` behind the endpoint's `/completions`. Raises RemoteError."""

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

    def write(self, prompts: Sequence[str], request: TextRequest) -> Iterator[Completion]:
        import openai

        for setting, off in (("top_k", 0), ("min_p", 0.0), ("repetition_penalty", 1.0)):
            if getattr(request, setting) != off:
                note(f"the OpenAI protocol has no {setting}: it was left out")
        clock = Clock()
        total = request.max_new_tokens * request.n * len(prompts)
        try:
            for number, prompt in enumerate(prompts):
                for sample in range(request.n):
                    # One request a sample: its seed then makes it repeatable apart from the others.
                    yield self._one(prompt, request, number * request.n + sample, request.seed + sample, clock, total)
        except openai.OpenAIError as error:
            raise RemoteError(f"{self.client.base_url} answered: {_plain(error)}") from None

    def _one(self, prompt: str, request: TextRequest, row: int, seed: int, clock: Clock, total: int) -> Completion:
        stream = self.client.completions.create(
            model=self.model,
            prompt=prompt,
            max_tokens=request.max_new_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            stop=list(request.stop) or None,
            seed=seed,
            stream=True,
            stream_options={"include_usage": True},
        )
        text, reason, usage, pieces = "", "length", None, 0
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                if choice.text:
                    pieces += 1
                    clock.token(row)
                    text += choice.text
                    tell(choice.text, row, clock.tokens, total)
                reason = choice.finish_reason or reason
        stats = clock.stats(row)
        made = usage.completion_tokens if usage else pieces
        read = usage.prompt_tokens if usage else 0
        return Completion(row, text, "stop" if reason == "stop" else "length", read, made, stats)


def _plain(error: Exception) -> str:
    message = str(error) or type(error).__name__
    return message.splitlines()[0][:300]

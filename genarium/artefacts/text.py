"""Text that a model wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from genarium.artefacts.artefact import Artefact


@dataclass(kw_only=True)
class Text(Artefact):
    """`text` continues `prompt`; the file holds both. `finish_reason` is `stop` or `length`, lengths are tokens.

    `logprobs`, where asked for, has `token`, `logprob` (in nats) and `top_logprobs` of each token.
    """

    kind: ClassVar[str] = "text"
    suffix: ClassVar[str] = ".txt"
    media_type: ClassVar[str] = "text/plain; charset=utf-8"

    prompt: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    logprobs: list[dict[str, Any]] | None = None

    def content(self) -> bytes:
        return (self.prompt + self.text).encode("utf-8", errors="replace")

    def facts(self) -> dict[str, Any]:
        return {
            "prompt": self.prompt,
            "text": self.text,
            "finish_reason": self.finish_reason,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            **({} if self.logprobs is None else {"logprobs": self.logprobs}),
        }

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        return ()

    def in_words(self) -> str:
        return self.text

    def title(self) -> str:
        return " ".join((self.prompt + self.text).split())

    def __str__(self) -> str:
        return self.prompt + self.text

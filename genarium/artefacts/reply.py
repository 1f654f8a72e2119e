"""A reply in a conversation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from genarium.artefacts.text import Text
from genarium.messages import Message


@dataclass(kw_only=True)
class Reply(Text):
    """`text` answers `prompt`, the last message; the file holds the reply alone, its recipe all that was said before.

    `messages` is the conversation with this reply at its end: what the next call takes to continue.
    """

    kind: ClassVar[str] = "chat"

    messages: list[Message] = field(default_factory=list)

    def content(self) -> bytes:
        return self.text.encode("utf-8", errors="replace")

    def title(self) -> str:
        return " ".join(f"{self.prompt} → {self.text}".split())

    def __str__(self) -> str:
        return self.text

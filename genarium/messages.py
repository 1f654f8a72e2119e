"""A conversation is a list of messages; this is what one is, and how a person reads several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypedDict

from annotated_doc import Doc

Role = Literal["system", "user", "assistant"]


class Message(TypedDict):
    """One turn, in the field's own form (that of the OpenAI protocol and of chat templates)."""

    role: Annotated[Role, Doc("who says it")]
    content: Annotated[str, Doc("what is said")]


def conversation(system: str | None, messages: Sequence[Message], message: str) -> list[Message]:
    """All that the model reads: how to behave, what was said so far, and the new message."""
    first: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    return [*first, *messages, {"role": "user", "content": message}]


def transcript(messages: Sequence[Message]) -> str:
    """The conversation as a person reads it, each turn after its role."""
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)

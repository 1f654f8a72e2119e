"""What one request may ask for, found out before any work begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genarium.errors import BadInput
from genarium.server.settings import ServerSettings
from genarium.server.uploads import is_file
from genarium.tasks.task import Task

WRITING = ("text", "chat")
USUAL_TOKENS = 512
"""New tokens of a text where a request doesn't say: what a reply has at most (`engines/text/protocol.py`)."""
MOST_VALUES = 300_000
"""Values in a body of JSON. An empty list takes two bytes there and sixty in memory."""


def require_modest(settings: ServerSettings, task: Task, calls: Sequence[Mapping[str, Any]]) -> None:
    """Raises BadInput where the calls that one request makes of a task are more than it may ask for."""
    characters = sum(_characters(task, arguments) for arguments in calls)
    if characters > settings.max_text:
        raise BadInput(
            f"this request has {characters:,} characters of text; at most {settings.max_text:,} are read at once, so "
            "send less, or in several requests"
        )
    if task.name not in WRITING:
        return
    texts = sum(_number(arguments.get("n"), 1) for arguments in calls)
    if texts > settings.max_texts:
        raise BadInput(f"this request asks for {texts:,} texts; at most {settings.max_texts:,} are written at once")
    tokens = sum(
        _number(arguments.get("n"), 1) * _number(arguments.get("max_new_tokens"), USUAL_TOKENS) for arguments in calls
    )
    if tokens > settings.max_tokens:
        raise BadInput(
            f"this request asks for up to {tokens:,} new tokens; at most {settings.max_tokens:,} are written at once, "
            "so ask for fewer or shorter texts"
        )


def values_in(piece: bytes) -> int:
    """How many values a piece of JSON may hold at most: what stands in its texts is counted too."""
    return sum(map(piece.count, (b",", b"[", b"{", b":")))


def _characters(task: Task, arguments: Mapping[str, Any]) -> int:
    files = {parameter.name for parameter in task.parameters if is_file(parameter)}
    return sum(_length(value) for name, value in arguments.items() if name not in files)


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list | tuple) else 0


def _number(value: Any, usual: int) -> int:
    """A count where it is one; what is none is refused later, by its name."""
    return value if isinstance(value, int) and value > 0 else usual

"""Conversations and answered prompts from files, in the shapes that people have them in.

OpenAI's `messages`, ShareGPT's `conversations`, and pairs: TRL's `prompt` and `completion`, or a table's columns
`prompt` and `answer`. A prompt that is a text is continued; one that is a list of messages is replied to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from genarium.data.delimited import listed
from genarium.data.tables import AS_IT_LOOKS, How, Table, read_table, require_rows
from genarium.errors import BadInput, excerpt
from genarium.messages import Message, Role, transcript
from genarium.progress import note

Prompt = str | tuple[Message, ...]
"""A text to continue, or messages to reply to."""
SHAREGPT: Mapping[str, Role] = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant"}
"""ShareGPT's names of who speaks, beside `system`, `user` and `assistant`."""
PROMPTS = ("prompt", "instruction", "question")
ANSWERS = ("completion", "answer", "response", "output")


@dataclass(frozen=True)
class Example:
    """What is said after `prompt`: `answer`; of a conversation every reply of the assistant counts."""

    prompt: Prompt
    answer: str

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation. Only of one."""
        assert not isinstance(self.prompt, str)
        return (*self.prompt, {"role": "assistant", "content": self.answer})


def read_examples(path: Path, how: How = AS_IT_LOOKS) -> list[Example]:
    """Conversations or answered prompts, one a row. Rows without an answer are left out, which is said.

    Raises BadInput.
    """
    table = rows_of(path, how)
    found, empty = [], []
    for row, number in zip(table.dicts(), table.numbers, strict=True):
        example = _example(row, table, f"{path}, row {number}")
        if example.answer.strip():
            found.append(example)
        else:
            empty.append(number)
    if not found:
        raise BadInput(f"{path} has no row with an answer; give some rows one")
    if empty:
        note(f"{len(empty)} of {len(table.rows)} rows in {path.name} ({listed(empty)}) have no answer and are left out")
    return found


def read_prompts(path: Path, how: How = AS_IT_LOOKS) -> list[Prompt]:
    """Prompts, one a row: plain lines, a column `prompt`, or conversations that wait for a reply. Raises BadInput."""
    table = rows_of(path, how)
    found: list[Prompt] = []
    for row, number in zip(table.dicts(), table.numbers, strict=True):
        where = f"{path}, row {number}"
        if (said := conversation_of(row, where)) is not None:
            if said and said[-1]["role"] == "assistant":
                said = said[:-1]  # the answer that somebody gave is not asked for again
            found.append(_waiting(said, where))
        else:
            name = column(row, ("prompt", *PROMPTS, "text"), where)
            found.append(prompt_of(row[name], f"{where}, {name}"))
    return found


def rows_of(path: Path, how: How) -> Table:
    """The file's rows; BadInput where it has none."""
    return require_rows(read_table(path, how))


def conversation_of(row: Mapping[str, Any], where: str) -> tuple[Message, ...] | None:
    """The row's conversation, in OpenAI's shape or ShareGPT's; None where it has neither. Raises BadInput."""
    if row.get("messages") is not None:
        return messages_of(row["messages"], f"{where}, messages")
    if row.get("conversations") is None:
        return None
    said = messages_of(row["conversations"], f"{where}, conversations")
    system = row.get("system")
    if isinstance(system, str) and system.strip() and not (said and said[0]["role"] == "system"):
        return ({"role": "system", "content": system}, *said)
    return said


def messages_of(value: Any, where: str) -> tuple[Message, ...]:
    """A list of messages with `role` and `content`, or ShareGPT's `from` and `value`. Raises BadInput."""
    if not isinstance(value, list) or not value:
        raise BadInput(f'{where}: must be a list of messages, as in [{{"role": "user", "content": "Hello"}}]')
    found: list[Message] = []
    for number, one in enumerate(value, 1):
        at = f"{where}, message {number}"
        if not isinstance(one, dict):
            raise BadInput(f'{at}: must be an object as in {{"role": "user", "content": "Hello"}}')
        named: Any = one.get("role", one.get("from"))
        role: Any = SHAREGPT.get(str(named), named)
        if role not in get_args(Role):
            raise BadInput(
                f"{at}: the role {excerpt(str(named))!r} is not known; there are {', '.join(get_args(Role))}, and "
                f"ShareGPT's {', '.join(SHAREGPT)}"
            )
        content = one.get("content", one.get("value"))
        if not isinstance(content, str):
            raise BadInput(f"{at}: its content is no text; only conversations in words are learned from")
        if beyond := sorted(name for name in ("tool_calls", "function_call") if one.get(name)):
            raise BadInput(f"{at}: it has {beyond[0]}, which nothing here learns; leave the row out")
        found.append({"role": role, "content": content})
    return tuple(found)


def prompt_of(value: Any, where: str) -> Prompt:
    """A text or a list of messages. Raises BadInput."""
    if isinstance(value, str):
        if not value.strip():
            raise BadInput(f"{where}: the prompt is empty; give it some text, or leave the row out")
        return value
    return _waiting(messages_of(value, where), where)


def answer_of(value: Any, where: str) -> str:
    """A text, or the one message of the assistant that it comes in. Raises BadInput."""
    if isinstance(value, str):
        return value
    said = messages_of(value, where)
    if len(said) != 1 or said[0]["role"] != "assistant":
        raise BadInput(f"{where}: must be one message of the assistant, got {excerpt(transcript(said))!r}")
    return said[0]["content"]


def column(row: Mapping[str, Any], names: Sequence[str], where: str) -> str:
    """The first of these names that the row has. Raises BadInput."""
    found = next((name for name in names if row.get(name) is not None), None)
    if found is None:
        raise BadInput(f"{where}: has no {names[0]!r}; it has {', '.join(map(repr, row)) or 'nothing'}")
    return found


def _example(row: Mapping[str, Any], table: Table, where: str) -> Example:
    if (said := conversation_of(row, where)) is not None:
        turns = [place for place, message in enumerate(said) if message["role"] == "assistant"]
        if not turns:
            raise BadInput(f"{where}: the assistant says nothing in it; leave the row out")
        return Example(said[: turns[-1]], said[turns[-1]]["content"])
    name = column(row, ("prompt", *PROMPTS), where)
    prompt = prompt_of(row[name], f"{where}, {name}")
    if name == "instruction" and isinstance(prompt, str) and str(row.get("input") or "").strip():
        prompt = f"{prompt}\n\n{row['input']}"
    given = next((one for one in ANSWERS if row.get(one) is not None), None)
    answer = "" if given is None else answer_of(row[given], f"{where}, {given}")
    if given is None and not any(one in table.columns for one in ANSWERS):
        raise BadInput(f"{where}: has no answer; name its column one of {', '.join(ANSWERS)}")
    return Example(prompt, table.as_read(answer))


def _waiting(said: tuple[Message, ...], where: str) -> tuple[Message, ...]:
    if not said or said[-1]["role"] != "user":
        raise BadInput(f"{where}: a prompt must end with what the user says")
    return said

"""Two models' answers to the same prompts, in the ledger: what was answered before is not asked again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genarium.checkpoints.store.find import Found
from genarium.data.conversations import Prompt
from genarium.engines import registry
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.messages import transcript
from genarium.progress import emit, note
from genarium.recipe import Recipe
from genarium.run import prepare, run


@dataclass(frozen=True)
class Answer:
    """`artefact` is its id in the ledger."""

    artefact: str
    text: str


@dataclass(frozen=True)
class Pair:
    """A prompt with the answers of both models; `b_is_left` says on which side they are shown."""

    prompt: Prompt
    a: Answer
    b: Answer
    b_is_left: bool

    @property
    def sides(self) -> tuple[Answer, Answer]:
        """The left and the right one."""
        return (self.b, self.a) if self.b_is_left else (self.a, self.b)

    def winner(self, verdict: str) -> str:
        """`a`, `b` or `equal`, from `left`, `right` or `equal`."""
        if verdict == "equal":
            return verdict
        return "b" if (verdict == "left") == self.b_is_left else "a"


def task_for(models: Sequence[Found], prompts: Sequence[Prompt], asked: str | None) -> str:
    """What the models are asked to do: to reply where all were taught to, else to continue.

    Raises BadInput where prompts or what is asked for don't fit them, BadCheckpoint.
    """
    silent = [found for found in models if not registry.open_found(found, "text", dtype="auto", backend="auto").chats]
    talks = any(not isinstance(prompt, str) for prompt in prompts)
    if silent and (talks or asked == "chat"):
        why = "the prompts are conversations, but " if talks else ""
        raise BadInput(f"{why}{silent[0].reference} was not taught to talk: it has no chat template")
    if talks and asked == "text":
        raise BadInput("the prompts are conversations, which are replied to and not continued; leave out the task")
    return asked or ("text" if silent else "chat")


def pairs(
    models: tuple[Found, Found],
    prompts: Sequence[Prompt],
    *,
    task: str,
    settings: Mapping[str, Any],
    seed: int,
    ledger: Ledger,
) -> Iterator[Pair]:
    """Both answers to each prompt, with one seed a prompt, and the sides that the run's seed draws. Raises as `run`."""
    said: set[str] = set()
    for place, prompt in enumerate(prompts):
        drawn = hashlib.sha256(f"{seed} {place}".encode()).digest()
        asked = {"seed": int.from_bytes(drawn[:4], "big") >> 1, **settings, **arguments_of(prompt, task)}
        emit("answering", place, len(prompts))
        a, b = (_answer(prepare(task, **asked, model=found.reference), ledger, said) for found in models)
        yield Pair(prompt, a, b, b_is_left=bool(drawn[4] & 1))
    emit("answering", len(prompts), len(prompts))


def as_read(prompt: Prompt) -> str:
    """The prompt as a person, or a judge, reads it."""
    return prompt if isinstance(prompt, str) else transcript(prompt)


def arguments_of(prompt: Prompt, task: str) -> dict[str, Any]:
    """The prompt as the arguments of `text` or `chat`."""
    if isinstance(prompt, str):
        return {"message" if task == "chat" else "prompt": prompt}
    first, *rest = prompt
    system = first["content"] if first["role"] == "system" else None
    *before, last = rest if system is not None else prompt
    return {"system": system, "messages": before or None, "message": last["content"]}


def _answer(recipe: Recipe, ledger: Ledger, said: set[str]) -> Answer:
    for entry in ledger.made_by(recipe.digest):
        if entry.item == 0 and entry.state == "whole":
            return Answer(entry.id, entry.facts["text"])
    result = run(recipe, ledger=ledger)
    for told in result.notes:
        if told not in said:
            said.add(told)
            note(told)
    return Answer(result[0].id, result[0].facts()["text"])

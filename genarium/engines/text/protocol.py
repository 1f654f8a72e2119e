"""What an engine that writes text is, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from genarium.decoding.sampling import Sampling
from genarium.messages import Message
from genarium.progress import emit

LONGEST_REPLY = 512
"""Tokens, where nobody says how long a reply may be."""

TokenLogprob = dict[str, Any]
"""`token` (its text), `logprob` in nats, and `top_logprobs`: the likeliest ones in the same form."""


@dataclass(frozen=True)
class Completion:
    """One finished text. `row` is its place: prompt number times `n` plus sample number. Counts are tokens.

    `finish_reason` is `stop` (an end token or a stop string) or `length`.
    `stats`: `time_to_first_token` and `seconds`, of this row; `tokens_per_second`, of the whole batch so far.
    """

    row: int
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    stats: dict[str, float] = field(default_factory=dict)
    logprobs: list[TokenLogprob] | None = None


@dataclass(frozen=True)
class TextRequest(Sampling):
    """How to continue the prompts. The names and meanings are those of the `text` task."""

    n: int = 1
    stop: Sequence[str] = ()
    strict: bool = False
    json_schema: str | None = None


@dataclass(frozen=True)
class ChatRequest(TextRequest):
    """How to reply. `template` is `checkpoint` (the model's own) or `plain` (a transcript); `date` is today's."""

    template: str = "checkpoint"
    date: str | None = None


class TextEngine(Protocol):
    """Continues texts and conversations. New pieces of text are told as progress events with `item` the row."""

    @property
    def context(self) -> int | None:
        """How many tokens it holds, read and new ones; None where that is not known here."""

    @property
    def chats(self) -> bool:
        """Whether it was taught to reply: what is asked of it is then a message, else a text to continue."""

    def write(self, prompts: Sequence[str], request: TextRequest) -> Iterator[Completion]:
        """Each of the `n` samples of every prompt, as each is finished. Raises BadInput."""

    def reply(self, messages: Sequence[Message], request: ChatRequest) -> Iterator[Completion]:
        """Each of the `n` replies to the last message, as each is finished. Raises BadInput, BadCheckpoint."""


def usual_reply(context: int | None) -> int:
    """How many tokens a reply may have where nobody says: half of a small context is left to what was said."""
    return LONGEST_REPLY if context is None else max(1, min(LONGEST_REPLY, context // 2))


class _Sought:
    """A text that is looked for in pieces as they come, in time linear in them (Knuth, Morris & Pratt 1977)."""

    def __init__(self, text: str):
        self.text = text
        self.length = 0
        """How many characters of `text` what was read so far ends with."""
        self.shorter = [0] * len(text)  # of each beginning, the longest shorter one that it ends with
        for place in range(1, len(text)):
            self.shorter[place] = self._longer(self.shorter[place - 1], text[place])

    def find(self, piece: str) -> int | None:
        """Where in the piece the text ends first, or None; what was begun in one piece may end in another."""
        for place, character in enumerate(piece):
            self.length = self._longer(self.length, character)
            if self.length == len(self.text):
                return place + 1
        return None

    def _longer(self, length: int, character: str) -> int:
        while length and self.text[length] != character:
            length = self.shorter[length - 1]
        return length + 1 if self.text[length] == character else 0


class StopWatcher:
    """Lets text through as it comes, but holds back what may be the beginning of a stop string."""

    def __init__(self, stop: Sequence[str]):
        self.stop = [_Sought(s) for s in dict.fromkeys(stop) if s]
        self.text = ""
        self.shown = 0
        self.stopped = False

    def add(self, piece: str) -> str:
        """The part of the text that is now certain; sets `stopped`, and cuts `text`, at the first stop string."""
        before = len(self.text)
        self.text += piece
        ends = [(one, end) for one in self.stop if (end := one.find(piece)) is not None]
        if ends:
            self.text = self.text[: min(before + end - len(one.text) for one, end in ends)]
            self.stopped = True
            return self._show(len(self.text))
        held = max((one.length for one in self.stop), default=0)
        return self._show(len(self.text) - held)

    def rest(self) -> str:
        """What was held back, when the text has ended."""
        return self._show(len(self.text))

    def _show(self, until: int) -> str:
        new = self.text[self.shown : until]
        self.shown = max(self.shown, until)
        return new


class Clock:
    """Times a batch: first tokens by row, tokens a second over all rows."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.first: dict[int, float] = {}
        self.first_of_all = 0.0
        self.tokens = 0

    def token(self, row: int) -> None:
        self.tokens += 1
        if row not in self.first:
            self.first[row] = time.perf_counter() - self.began
            self.first_of_all = self.first_of_all or self.first[row]

    def stats(self, row: int) -> dict[str, float]:
        seconds = time.perf_counter() - self.began
        return {
            "time_to_first_token": self.first.get(row, seconds),
            "seconds": seconds,
            "tokens_per_second": self.tokens / seconds if seconds > 0 else 0.0,
        }


def tell(piece: str, row: int, done: int, total: int) -> None:
    """A new piece of text, as a progress event."""
    emit("writing", done, total, preview=piece, item=row)

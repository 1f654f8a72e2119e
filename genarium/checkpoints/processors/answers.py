"""Prompts and answers as tokens, alike wherever a model learns from them, answers them or judges them.

A prompt is a text, which the answer continues, or a conversation, which goes through the model's chat template. A model
that was taught no template reads a plain transcript, in which its end-of-text token ends a reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from genarium.checkpoints.processors import chat_template, tokenizer
from genarium.checkpoints.processors.chat_template import ChatTemplate
from genarium.errors import BadCheckpoint, BadInput
from genarium.messages import Message

Prompt = str | Sequence[Message]
"""A text to continue, or a conversation to reply to."""

TRANSCRIPT = chat_template.PLAIN.replace(
    "{% else %}\n{{ message.role",
    '{% elif message.role == "assistant" %}\nAssistant: {{ message.content | trim }}{{ eos_token }}\n'
    "{% else %}\n{{ message.role",
)
"""The plain transcript with an end after each reply: what a model without a template is taught to talk in."""


@dataclass(frozen=True)
class Answers:
    """How one model reads prompts and ends answers.

    `ends` are the tokens that end a text of its; `end` is the one that a continued text is ended with.
    `chats` says whether the template is its own.
    """

    tokenizer: Tokenizer
    template: ChatTemplate
    ends: frozenset[int]
    end: int
    chats: bool

    @classmethod
    def load(cls, path: Path, name: str, vocab_size: int | None = None) -> Answers:
        """Of the checkpoint in `path`, in messages called `name`. Raises BadCheckpoint."""
        made = tokenizer.load(path, vocab_size)
        ends = tokenizer.end_tokens(path, made, vocab_size)
        if not ends:
            raise BadCheckpoint(
                f"{name} names no eos_token, so its answers have no end; add eos_token_id to config.json"
            )
        end = min(ends)
        try:
            return cls(made, chat_template.load(path, name), ends, end, True)
        except BadCheckpoint:
            spelled = made.id_to_token(end) or ""
            return cls(made, ChatTemplate(TRANSCRIPT, (("eos_token", spelled),), name), ends, end, False)

    @cached_property
    def turn_end(self) -> int:
        """The token that ends a reply."""
        found = self.template.end_of_turn(self.tokenizer)
        return self.end if found is None else found

    def end_of(self, prompt: Prompt) -> int:
        """The token that ends an answer to this prompt."""
        return self.end if isinstance(prompt, str) else self.turn_end

    def ids(self, prompt: Prompt) -> list[int]:
        """What is read before the answer. Raises BadInput where a text has no token, or the template refuses it."""
        if not isinstance(prompt, str):
            return self.template.encode(self.tokenizer, prompt)
        found: list[int] = self.tokenizer.encode_batch_fast([prompt])[0].ids
        if not found:
            raise BadInput(f"the prompt {prompt!r} has no token this model knows; give it some text")
        return found

    def answer_ids(self, prompt: Prompt, answer: str) -> list[int]:
        """The answer after `ids(prompt)`, with the token that ends it."""
        before = self.ids(prompt)
        if isinstance(prompt, str):
            whole: list[int] = self.tokenizer.encode_batch_fast([prompt + answer])[0].ids
            if whole[: len(before)] == before:
                return [*whole[len(before) :], self.end]
            return [*self._apart(answer), self.end]  # a piece spans the border; what the model will read has none
        whole = self.template.encode(self.tokenizer, [*prompt, _said(answer)], reply=False)
        after = whole[len(before) :] if whole[: len(before)] == before else self._apart(answer)
        if self.turn_end in after:
            return after[: after.index(self.turn_end) + 1]
        return [*after, self.turn_end]

    def learned(self, messages: Sequence[Message]) -> list[tuple[list[int], list[bool]]]:
        """A conversation's tokens up to the end of its last reply, and which of them the assistant says.

        One text; one for each reply where the template writes earlier replies otherwise than it asks for them.
        """
        turns = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        parts = []
        for turn in turns:
            before = self.ids(messages[:turn])
            parts.append((before, self.answer_ids(messages[:turn], messages[turn]["content"])))
        texts = [
            ([*before, *answer], [False] * len(before) + [True] * len(answer)) for before, answer in parts if answer
        ]
        whole, marks = texts[-1]
        if all(whole[: len(ids)] == ids for ids, _ in texts):
            for ids, said in texts[:-1]:
                marks = [
                    one or other for one, other in zip(marks, said + [False] * (len(marks) - len(ids)), strict=True)
                ]
            return [(whole, marks)]
        return texts

    def whole(self, prompt: Prompt, answer: str) -> list[int]:
        """What a reward model reads: the text without an end, or all that the template writes of the conversation."""
        if isinstance(prompt, str):
            found: list[int] = self.tokenizer.encode_batch_fast([prompt + answer])[0].ids
            return found
        return self.template.encode(self.tokenizer, [*prompt, _said(answer)], reply=False)

    def _apart(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids
        return found


def _said(answer: str) -> Message:
    return {"role": "assistant", "content": answer}

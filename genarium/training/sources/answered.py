"""Texts of which some tokens are learned, as batches: answers after their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genarium.data.conversations import Example, Prompt
from genarium.errors import BadInput
from genarium.progress import emit, note
from genarium.training.policy import Policy
from genarium.training.sources.inputs import digest_of, padded


@dataclass(frozen=True)
class Answered:
    """Token ids of each text, and which of them are learned; the first never is."""

    ids: list[list[int]]
    marks: list[list[bool]]

    @classmethod
    def encode(cls, policy: Policy, examples: Sequence[Example], max_length: int, name: str) -> Answered:
        """Every reply of the assistant is learned, with its end. Says what is cut at `max_length`, or left out.

        Raises BadInput where nothing is left.
        """
        texts: list[tuple[list[int], list[bool]]] = []
        for number, example in enumerate(examples):
            emit("tokenizing", number + 1, len(examples))
            if isinstance(example.prompt, str):
                texts.append(answered(policy, example.prompt, example.answer))
            else:
                texts += policy.answers.learned(example.messages)
        fits = [(ids[:max_length], marks[:max_length]) for ids, marks in texts]
        kept = [(ids, marks) for ids, marks in fits if any(marks)]
        if texts and not kept:
            raise BadInput(
                f"every prompt in {name} is longer than the {max_length} tokens that are read; give a larger "
                "max_length, or shorter prompts"
            )
        if lost := len(fits) - len(kept):
            note(
                f"{lost} of {len(texts)} texts in {name} are left out: the prompt alone has {max_length} tokens or more"
            )
        if cut := sum(len(ids) > max_length for ids, _ in texts) - lost:
            note(f"{cut} of {len(texts)} texts in {name} are longer than {max_length} tokens and are read up to there")
        return cls([ids for ids, _ in kept], [marks for _, marks in kept])

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.ids]

    def block(self, places: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Tokens and marks (B, T) of these rows, zeros and False after the shorter."""
        tokens, _ = padded([self.ids[place] for place in places])
        marks, _ = padded([self.marks[place] for place in places])
        return tokens, marks.bool()

    def packed(self, places: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """The rows after each other: tokens and marks (1, sum of lengths), and the lengths (B,)."""
        tokens = torch.tensor([[token for place in places for token in self.ids[place]]])
        marks = torch.tensor([[mark for place in places for mark in self.marks[place]]])
        return tokens, marks, torch.tensor([len(self.ids[place]) for place in places])

    def digest(self) -> str:
        """sha256 of every token and mark, hexadecimal."""
        return digest_of(self.ids, [[int(mark) for mark in row] for row in self.marks])


def answered(policy: Policy, prompt: Prompt, answer: str) -> tuple[list[int], list[bool]]:
    """Prompt and answer as one text, of which the answer is marked."""
    before, after = policy.ids(prompt), policy.answer_ids(prompt, answer)
    return [*before, *after], [False] * len(before) + [True] * len(after)

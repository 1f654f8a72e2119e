"""Pairs of answers to one prompt as batches: the chosen ones, then the rejected ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from genarium.data.preferences import Preference
from genarium.errors import BadInput
from genarium.progress import emit, note
from genarium.training.policy import Policy
from genarium.training.sources.answered import Answered, answered


@dataclass(frozen=True)
class Pairs:
    """Pair i is the texts i (chosen) and n + i (rejected) of `texts`, each with its answer marked."""

    texts: Answered

    @classmethod
    def encode(cls, policy: Policy, preferences: Sequence[Preference], max_length: int, name: str) -> Pairs:
        """Pairs with a text of more than `max_length` tokens are left out, which is said: cut, neither is the answer
        that was judged. Raises BadInput where nothing is left."""
        found = []
        for number, pair in enumerate(preferences):
            emit("tokenizing", number + 1, len(preferences))
            found.append([answered(policy, pair.prompt, said) for said in (pair.chosen, pair.rejected)])
        kept = [pair for pair in found if all(len(ids) <= max_length for ids, _ in pair)]
        if found and not kept:
            raise BadInput(
                f"every pair in {name} has a text of more than {max_length} tokens; give a larger max_length, or "
                "shorter texts"
            )
        if lost := len(found) - len(kept):
            note(f"{lost} of {len(found)} pairs in {name} have a text of more than {max_length} tokens: left out")
        texts = [pair[side] for side in (0, 1) for pair in kept]
        return cls(Answered([ids for ids, _ in texts], [marks for _, marks in texts]))

    def __len__(self) -> int:
        return len(self.texts) // 2

    @property
    def lengths(self) -> list[int]:
        """Of the longer text of each pair."""
        both = self.texts.lengths
        return [max(pair) for pair in zip(both[: len(self)], both[len(self) :], strict=True)]

    def block(self, places: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Tokens and marks (2 B, T) of these pairs: the chosen, then the rejected."""
        return self.texts.block([*places, *(len(self) + place for place in places)])

"""Judged answers as batches: rankings, whose every pair that differs is compared, or answers with a score each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from genarium.checkpoints.processors.answers import Answers
from genarium.data.preferences import HIGHEST, LOWEST, Ranking, Scored
from genarium.errors import BadInput
from genarium.progress import emit, note
from genarium.training.sources.inputs import digest_of, padded


@dataclass(frozen=True)
class Rankings:
    """`ids[i]` are the texts of ranking i, and `pairs[i]` the places in it of each better and other answer."""

    ids: list[list[list[int]]]
    pairs: list[list[tuple[int, int]]]

    @classmethod
    def encode(cls, answers: Answers, rankings: Sequence[Ranking], max_length: int, name: str) -> Rankings:
        """Answers with which a text has more than `max_length` tokens are left out, which is said.

        Raises BadInput where nothing is left to compare.
        """
        ids, pairs, lost, total = [], [], 0, 0
        for number, ranking in enumerate(rankings):
            emit("tokenizing", number + 1, len(rankings))
            texts = [answers.whole(ranking.prompt, one) for one in ranking.answers]
            fits = {old: new for new, old in enumerate(i for i, t in enumerate(texts) if len(t) <= max_length)}
            lost, total = lost + len(texts) - len(fits), total + len(texts)
            if kept := [(fits[one], fits[other]) for one, other in ranking.pairs if one in fits and other in fits]:
                ids.append([texts[place] for place in fits])
                pairs.append(kept)
        if rankings and not ids:
            raise BadInput(
                f"no two answers in {name} can be compared within {max_length} tokens; give a larger max_length, or "
                "shorter texts"
            )
        if lost:
            note(f"{lost} of {total} answers in {name} have more than {max_length} tokens with their prompt: left out")
        return cls(ids, pairs)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> list[int]:
        """Of the longest text of each ranking."""
        return [max(map(len, texts)) for texts in self.ids]

    def block(self, places: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Tokens (N, T), their lengths (N,), the rows of each better and other text (2, P), and weights (P,): each pair
        counts as one over the pairs of its ranking, and over the rankings."""
        tokens, lengths = padded([text for place in places for text in self.ids[place]])
        compared, weights, first = [], [], 0
        for place in places:
            compared += [(first + better, first + other) for better, other in self.pairs[place]]
            weights += [1 / len(self.pairs[place]) / len(places)] * len(self.pairs[place])
            first += len(self.ids[place])
        return tokens, lengths, torch.tensor(compared).T, torch.tensor(weights)

    @property
    def texts(self) -> Iterator[list[int]]:
        """Every text."""
        return (text for texts in self.ids for text in texts)

    def digest(self) -> str:
        """sha256 of every token and pair, hexadecimal."""
        return digest_of(self.ids, self.pairs)


@dataclass(frozen=True)
class ScoredTexts:
    """Token ids of each text, and how good it is, from 0 to 1."""

    ids: list[list[int]]
    targets: list[float]

    @classmethod
    def encode(cls, answers: Answers, scored: Sequence[Scored], max_length: int, name: str) -> ScoredTexts:
        """Texts of more than `max_length` tokens are left out, which is said. Raises BadInput where nothing is left."""
        kept = []
        for number, one in enumerate(scored):
            emit("tokenizing", number + 1, len(scored))
            ids = answers.whole(one.prompt, one.answer)
            if len(ids) <= max_length:
                kept.append((ids, (one.score - LOWEST) / (HIGHEST - LOWEST)))
        if scored and not kept:
            raise BadInput(f"every text in {name} has more than {max_length} tokens; give a larger max_length")
        if lost := len(scored) - len(kept):
            note(f"{lost} of {len(scored)} answers in {name} have more than {max_length} tokens: left out")
        return cls([ids for ids, _ in kept], [target for _, target in kept])

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.ids]

    @property
    def texts(self) -> Iterator[list[int]]:
        """Every text."""
        return iter(self.ids)

    def block(self, places: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, T), their lengths (B,) and targets (B,)."""
        tokens, lengths = padded([self.ids[place] for place in places])
        return tokens, lengths, torch.tensor([self.targets[place] for place in places])

    def digest(self) -> str:
        """sha256 of every token and target, hexadecimal."""
        return digest_of(self.ids, self.targets)


def form_of(rankings: Sequence[Ranking | Scored], name: str) -> Literal["text", "chat"]:
    """What all prompts are. Raises BadInput where some are texts and some conversations: a score reads one of them."""
    texts = sum(isinstance(ranking.prompt, str) for ranking in rankings)
    if 0 < texts < len(rankings):
        raise BadInput(
            f"{texts} of {len(rankings)} prompts in {name} are plain text and the others conversations; a reward model "
            "reads one of the two, so split the file, or choose the form chat"
        )
    return "text" if texts else "chat"

"""The next token of rows that need have nothing in common: each with its own settings, random stream and grammar."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from genarium.decoding.sampling import Sampling, choose, penalise_repetition, random_stream


class Constraint(Protocol):
    """What may come next, token by token: a grammar that a text is held to."""

    def allowed(self) -> Tensor:
        """(V,) bool."""

    def accept(self, token: int) -> None:
        """Go on behind this token."""


@dataclass(frozen=True)
class Chosen:
    """A token with its log-probability and the likeliest ones', in nats and before any setting; 0 if not asked for."""

    token: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


class Row:
    """One text that is being written: settings, random stream (`sample` is its index within its prompt), grammar."""

    def __init__(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        sample: int,
        vocab_size: int,
        device: torch.device,
        constraint: Constraint | None = None,
    ):
        self.sampling, self.constraint = sampling, constraint
        self.stream = random_stream(sampling.seed, sample)
        self.seen: Tensor | None = None
        if sampling.repetition_penalty != 1:
            self.seen = torch.zeros(vocab_size, dtype=torch.bool, device=device)
            self.seen[torch.tensor(prompt, device=device)] = True


def rows_of(
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    samples: Sequence[int] | None,
    constraints: Sequence[Constraint | None] | None,
    vocab_size: int,
    device: torch.device,
) -> list[Row]:
    """A row for each prompt; without `samples` each is the first of its prompt, without `constraints` free."""
    indices = samples if samples is not None else [0] * len(prompts)
    grammars = constraints if constraints is not None else [None] * len(prompts)
    return [
        Row(prompt, sampling, index, vocab_size, device, grammar)
        for prompt, index, grammar in zip(prompts, indices, grammars, strict=True)
    ]


def choose_next(logits: Tensor, rows: Sequence[Row]) -> list[Chosen]:
    """A token for each row, from logits (len(rows), V) float32. A row's is the same whatever the others are."""
    alike = defaultdict(list)
    for place, row in enumerate(rows):
        s = row.sampling
        alike[s.temperature, s.top_k, s.top_p, s.min_p, s.repetition_penalty].append(place)
    chosen: list[int] = [0] * len(rows)
    for places in alike.values():
        group = [rows[place] for place in places]
        own = logits if len(places) == len(rows) else logits[torch.tensor(places, device=logits.device)]
        for place, token in zip(places, _choose_alike(own, group), strict=True):
            chosen[place] = token
    told = _log_probabilities(logits, rows, chosen)
    return [told.get(place, Chosen(token)) for place, token in enumerate(chosen)]


def _choose_alike(logits: Tensor, rows: Sequence[Row]) -> list[int]:
    """Tokens for rows of one setting."""
    sampling = rows[0].sampling
    if rows[0].seen is not None:
        seen = torch.stack([row.seen for row in rows if row.seen is not None])
        logits = penalise_repetition(logits, seen, sampling.repetition_penalty)
    if any(row.constraint is not None for row in rows):
        everything = torch.ones(logits.shape[-1], dtype=torch.bool)
        allowed = torch.stack([everything if row.constraint is None else row.constraint.allowed() for row in rows])
        logits = logits.masked_fill(~allowed.to(logits.device), -torch.inf)
    uniforms = None
    if sampling.temperature > 0:
        uniforms = torch.tensor(np.array([row.stream.random() for row in rows]))
    tokens: list[int] = choose(logits, sampling, uniforms).tolist()
    for row, token in zip(rows, tokens, strict=True):
        if row.seen is not None:
            row.seen[token] = True
        if row.constraint is not None:
            row.constraint.accept(token)
    return tokens


def _log_probabilities(logits: Tensor, rows: Sequence[Row], chosen: Sequence[int]) -> dict[int, Chosen]:
    """The rows that asked for log-probabilities, by place."""
    found = {}
    for place, row in enumerate(rows):
        if (wanted := row.sampling.logprobs) is None:
            continue
        shares = logits[place].log_softmax(dim=-1)
        best = shares.topk(min(wanted, len(shares)))
        top = tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        found[place] = Chosen(chosen[place], float(shares[chosen[place]]), top)
    return found

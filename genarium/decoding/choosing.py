"""The next token of rows that need have nothing in common: each with its own settings, random stream and grammar."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from genarium.decoding.ranking import Ranking
from genarium.decoding.sampling import Sampling, choose, penalise_repetition, random_stream


class Constraint(Protocol):
    """What may come next, token by token: a grammar that a text is held to."""

    def allowed(self) -> np.ndarray:
        """(V,) bool."""

    def accept(self, token: int) -> None:
        """Continue after this token."""


@dataclass(frozen=True)
class Chosen:
    """A token with its log-probability and the likeliest ones', in nats and before any setting; 0 if not asked for."""

    token: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


class SampledRow:
    """One text that is being written: settings, random stream (`sample` is its index within its prompt), grammar."""

    def __init__(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        sample: int,
        vocab_size: int,
        constraint: Constraint | None = None,
    ):
        self.sampling, self.constraint = sampling, constraint
        self.stream = random_stream(sampling.seed, sample)
        self.seen: np.ndarray | None = None
        if sampling.repetition_penalty != 1:
            self.seen = np.zeros(vocab_size, dtype=bool)
            self.seen[list(prompt)] = True


def rows_of(
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    samples: Sequence[int] | None,
    constraints: Sequence[Constraint | None] | None,
    vocab_size: int,
) -> list[SampledRow]:
    """A row for each prompt; without `samples` each is the first of its prompt, without `constraints` free."""
    indices = samples if samples is not None else [0] * len(prompts)
    grammars = constraints if constraints is not None else [None] * len(prompts)
    return [
        SampledRow(prompt, sampling, index, vocab_size, grammar)
        for prompt, index, grammar in zip(prompts, indices, grammars, strict=True)
    ]


def choose_next(logits: np.ndarray, rows: Sequence[SampledRow], ranking: Ranking) -> list[Chosen]:
    """A token for each row, from logits (len(rows), V) float32. A row's is the same whatever the others are."""
    alike = defaultdict(list)
    for place, row in enumerate(rows):
        s = row.sampling
        alike[s.temperature, s.top_k, s.top_p, s.min_p, s.repetition_penalty].append(place)
    chosen: list[int] = [0] * len(rows)
    for places in alike.values():
        group = [rows[place] for place in places]
        own = logits if len(places) == len(rows) else logits[places]
        for place, token in zip(places, _choose_alike(own, group, ranking), strict=True):
            chosen[place] = token
    told = _log_probabilities(logits, rows, chosen, ranking)
    return [told.get(place, Chosen(token)) for place, token in enumerate(chosen)]


def _choose_alike(logits: np.ndarray, rows: Sequence[SampledRow], ranking: Ranking) -> list[int]:
    """Tokens for rows of one setting."""
    sampling = rows[0].sampling
    if rows[0].seen is not None:
        seen = np.stack([row.seen for row in rows if row.seen is not None])
        logits = penalise_repetition(logits, seen, sampling.repetition_penalty)
    if any(row.constraint is not None for row in rows):
        everything = np.ones(logits.shape[-1], dtype=bool)
        allowed = np.stack([everything if row.constraint is None else row.constraint.allowed() for row in rows])
        logits = np.where(allowed, logits, -np.inf)
    uniforms = None
    if sampling.temperature > 0:
        uniforms = np.array([row.stream.random() for row in rows])
    tokens: list[int] = choose(logits, sampling, uniforms, ranking).tolist()
    for row, token in zip(rows, tokens, strict=True):
        if row.seen is not None:
            row.seen[token] = True
        if row.constraint is not None:
            row.constraint.accept(token)
    return tokens


def _log_probabilities(
    logits: np.ndarray, rows: Sequence[SampledRow], chosen: Sequence[int], ranking: Ranking
) -> dict[int, Chosen]:
    """The rows that asked for log-probabilities, by place."""
    found = {}
    for place, row in enumerate(rows):
        if (wanted := row.sampling.logprobs) is None:
            continue
        shares = ranking.log_softmax(logits[place : place + 1])
        [best] = ranking.likeliest(shares, min(wanted, shares.shape[-1]))
        top = tuple(zip(best.tolist(), shares[0, best].tolist(), strict=True))
        found[place] = Chosen(chosen[place], float(shares[0, chosen[place]]), top)
    return found

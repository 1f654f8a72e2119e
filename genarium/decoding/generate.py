"""Autoregressive decoding, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from genarium.decoding.choosing import Chosen, Constraint, choose_next, rows_of
from genarium.decoding.protocol import Decoder
from genarium.decoding.sampling import Sampling


@dataclass(frozen=True)
class NewToken:
    """`chosen` was generated for row `row`; `ended` says why it is the row's last: '', 'stop' or 'length'."""

    row: int
    chosen: Chosen
    ended: str = ""

    @property
    def token(self) -> int:
        return self.chosen.token


def generate(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    samples: Sequence[int] | None = None,
    end_tokens: AbstractSet[int] = frozenset(),
    finished: AbstractSet[int] = frozenset(),
    constraints: Sequence[Constraint | None] | None = None,
) -> Iterator[NewToken]:
    """Continue each prompt (token ids, at least one), yielding tokens as they come, row by row within a step.

    `samples[i]` is row i's index within its prompt and names its random stream; `constraints[i]` is its grammar.
    The caller may add rows to `finished` between tokens (a stop string was seen): they leave the batch at the next
    step.
    A row ends with an end token ('stop', the token itself is yielded) or after `max_new_tokens` ('length').
    Equal prompts are read once. Raises IndexError where prompt and new tokens exceed the model's context.
    """
    rows = list(range(len(prompts)))
    if not rows:
        return
    check_length(decoder, prompts, sampling)
    choosing = rows_of(prompts, sampling, samples, constraints, decoder.vocab_size)
    unique = {prompt: place for place, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
    state, logits = decoder.prefill(list(unique))
    which = [unique[tuple(prompt)] for prompt in prompts]
    if which != list(range(len(unique))):
        decoder.select(state, which)
        logits = logits[which]

    for step in range(sampling.max_new_tokens):
        chosen = choose_next(logits, [choosing[row] for row in rows], decoder.ranking)
        last = step == sampling.max_new_tokens - 1
        kept = []
        for place, (row, one) in enumerate(zip(rows, chosen, strict=True)):
            ended = "stop" if one.token in end_tokens else "length" if last else ""
            yield NewToken(row, one, ended)
            if not ended:
                kept.append(place)
        kept = [place for place in kept if rows[place] not in finished]
        if not kept:
            return
        if len(kept) < len(rows):
            decoder.select(state, kept)
            chosen, rows = [chosen[place] for place in kept], [rows[place] for place in kept]
        logits = decoder.step(state, np.array([[one.token] for one in chosen]))


def check_length(decoder: Decoder, prompts: Sequence[Sequence[int]], sampling: Sampling) -> None:
    """Raises IndexError where prompt and new tokens exceed the context."""
    longest = max((len(prompt) for prompt in prompts), default=0)
    if longest + sampling.max_new_tokens - 1 > decoder.context_length:
        raise IndexError(f"prompt and new tokens exceed the context of {decoder.context_length}")

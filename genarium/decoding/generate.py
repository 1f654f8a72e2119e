"""Autoregressive decoding with a key-value cache, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch

from genarium.decoding.choosing import Chosen, Constraint, choose_next, rows_of
from genarium.decoding.sampling import Sampling
from genarium.models.gpt import GPT, KeyValueCache


@dataclass(frozen=True)
class NewToken:
    """`chosen` was generated for row `row`; `ended` says why it is the row's last: '', 'stop' or 'length'."""

    row: int
    chosen: Chosen
    ended: str = ""

    @property
    def token(self) -> int:
        return self.chosen.token


@torch.inference_mode()
def generate(
    model: GPT,
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
    device = next(model.parameters()).device
    dtype = next(model.parameters()).dtype
    state = rows_of(prompts, sampling, samples, constraints, model.config.vocab_size, device)
    longest = max(len(prompt) for prompt in prompts)

    unique = list(dict.fromkeys(tuple(prompt) for prompt in prompts))
    capacity = longest + sampling.max_new_tokens - 1
    cache = KeyValueCache(model.config, len(unique), capacity, dtype=dtype, device=device)
    padded = torch.tensor([[0] * (longest - len(p)) + list(p) for p in unique], device=device)
    padding = torch.tensor([longest - len(p) for p in unique], device=device)
    ragged = bool(padding.any())
    logits = model(padded, cache=cache, padding=padding if ragged else None, last_only=True)[:, -1].float()
    which = torch.tensor([unique.index(tuple(prompt)) for prompt in prompts], device=device)
    if len(unique) < len(rows) or len(rows) > 1:
        cache.select(which)
        logits, padding = logits[which], padding[which]

    for step in range(sampling.max_new_tokens):
        chosen = choose_next(logits, [state[row] for row in rows])
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
            select = torch.tensor(kept, device=device)
            cache.select(select)
            chosen, padding = [chosen[place] for place in kept], padding[select]
            rows = [rows[place] for place in kept]
        tokens = torch.tensor([one.token for one in chosen], device=device)
        logits = model(tokens.unsqueeze(-1), cache=cache, padding=padding if ragged else None)[:, -1].float()

"""Autoregressive decoding with a key-value cache, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch

from genarium.decoding.sampling import RandomStreams, Sampling, choose, penalise_repetition
from genarium.models.gpt import GPT, KeyValueCache


@dataclass(frozen=True)
class NewToken:
    """`token` was generated for row `row`; `ended` says why it is the row's last: '', 'stop' or 'length'."""

    row: int
    token: int
    ended: str = ""


@torch.inference_mode()
def generate(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    samples: Sequence[int] | None = None,
    end_tokens: AbstractSet[int] = frozenset(),
    finished: AbstractSet[int] = frozenset(),
) -> Iterator[NewToken]:
    """Continue each prompt (token ids, at least one), yielding tokens as they come, row by row within a step.

    `samples[i]` is row i's index within its prompt and names its random stream. The caller may add rows to
    `finished` between tokens (a stop string was seen): they are dropped from the batch at the next step.
    A row ends with an end token ('stop', the token itself is yielded) or after `max_new_tokens` ('length').
    Equal prompts are read once. Raises IndexError where prompt and new tokens exceed the model's context.
    """
    rows = list(range(len(prompts)))
    if not rows:
        return
    device = next(model.parameters()).device
    dtype = next(model.parameters()).dtype
    streams = RandomStreams(sampling.seed, list(samples) if samples is not None else [0] * len(rows))
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

    seen = None
    if sampling.repetition_penalty != 1:
        seen = torch.zeros(logits.shape, dtype=torch.bool, device=device)
        for row, prompt in enumerate(prompts):
            seen[row, torch.tensor(prompt, device=device)] = True

    for step in range(sampling.max_new_tokens):
        if seen is not None:
            logits = penalise_repetition(logits, seen, sampling.repetition_penalty)
        uniforms = streams.draw(rows) if sampling.temperature > 0 else None
        chosen = choose(logits, sampling, uniforms)
        if seen is not None:
            seen[torch.arange(len(rows), device=device), chosen] = True
        last = step == sampling.max_new_tokens - 1
        kept = []
        for place, (row, token) in enumerate(zip(rows, chosen.tolist(), strict=True)):
            ended = "stop" if token in end_tokens else "length" if last else ""
            yield NewToken(row, token, ended)
            if not ended:
                kept.append(place)
        kept = [place for place in kept if rows[place] not in finished]
        if not kept:
            return
        if len(kept) < len(rows):
            select = torch.tensor(kept, device=device)
            cache.select(select)
            chosen, padding = chosen[select], padding[select]
            seen = seen[select] if seen is not None else None
            rows = [rows[place] for place in kept]
        logits = model(chosen.unsqueeze(-1), cache=cache, padding=padding if ragged else None)[:, -1].float()

"""How likely a language model finds each of a few continuations: a choice that can't be anything else.

Scoring the labels instead of reading a reply is how GPT-3 was rated on tasks with choices (Brown et al. 2020,
arXiv:2005.14165, section 2.4): whatever the model would rather have said, one of the labels is the likeliest.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.models.gpt import GPT, KeyValueCache
from genarium.models.rotary import LongScaling


@torch.inference_mode()
def log_likelihoods(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    *,
    max_tokens: int = 4096,
) -> Tensor:
    """log p(continuation | prompt), in nats, summed over the continuation's tokens: (prompts, continuations) float64.

    Prompts and continuations are token ids, at least one each. What all prompts begin with is read once; each prompt
    is then read once, with others of its length, and each continuation on from there. Nothing is ever padded.
    Raises IndexError where a prompt and a continuation exceed the model's context.
    """
    parameter = next(model.parameters())
    device, dtype = parameter.device, parameter.dtype
    out = torch.zeros(len(prompts), len(continuations), dtype=torch.float64)
    longest = max(len(continuation) for continuation in continuations)
    # At least the last token of every prompt is left, since its logits are what begins a continuation.
    shared = min(_common_prefix(prompts), min(map(len, prompts)) - 1)
    if isinstance(model.config.rope_scaling, LongScaling):  # a beginning is read otherwise where the whole is long
        shared = 0
    prefix = KeyValueCache(model.config, 1, shared, dtype=dtype, device=device)
    if shared:
        model(torch.tensor([prompts[0][:shared]], device=device), cache=prefix, last_only=True)
    for rows in _equally_long(prompts, max_tokens):
        tokens = torch.tensor([prompts[row][shared:] for row in rows], device=device)
        length = shared + tokens.shape[1]
        cache = KeyValueCache(model.config, len(rows), length + longest - 1, dtype=dtype, device=device)
        cache.keys[:, :, :, :shared], cache.values[:, :, :, :shared] = prefix.keys, prefix.values
        cache.length = shared
        first = F.log_softmax(model(tokens, cache=cache, last_only=True)[:, -1].double(), dim=-1)
        for number, continuation in enumerate(continuations):
            wanted = torch.tensor(continuation, device=device)
            total = first[:, wanted[0]]
            if len(continuation) > 1:
                cache.length = length  # what the last continuation left behind is written over
                logits = model(wanted[:-1].expand(len(rows), -1), cache=cache).double()
                following = F.log_softmax(logits, dim=-1)
                total = total + following.gather(-1, wanted[1:].expand(len(rows), -1).unsqueeze(-1)).sum(dim=(1, 2))
            out[rows, number] = total.cpu()
    return out


def _common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all rows begin with. The first and the last in sorted order differ where any two do."""
    low, high = min(map(tuple, rows)), max(map(tuple, rows))
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False)))


def _equally_long(prompts: Sequence[Sequence[int]], max_tokens: int) -> Iterator[list[int]]:
    """Places in `prompts`, those of one length together, in batches of at most `max_tokens` tokens."""
    by_length = defaultdict(list)
    for place, prompt in enumerate(prompts):
        by_length[len(prompt)].append(place)
    for length, places in sorted(by_length.items()):
        size = max(1, max_tokens // length)
        for begin in range(0, len(places), size):
            yield places[begin : begin + size]

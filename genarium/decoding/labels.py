"""How likely a language model finds each of a few continuations: a choice that can't be anything else.

Scoring the labels instead of reading a reply is how GPT-3 was rated on tasks with choices (Brown et al. 2020,
arXiv:2005.14165, section 2.4): whatever the model would rather have said, one of the labels is the likeliest.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from genarium.decoding.protocol import Decoder
from genarium.decoding.ranking import log_softmax


def log_likelihoods(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    *,
    max_tokens: int = 4096,
) -> np.ndarray:
    """log p(continuation | prompt), in nats, summed over the continuation's tokens: (prompts, continuations) float64.

    Prompts and continuations are token ids, at least one each. What all prompts begin with is read once; each prompt
    is then read once, with others of its length, and each continuation on from there. Nothing is ever padded.
    Raises IndexError where a prompt and a continuation exceed the model's context.
    """
    out = np.zeros((len(prompts), len(continuations)))
    # At least the last token of every prompt is left, since its logits are what begins a continuation.
    shared = min(_common_prefix(prompts), min(map(len, prompts)) - 1) if decoder.caches_prefixes else 0
    prefix = decoder.prefill([prompts[0][:shared]])[0] if shared else None
    for rows in _equally_long(prompts, max_tokens):
        if prefix is None:
            state, logits = decoder.prefill([prompts[row] for row in rows])
        else:
            state = decoder.join(None, prefix, [0] * len(rows))
            logits = decoder.step(state, np.array([prompts[row][shared:] for row in rows]))
        first = log_softmax(logits)
        for number, continuation in enumerate(continuations):
            total = first[:, continuation[0]]
            if len(continuation) > 1:
                rest = np.array(continuation)
                logits = decoder.score(state, np.tile(rest[:-1], (len(rows), 1)))
                total = total + log_softmax(logits)[:, np.arange(len(rest) - 1), rest[1:]].sum(axis=1)
            out[rows, number] = total
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

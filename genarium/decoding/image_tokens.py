"""Drawing the tokens of pictures for a prompt, one after the other, each picture from random numbers of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from genarium.decoding.sampling import RandomStreams, Sampling, choose
from genarium.models.dalle import ImageDecoder, TextEncoder


@torch.inference_mode()
def read(encoder: TextEncoder, texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """States (B, S, C) of texts given as tokens, and which of them are no padding (B, S)."""
    longest = max(len(text) for text in texts)
    padding, device = encoder.config.padding, encoder.embedding.weight.device
    tokens = torch.tensor([[*text, *[padding] * (longest - len(text))] for text in texts], device=device)
    return encoder(tokens), tokens != padding


@torch.inference_mode()
def draw(
    decoder: ImageDecoder, states: Tensor, real: Tensor, sampling: Sampling, seeds: Sequence[int], scale: float
) -> Iterator[Tensor]:
    """The image tokens so far (pictures, 1 ... image_length), after each step; a picture for each of `seeds`.

    `states` and `real` are what `read` gives for two texts: the empty one and the prompt. The logits are
    empty + scale * (prompt - empty): classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598, eq. 6) in
    logits, which DALL·E mini calls super-conditioning.
    """
    config, device = decoder.config, states.device
    n = len(seeds)
    cache = decoder.read(states, real, torch.tensor([0] * n + [1] * n, device=device))
    streams = [RandomStreams(seed, [0]) for seed in seeds]
    drawn = torch.full((n, 1), config.start, device=device)
    for _ in range(config.image_length):
        logits = decoder(drawn[:, -1:].repeat(2, 1), cache)[:, -1, : config.n_codes].float()
        empty, prompted = logits.chunk(2)
        logits = empty * (1 - scale) + prompted * scale
        uniforms = torch.cat([stream.draw([0]) for stream in streams]) if sampling.temperature > 0 else None
        drawn = torch.cat([drawn, choose(logits, sampling, uniforms).unsqueeze(1)], dim=1)
        yield drawn[:, 1:]

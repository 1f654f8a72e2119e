"""Drawing the tokens of images one after the other, each image from random numbers of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from genarium.decoding.protocol import Decoder, State
from genarium.decoding.sampling import RandomStreams, Sampling, choose


def draw(
    decoder: Decoder, state: State, start: int, sampling: Sampling, seeds: Sequence[int], length: int
) -> Iterator[np.ndarray]:
    """The image tokens so far (images, 1 ... `length`), after each step; an image for each of `seeds`.

    `start` is the token that stands before an image's first.
    """
    streams = [RandomStreams(seed, [0]) for seed in seeds]
    drawn = np.full((len(seeds), 1), start)
    for _ in range(length):
        logits = decoder.step(state, drawn[:, -1:])
        uniforms = np.concatenate([stream.draw([0]) for stream in streams]) if sampling.temperature > 0 else None
        drawn = np.concatenate([drawn, choose(logits, sampling, uniforms, decoder.ranking)[:, None]], axis=1)
        yield drawn[:, 1:]

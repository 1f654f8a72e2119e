"""What this room knows of a network: arrays of tokens go in, arrays of next-token logits come out.

Whatever computes them is behind it: a key-value cache or a hidden state, torch or an ONNX session
(`decoding/torch_decoder.py` makes one of a network in torch). Shapes: B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from genarium.decoding.ranking import Ranking

State = Any
"""What a decoder remembers of the rows it has read. Only the decoder looks inside."""


class Decoder(Protocol):
    """Reads rows of tokens and says how likely each token of the vocabulary is to follow. Logits are float32."""

    @property
    def context_length(self) -> int:
        """How many tokens a row may have, read and new ones. Longer rows raise IndexError."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def caches_prefixes(self) -> bool:
        """Whether what was read of a text's beginning is the same whatever follows, so that texts may share it."""

    @property
    def ranking(self) -> Ranking:
        """How its scores are compared."""

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[State, np.ndarray]:
        """Read rows of any lengths, at least one token each: their state, and the logits (B, V) of what follows."""

    def step(self, state: State, tokens: np.ndarray) -> np.ndarray:
        """Add tokens (B, T) to the rows; the logits (B, V) of what follows the last ones."""

    def score(self, state: State, tokens: np.ndarray) -> np.ndarray:
        """The logits (B, T, V) of what would follow each of these tokens (B, T). The rows stay as they are."""

    def select(self, state: State, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; one may be named more than once."""

    def join(self, state: State | None, other: State, rows: Sequence[int]) -> State:
        """Add these rows of `other` after those of `state`, or begin with them where it is None.

        `other` stays as it is; of `state` only what is returned may be used afterwards.
        """

"""A network in torch as a `Decoder`: numpy arrays at the border, tensors on the network's device behind it.

It stands here and not among the engines because training shows samples with it, too. It knows no network: those that
write (`models/gpt.py`) have the three methods below, and what they remember of rows has the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


class RowCache(Protocol):
    """What a network remembers of rows of text."""

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order."""

    def take(self, rows: Sequence[int]) -> RowCache:
        """A copy of these rows, in this order."""

    def join(self, other: Any, rows: Sequence[int]) -> None:
        """Add a copy of these rows of `other`."""


class Writes(Protocol):
    """A network that continues texts. Shapes as in `decoding/protocol.py`; logits are of the network's own type."""

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Any, Tensor]: ...
    def step(self, rows: Any, tokens: Tensor) -> Tensor: ...
    def score(self, rows: Any, tokens: Tensor) -> Tensor: ...


class TorchDecoder:
    """`network` may lack what is never asked of it: a captioner reads no prompts, and no rows join its own.

    `config` tells `context_length` and `vocab_size`; the network's own does where none is given.
    """

    def __init__(self, network: Any, *, config: Any = None, device: str | torch.device | None = None):
        config = network.config if config is None else config
        self.network = network
        self.context_length: int = config.context_length
        self.vocab_size: int = config.vocab_size
        self.caches_prefixes: bool = getattr(network, "caches_prefixes", True)
        self.device = next(network.parameters()).device if device is None else torch.device(device)
        self.ranking = TorchRanking(self.device)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Any, np.ndarray]:
        state, logits = self.network.prefill(prompts)
        return state, _array(logits)

    @torch.inference_mode()
    def step(self, state: Any, tokens: np.ndarray) -> np.ndarray:
        return _array(self.network.step(state, self._tensor(tokens)))

    @torch.inference_mode()
    def score(self, state: Any, tokens: np.ndarray) -> np.ndarray:
        return _array(self.network.score(state, self._tensor(tokens)))

    @torch.inference_mode()
    def select(self, state: Any, rows: Sequence[int]) -> None:
        state.select(rows)

    @torch.inference_mode()
    def join(self, state: Any | None, other: Any, rows: Sequence[int]) -> Any:
        if state is None:
            return other.take(rows)
        state.join(other, rows)
        return state

    def _tensor(self, tokens: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(tokens, np.int64)).to(self.device)


def _array(logits: Tensor) -> np.ndarray:
    array: np.ndarray = logits.float().cpu().numpy()
    return array


class TorchRanking:
    """torch's own order of equal scores, and its own sums, on `device`."""

    def __init__(self, device: str | torch.device):
        self.device = torch.device(device)

    @torch.inference_mode()
    def likeliest(self, scores: np.ndarray, k: int) -> np.ndarray:
        found: np.ndarray = torch.from_numpy(scores).to(self.device).topk(k, dim=-1).indices.cpu().numpy()
        return found

    @torch.inference_mode()
    def log_softmax(self, logits: np.ndarray) -> np.ndarray:
        return torch.from_numpy(logits).to(self.device).log_softmax(dim=-1).cpu().numpy()

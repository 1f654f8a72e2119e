"""How a text's states become one vector (`sentence.py`), as data. Imports no torch: other engines read it, too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Pooling = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
"""In the order in which several are laid end to end."""
VectorActivation = Literal["identity", "tanh", "relu", "gelu", "silu", "sigmoid"]


@dataclass(frozen=True)
class VectorLayer:
    """A module after the pooling, (B, d_in) to (B, d_out); its tensors lie in `folder`, where it has any."""

    kind: Literal["normalize", "dense", "layernorm"]
    d_in: int
    d_out: int
    folder: Path | None = None
    bias: bool = True
    activation: VectorActivation = "identity"


@dataclass(frozen=True)
class SentenceConfig:
    """The poolings end to end, then the layers in order."""

    poolings: tuple[Pooling, ...] = ("mean",)
    layers: tuple[VectorLayer, ...] = ()

    @property
    def normalizes(self) -> bool:
        """Whether every vector comes out at length 1."""
        return len(self.layers) > 0 and self.layers[-1].kind == "normalize"

    def width(self, d_model: int) -> int:
        """The numbers of a vector where a state has `d_model`."""
        return self.layers[-1].d_out if self.layers else d_model * len(self.poolings)

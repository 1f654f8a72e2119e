"""What tells one encoder from another (`encoder.py`), and its head. Imports no torch: other engines read it, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu"]


@dataclass(frozen=True)
class EncoderConfig:
    """Everything that tells one encoder from another. Widths are in units, lengths in tokens."""

    vocab_size: int = 30522
    context_length: int = 512
    n_types: int = 2  # segment types; 0 for none
    first_position: int = 0  # RoBERTa: padding token's id + 1
    n_layers: int = 6
    n_heads: int = 12
    d_model: int = 384
    d_ff: int = 1536
    norm_eps: float = 1e-12
    activation: Activation = "gelu"
    dropout: float = 0.1  # on the embeddings and on what each layer adds, in training
    pooler: bool = True  # BERT's dense layer and tanh over the first token


@dataclass(frozen=True)
class HeadConfig:
    """What a text is judged by. `pool` is how its tokens become one vector: the first one's, or the mean."""

    n_outputs: int = 2
    pool: Literal["first", "mean"] = "first"
    activation: Literal["tanh", "relu"] = "tanh"
    dropout: float = 0.1

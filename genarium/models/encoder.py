"""A bidirectional Transformer: from its config, a BERT, a MiniLM, a RoBERTa or a DistilBERT; and its heads.

BERT (Devlin et al. 2018, arXiv:1810.04805): learned positions, segment types, LayerNorm after each addition,
GELU. MiniLM (arXiv:2002.10957) is a small BERT. RoBERTa (arXiv:1907.11692) counts positions from after its
padding token's number. DistilBERT (arXiv:1910.01108) has no segment types.

Shapes below: B batch, T tokens, H heads, D head width, C model width.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.attention import KeysAndValues, attend
from genarium.models.encoder_config import Activation, EncoderConfig, HeadConfig


class SelfAttention(nn.Module):
    """Every token attends to every real one (Vaswani et al. 2017, arXiv:1706.03762, eq. 1), or to those before it."""

    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None,
        *,
        causal: bool = False,
        cache: KeysAndValues | None = None,
        layer: int = 0,
    ) -> Tensor:
        """x (B, T, C); with a `cache` it attends to what `layer` has there too, and its own is added."""
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.n_heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        if cache is not None:
            k, v = cache.append(layer, k, v)
        y = attend(q, k, v, mask, causal=causal and T > 1)
        return self.out(y.transpose(1, 2).reshape(B, T, C))

    def store(self, x: Tensor, cache: KeysAndValues, layer: int) -> None:
        """Put the keys and values of x (B, T, C) into the cache, and compute nothing else."""
        B, T, C = x.shape
        kv = F.linear(x, self.qkv.weight[C:], self.qkv.bias[C:]).view(B, T, 2, self.n_heads, -1)
        cache.append(layer, *kv.permute(2, 0, 3, 1, 4))


class MLP(nn.Module):
    """Two layers with an activation between."""

    def __init__(self, d_model: int, d_ff: int, activation: Activation):
        super().__init__()
        self.activation = activation
        self.up = nn.Linear(d_model, d_ff)
        self.down = nn.Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(activate(self.up(x), self.activation))


def activate(x: Tensor, activation: Activation) -> Tensor:
    """GELU exact, by tanh or, quick, by a sigmoid (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2), or ReLU."""
    if activation == "relu":
        return F.relu(x)
    if activation == "quick_gelu":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x, approximate="none" if activation == "gelu" else "tanh")


class EncoderBlock(nn.Module):
    """norm(x + attention(x)), then norm(x + mlp(x))."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.attention = SelfAttention(config.d_model, config.n_heads)
        self.attention_norm = nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.mlp = MLP(config.d_model, config.d_ff, config.activation)
        self.mlp_norm = nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None, *, cache: KeysAndValues | None = None, layer: int = 0) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, mask, cache=cache, layer=layer)))
        return self.mlp_norm(x + self.dropout(self.mlp(x)))


class Encoder(nn.Module):
    """Token ids (B, T) to hidden states (B, T, C)."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = nn.Embedding(config.first_position + config.context_length, config.d_model)
        if config.n_types:
            self.type_embedding = nn.Embedding(config.n_types, config.d_model)
        self.embedding_norm = nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.blocks = nn.ModuleList(EncoderBlock(config) for _ in range(config.n_layers))
        self.dropout = nn.Dropout(config.dropout)
        if config.pooler:
            self.pooler = nn.Linear(config.d_model, config.d_model)
        initialise(self)

    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, types: Tensor | None = None) -> Tensor:
        """Hidden states of `tokens` (B, T), each row's first `lengths` (B,) of them real, the rest padding.

        `types` (B, T) says which segment a token belongs to; all are of the first where it is not given.
        Raises IndexError where T passes `context_length`.
        """
        T = tokens.shape[1]
        if T > self.config.context_length:
            raise IndexError(f"{T} positions exceed the context of {self.config.context_length}")
        columns = torch.arange(T, device=tokens.device)
        x = self.embedding(tokens) + self.position_embedding(self.positions(tokens))
        if self.config.n_types:
            x = x + self.type_embedding(torch.zeros_like(tokens) if types is None else types)
        mask = None if lengths is None else (columns < lengths[:, None])[:, None, None, :]
        x = self.dropout(self.embedding_norm(x))
        for block in self.blocks:
            x = block(x, mask)
        return x

    def positions(self, tokens: Tensor) -> Tensor:
        """The rows of the position table that tokens (..., T) are at.

        RoBERTa (`first_position` > 0) counts tokens other than its padding token; that one, also where a text has it
        written out, is at its own number (transformers' `create_position_ids_from_input_ids`).
        """
        first = self.config.first_position
        if not first:
            return torch.arange(tokens.shape[-1], device=tokens.device)
        counted = (tokens != first - 1).long()
        return counted.cumsum(dim=-1) * counted + first - 1

    def pooled(self, hidden: Tensor) -> Tensor:
        """BERT's summary of a text, (B, C), from its hidden states (B, T, C): tanh of a layer over the first."""
        return torch.tanh(self.pooler(hidden[:, 0]))


def mean_pool(hidden: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The mean of the real tokens' hidden states, (B, T, C) to (B, C) (Reimers and Gurevych 2019, arXiv:1908.10084)."""
    if lengths is None:
        return hidden.mean(dim=1)
    real = (torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]).unsqueeze(-1).to(hidden.dtype)
    return (hidden * real).sum(dim=1) / lengths[:, None].to(hidden.dtype)


class TextClassifier(nn.Module):
    """An encoder and two layers over its pooled tokens: label scores (B, n_outputs)."""

    def __init__(self, config: EncoderConfig, head: HeadConfig):
        super().__init__()
        self.config, self.head = config, head
        self.encoder = Encoder(replace(config, pooler=False))
        self.dense = nn.Linear(config.d_model, config.d_model)
        self.out = nn.Linear(config.d_model, head.n_outputs)
        self.dropout = nn.Dropout(head.dropout)
        initialise(self)

    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, types: Tensor | None = None) -> Tensor:
        """Scores before the softmax; arguments as `Encoder`'s."""
        hidden = self.encoder(tokens, lengths=lengths, types=types)
        pooled = self.dense(hidden[:, 0] if self.head.pool == "first" else mean_pool(hidden, lengths))
        pooled = torch.tanh(pooled) if self.head.activation == "tanh" else F.relu(pooled)
        return self.out(self.dropout(pooled))


class QuestionAnsweringModel(nn.Module):
    """An encoder and one layer over every token: how well an answer begins and ends there (BERT, section 4.2)."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(replace(config, pooler=False))
        self.spans = nn.Linear(config.d_model, 2)
        initialise(self)

    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, types: Tensor | None = None) -> Tensor:
        """Scores (B, T, 2), of beginning and end; arguments as `Encoder`'s."""
        return self.spans(self.encoder(tokens, lengths=lengths, types=types))


def initialise(model: nn.Module) -> None:
    """Matrices normal(0, 0.02), biases zero, norms one (BERT, appendix A.2)."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() == 1:
            nn.init.ones_(parameter)
        else:
            nn.init.normal_(parameter, std=0.02)

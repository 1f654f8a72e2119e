"""A decoder-only Transformer: from its config, a GPT-2, a Llama, a Mistral, a Qwen2 or a Qwen3.

GPT-2 (Radford et al. 2019): learned positions, LayerNorm, GELU, biases everywhere, tied head.
Llama (Touvron et al. 2023, arXiv:2302.13971; Llama 3: arXiv:2407.21783): rotary positions, RMSNorm,
SwiGLU, grouped-query attention, no biases. Qwen2 (arXiv:2407.10671) adds biases on q, k and v;
Qwen3 (arXiv:2505.09388) drops them and normalises q and k per head. Mistral (arXiv:2310.06825) looks back over a
window only.

Shapes below: B batch, T new tokens, S tokens attended to (cached + new), H query heads,
K key-value heads, D head width, C model width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.attention import KeysAndValues, attend
from genarium.models.gpt_config import GPTConfig as GPTConfig  # noqa: PLC0414 - others import it from here
from genarium.models.ragged_cache import RaggedCache
from genarium.models.rotary import LongScaling, ends_of, rotary_table, rotate

FIRST_POSITIONS = 4096
"""How many rotary positions are computed at once; more when a text needs them."""
READ_TOGETHER = 2048
"""Tokens of several texts that are read one after the other in one row, at most: their mask has its square."""


class RMSNorm(nn.Module):
    """Root-mean-square normalisation in float32 (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, None, self.eps).to(x.dtype) * self.weight


class KeyValueCache(KeysAndValues):
    """Keys and values of the tokens read so far."""

    def __init__(self, config: GPTConfig, batch: int, capacity: int, *, dtype: torch.dtype, device: torch.device):
        shape = (config.n_layers, batch, config.n_kv_heads, capacity, config.head_dim)
        super().__init__(shape, dtype=dtype, device=device)


class Attention(nn.Module):
    """Causal self-attention with grouped queries (Ainslie et al. 2023, arXiv:2305.13245)."""

    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.config, self.layer = config, layer
        self.widths = [n * config.head_dim for n in (config.n_heads, config.n_kv_heads, config.n_kv_heads)]
        self.qkv = nn.Linear(config.d_model, sum(self.widths), bias=config.qkv_bias)
        self.out = nn.Linear(self.widths[0], config.d_model, bias=config.out_bias)
        if config.qk_norm:
            self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
            self.k_norm = RMSNorm(config.head_dim, config.norm_eps)

    def forward(
        self,
        x: Tensor,
        rotary: tuple[Tensor, Tensor] | None,
        mask: Tensor | None,
        cache: KeysAndValues | None,
    ) -> Tensor:
        B, T, _ = x.shape
        c = self.config
        q, k, v = (part.view(B, T, -1, c.head_dim).transpose(1, 2) for part in self.qkv(x).split(self.widths, dim=-1))
        if c.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        if rotary is not None:
            q, k = rotate(q, *rotary), rotate(k, *rotary)
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        y = attend(q, k, v, mask, causal=mask is None and T > 1)
        return self.out(y.transpose(1, 2).reshape(B, T, self.widths[0]))


def activate(x: Tensor, name: str) -> Tensor:
    """GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415), exact or by tanh as in GPT-2; ReLU; SiLU."""
    if name == "relu":
        return F.relu(x)
    return F.silu(x) if name == "silu" else F.gelu(x, approximate="tanh" if name == "gelu_tanh" else "none")


class MLP(nn.Module):
    """Two layers, an activation between."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.up = nn.Linear(config.d_model, config.d_ff, bias=config.mlp_bias)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=config.mlp_bias)
        self.activation: str = config.mlp

    def forward(self, x: Tensor) -> Tensor:
        return self.down(activate(self.up(x), self.activation))


GATES = {"swiglu": "silu", "geglu": "gelu", "geglu_tanh": "gelu_tanh", "reglu": "relu"}


class GatedMLP(nn.Module):
    """activation(gate) * up (Shazeer 2020, arXiv:2002.05202); gate and up are one matrix."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.gate_up = nn.Linear(config.d_model, 2 * config.d_ff, bias=config.mlp_bias)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=config.mlp_bias)
        self.activation = GATES[config.mlp]

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(activate(gate, self.activation) * up)


def make_norm(config: GPTConfig) -> nn.Module:
    if config.norm == "layernorm":
        return nn.LayerNorm(config.d_model, eps=config.norm_eps)
    return RMSNorm(config.d_model, config.norm_eps)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.attention_norm = make_norm(config)
        self.attention = Attention(config, layer)
        self.mlp_norm = make_norm(config)
        self.mlp = GatedMLP(config) if config.mlp in GATES else MLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        rotary: tuple[Tensor, Tensor] | None,
        mask: Tensor | None,
        cache: KeysAndValues | None,
    ) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), rotary, mask, cache))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class GPT(nn.Module):
    """Token ids (B, T) to next-token logits (B, T, V)."""

    rotary_cos: Tensor
    rotary_sin: Tensor

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        if config.positions == "learned":
            self.position_embedding = nn.Embedding(config.context_length, config.d_model)
        else:
            cos, sin = self.rotary_of(min(config.context_length, FIRST_POSITIONS))
            self.register_buffer("rotary_cos", cos, persistent=False)
            self.register_buffer("rotary_sin", sin, persistent=False)
        # Two masks at most: of those that attend to all, and of those with a window.
        window = config.sliding_window is not None
        self.windowed = [window and i not in config.full_layers for i in range(config.n_layers)]
        self.blocks = nn.ModuleList(Block(config, i) for i in range(config.n_layers))
        self.final_norm = make_norm(config)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal(0, 0.02); layers that write to the residual stream by 1/sqrt(2 n_layers) less (GPT-2, 2.3)."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 1:
                nn.init.ones_(parameter)
            else:
                writes = name.endswith(("attention.out.weight", "mlp.down.weight"))
                scale = 1 / math.sqrt(2 * self.config.n_layers) if writes else 1.0
                nn.init.normal_(parameter, std=0.02 * scale)

    def forward(
        self,
        tokens: Tensor,
        *,
        cache: KeysAndValues | None = None,
        padding: Tensor | None = None,
        lengths: Sequence[int] | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """Logits for `tokens` (B, T), reading what `cache` holds first; arguments as `hidden`'s.

        With `last_only` the logits are (B, 1, V), those of the last position, or (1, texts, V), of each text's last.
        """
        return self.head(self.hidden(tokens, cache=cache, padding=padding, lengths=lengths, last_only=last_only))

    def hidden(
        self,
        tokens: Tensor,
        *,
        cache: KeysAndValues | None = None,
        padding: Tensor | None = None,
        lengths: Sequence[int] | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """What the head reads of `tokens` (B, T): the last hidden states, normalised, (B, T, C).

        `padding` (B,) counts the padded positions at the left of each row, the cached ones included:
        they are not attended to, and positions are counted from the first real token.
        With `lengths` the one row of `tokens` (1, T) is texts of these lengths after each other, from an empty cache:
        each is read as if it stood alone.
        With `last_only` only the last position's, (B, 1, C), or (1, texts, C), of each text's last.
        Raises IndexError where the positions pass `context_length`.
        """
        past = cache.length if cache is not None else 0
        T = tokens.shape[1]
        if (longest := past + max(lengths or [T])) > self.config.context_length:
            raise IndexError(f"{longest} positions exceed the context of {self.config.context_length}")
        positions, mask = (
            self._positions_and_mask(past, T, padding, tokens.device)
            if lengths is None
            else self._each_alone(lengths, tokens.device)
        )
        near = self._within_window(mask, past, T, tokens.device) if any(self.windowed) else mask
        x = self.embedding(tokens)
        rotary = None
        if self.config.positions == "learned":
            x = x + self.position_embedding(positions)
        else:
            rotary = self._rotary(positions, lengths, longest, x.dtype)
        x = self.dropout(x)
        for block, windowed in zip(self.blocks, self.windowed, strict=True):
            x = block(x, rotary, near if windowed else mask, cache)
        if cache is not None:
            cache.length = past + T
        if last_only:
            x = x[:, -1:] if lengths is None else x[:, [end - 1 for end in accumulate(lengths)]]
        return self.final_norm(x)

    @property
    def caches_prefixes(self) -> bool:
        """Stretched positions are others where the whole text is long, so that what was read of it no longer holds."""
        return not isinstance(self.config.rope_scaling, LongScaling)

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[RaggedCache, Tensor]:
        """Read rows of any lengths: their keys and values, and the logits (B, V) of what follows each.

        Rows of one length are a batch. Others are read one after the other in one row, without padding (the selective
        batching of Orca, Yu et al. 2022, 3.2: only attention keeps them apart).
        """
        longest, c, weight = max(map(len, prompts)), self.config, self.embedding.weight
        shape = (c.n_layers, len(prompts), c.n_kv_heads, longest, c.head_dim)
        rows = RaggedCache(shape, c.context_length, dtype=weight.dtype, device=weight.device)
        if min(map(len, prompts)) == longest:
            tokens = torch.tensor([list(prompt) for prompt in prompts], device=weight.device)
            return rows, self(tokens, cache=rows, last_only=True)[:, -1]
        logits, first = [], 0
        for texts in _read_together(prompts):
            lengths = [len(text) for text in texts]
            tokens = torch.tensor([[token for text in texts for token in text]], device=weight.device)
            read = KeyValueCache(c, 1, tokens.shape[1], dtype=weight.dtype, device=weight.device)
            logits.append(self(tokens, cache=read, lengths=lengths if len(lengths) > 1 else None, last_only=True)[0])
            rows.place(first, read, lengths, longest)
            first += len(texts)
        rows.length = longest
        return rows, torch.cat(logits)

    def step(self, rows: RaggedCache, tokens: Tensor) -> Tensor:
        """Add tokens (B, T) to the rows; the logits (B, V) of what follows."""
        rows.make_room(tokens.shape[1])
        return self(tokens, cache=rows, padding=rows.padding_tensor(), last_only=True)[:, -1]

    def score(self, rows: RaggedCache, tokens: Tensor) -> Tensor:
        """The logits (B, T, V) of what would follow each of these tokens (B, T). The rows stay as they are."""
        rows.make_room(tokens.shape[1])
        length = rows.length
        try:
            return self(tokens, cache=rows, padding=rows.padding_tensor())
        finally:
            rows.length = length

    def rotary_of(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the first `length` positions."""
        return rotary_table(self.config.head_dim, self.config.rope_theta, self.config.rope_scaling, length)

    def _rotary(
        self, positions: Tensor, lengths: Sequence[int] | None, longest: int, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Cosines and sines of these positions, each (B or 1, 1, T, D)."""
        have = self.rotary_cos.shape[1]
        if longest > have:
            cos, sin = self.rotary_of(min(self.config.context_length, max(longest, 2 * have)))
            # The one whose length is looked at comes last: another thread may be here.
            self.rotary_sin = sin.to(positions.device)
            self.rotary_cos = cos.to(positions.device)
        if isinstance(scaling := self.config.rope_scaling, LongScaling):
            is_long = (ends_of(positions, lengths) > scaling.original_max_position_embeddings).long()
            cos, sin = self.rotary_cos[is_long, positions], self.rotary_sin[is_long, positions]
        else:
            cos, sin = self.rotary_cos[0][positions], self.rotary_sin[0][positions]
        return cos.to(dtype).unsqueeze(1), sin.to(dtype).unsqueeze(1)

    def _within_window(self, mask: Tensor | None, past: int, T: int, device: torch.device) -> Tensor | None:
        """The mask (B or 1, 1, T, S) without what lies further back than the window; None: all before it."""
        window = self.config.sliding_window
        if window is None or past + T <= window:
            return mask
        columns = torch.arange(past, past + T, device=device)
        places = torch.arange(past + T, device=device)
        near = places[None, :] > columns[:, None] - window
        if mask is None:
            near = near & (places[None, :] <= columns[:, None])
        return near[None, None] if mask is None else mask & near

    @staticmethod
    def _each_alone(lengths: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
        """Positions (1, T) and mask (1, 1, T, T) of texts that lie after each other in one row."""
        sizes = torch.tensor(lengths, device=device)
        text = torch.arange(len(lengths), device=device).repeat_interleave(sizes)
        places = torch.arange(len(text), device=device)
        begins = (sizes.cumsum(0) - sizes)[text]
        mask = (text[:, None] == text[None, :]) & (places[None, :] <= places[:, None])
        return (places - begins).unsqueeze(0), mask[None, None]

    @staticmethod
    def _positions_and_mask(
        past: int, T: int, padding: Tensor | None, device: torch.device
    ) -> tuple[Tensor, Tensor | None]:
        """Positions (B or 1, T), and which of S places each may look at, (B or 1, 1, T, S); None: all before it."""
        columns = torch.arange(past, past + T, device=device).unsqueeze(0)
        if padding is None and (past == 0 or T == 1):
            return columns, None
        places = torch.arange(past + T, device=device)
        visible = places[None, None, :] <= columns[:, :, None]
        if padding is None:
            return columns, visible.unsqueeze(1)
        real = places[None, None, :] >= padding[:, None, None]
        # A padded row looks at itself, so that its softmax has something to look at; nothing reads it.
        itself = places[None, None, :] == columns[:, :, None]
        return (columns - padding[:, None]).clamp(min=0), ((visible & real) | itself).unsqueeze(1)


def _read_together(texts: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    """The texts in groups of at most READ_TOGETHER tokens; a longer one is a group of its own."""
    group: list[Sequence[int]] = []
    for text in texts:
        if group and sum(map(len, group)) + len(text) > READ_TOGETHER:
            yield group
            group = []
        group.append(text)
    yield group

"""The diffusion Transformer against its formulas written out token by token; what it sees and what it doesn't."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genarium.models.dit import DiT, DiTConfig

CONFIG = DiTConfig(
    in_channels=3, out_channels=5, sample_size=3, d_model=32, n_layers=2, n_heads=2, d_ff=48, cross_attention_dim=6
)


@pytest.fixture
def model() -> DiT:
    torch.manual_seed(0)
    model = DiT(CONFIG).double().eval()
    for weight in model.parameters():
        weight.data += 0.2 * torch.randn_like(weight)
    return model.requires_grad_(False)


def inputs(rows: int = 2, words: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    x, t = torch.randn(rows, 3, 2, 3).double(), torch.tensor([130.0, 820.0])[:rows].double()
    return x, t, torch.randn(rows, words, 6).double()


def written_out(model: DiT, x: Tensor, t: float, words: Tensor) -> Tensor:
    """One picture (3, H, W) and its words (S, 6), a token at a time."""
    weights = dict(model.state_dict())
    M, D = CONFIG.d_model, CONFIG.d_model // CONFIG.n_heads
    H, W = x.shape[1:]

    def linear(name: str, value: Tensor) -> Tensor:
        bias = weights.get(f"{name}.bias")
        return weights[f"{name}.weight"] @ value + (0 if bias is None else bias)

    def rms(value: Tensor) -> Tensor:
        return value / (value.square().mean() + 1e-6).sqrt()

    def silu(value: Tensor) -> Tensor:
        return value / (1 + (-value).exp())

    frequencies = [t * math.exp(-math.log(10_000) * i / (M // 2)) for i in range(M // 2)]
    time = torch.tensor([math.cos(f) for f in frequencies] + [math.sin(f) for f in frequencies]).double()
    time = linear("time_embedding.linear_2", silu(linear("time_embedding.linear_1", time)))
    level = linear("level_embedding", silu(time))
    tokens = [linear("cell_embedding", x[:, row, column]) for row in range(H) for column in range(W)]
    tokens += [linear("word_embedding", word) for word in words]
    places = [(row, column) for row in range(H) for column in range(W)] + [(0, 0)] * len(words)

    def turned(head: Tensor, place: tuple[int, int]) -> Tensor:
        pairs, out = D // 4, head.clone()
        for pair in range(D // 2):
            axis, step = (0, pair) if pair < pairs else (1, pair - pairs)
            angle = place[axis] * 1.5 * 30.0 ** (-step / pairs)
            a, b = head[pair], head[pair + D // 2]
            out[pair] = a * math.cos(angle) - b * math.sin(angle)
            out[pair + D // 2] = a * math.sin(angle) + b * math.cos(angle)
        return out

    for block in range(CONFIG.n_layers):
        scale1, shift1, gate1, scale2, shift2, gate2 = (level + weights[f"blocks.{block}.table"]).view(6, M)
        heads: list[list[tuple[Tensor, Tensor, Tensor]]] = []
        for token, place in zip(tokens, places, strict=True):
            q, k, v = linear(f"blocks.{block}.qkv", rms(token) * (1 + scale1) + shift1).view(3, CONFIG.n_heads, D)
            q_scale, k_scale = (weights[f"blocks.{block}.{name}_scale"] for name in "qk")
            heads.append(
                [
                    (turned(rms(q[h]) * q_scale, place), turned(rms(k[h]) * k_scale, place), v[h])
                    for h in range(CONFIG.n_heads)
                ]
            )
        after = []
        for token, asking in zip(tokens, heads, strict=True):
            joined = []
            for h in range(CONFIG.n_heads):
                scores = torch.stack([asking[h][0] @ other[h][1] / math.sqrt(D) for other in heads])
                shares = scores.softmax(0)
                joined.append(sum(share * other[h][2] for share, other in zip(shares, heads, strict=True)))
            looked = token + (1 + gate1) * linear(f"blocks.{block}.out", torch.cat(joined))
            up, gate = linear(f"blocks.{block}.up_gate", rms(looked) * (1 + scale2) + shift2).chunk(2)
            after.append(looked + (1 + gate2) * linear(f"blocks.{block}.down", silu(gate) * up))
        tokens = after
    said = [linear("head", rms(token)) for token in tokens[: H * W]]
    return torch.stack(said, dim=1).view(5, H, W)


def test_it_is_its_formulas(model: DiT) -> None:
    x, t, words = inputs()
    said = model(x, t, words)
    for row in range(2):
        # Angles are float32 in the network.
        torch.testing.assert_close(
            said[row], written_out(model, x[row], float(t[row]), words[row]), rtol=1e-5, atol=1e-4
        )


def test_words_that_are_not_real_are_not_looked_at(model: DiT) -> None:
    x, t, words = inputs()
    real = torch.tensor([[True, True, False, False], [True, True, True, True]])
    said = model(x, t, words, real)
    torch.testing.assert_close(said[:1], model(x[:1], t[:1], words[:1, :2]))
    torch.testing.assert_close(said[1:], model(x[1:], t[1:], words[1:]))


def test_rows_are_independent_and_order_and_level_matter(model: DiT) -> None:
    x, t, words = inputs()
    said = model(x, t, words)
    torch.testing.assert_close(model(x[1:], t[1:], words[1:]), said[1:])
    assert not torch.allclose(model(x.flip(3), t, words).flip(3), said, atol=1e-2)
    assert not torch.allclose(model(x, t + 300, words), said, atol=1e-2)


def test_a_new_network_says_nothing() -> None:
    torch.manual_seed(0)
    said = DiT(CONFIG)(*(part.float() for part in inputs()))
    assert float(said.detach().abs().max()) == 0.0

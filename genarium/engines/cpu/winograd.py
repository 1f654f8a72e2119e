"""Convolutions of three in float32 with fewer products: Winograd's F(4, 3) (Lavin and Gray 2016, arXiv:1509.09308).

Four outputs in a row of a convolution with three weights take twelve products, or six: of sums of six inputs with sums
of the weights, which are made beforehand, and the outputs are sums of these. In two directions it is 36 for 144. The
products are matrices over the channels, so that with hundreds of these the sums cost little. Rounding is about eight
times as large as the plain sums' (of outputs whose standard deviation is 0.6, at most 1e-4 and 1e-5); what is stored
is twice or four times the weights, or of large layers the weights alone, whose sums are made anew at each call.

Everything here has its channels last in memory: x is (..., C).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.engines.cpu.linear import PACKED_ROWS

OUT, IN = 4, 6  # outputs and inputs of a tile
KEPT = 1280 * 1024
"""Channels in times channels out up to which the sums of the weights are kept. The lowest levels of a U-Net, whose
weights are most of it, have more."""
FEWEST_PLACES = 256
"""Places from which it is worth making them anew: before, the plain convolution takes less."""
IN_CACHE = 1 << 23
"""Numbers that are made of the weights at once: they are then multiplied before they leave the cache."""
WEIGHTS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
"""G of the paper: six sums of three weights, of the polynomial at 0, 1, -1, 2, -2 and infinity."""
AT_ONE = 1
"""The sum whose value comes to every output alike: where a bias is added."""


def inputs(d: Sequence[Tensor], out: Tensor) -> None:
    """Bᵀ d: six sums of six inputs (...), into `out` (6, ...)."""
    two, four = d[3] - d[1], d[4] - d[2]
    a, b = torch.sub(d[4], d[2], alpha=4), torch.sub(d[3], d[1], alpha=4)
    torch.add(four, d[0] - d[2], alpha=4, out=out[0])
    torch.add(a, b, out=out[1])
    torch.sub(a, b, out=out[2])
    torch.add(four, two, alpha=2, out=out[3])
    torch.sub(four, two, alpha=2, out=out[4])
    torch.sub(d[5] - d[3], two, alpha=4, out=out[5])


def outputs(m: Tensor, out: Sequence[Tensor]) -> None:
    """Aᵀ m: four outputs (...) of six products (6, ...), into `out`."""
    p, q, r, s = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    torch.add(p, r, out=out[0]).add_(m[0])
    torch.add(q, s, alpha=2, out=out[1])
    torch.add(p, r, alpha=4, out=out[2])
    torch.add(q, s, alpha=8, out=out[3]).add_(m[5])


def filters(g: Sequence[Tensor], out: Tensor) -> None:
    """G g: six sums of three weights (...), into `out` (6, ...)."""
    a, b = (g[0] + g[2]).mul_(-1 / 6), g[1] * (1 / 6)
    torch.mul(g[0], 1 / 4, out=out[0])
    torch.sub(a, b, out=out[1])
    torch.add(a, b, out=out[2])
    torch.add(g[0] * (1 / 24), g[2], alpha=1 / 6, out=a)
    torch.add(a, b, alpha=1 / 2, out=out[3])
    torch.sub(a, b, alpha=1 / 2, out=out[4])
    out[5].copy_(g[2])


class Products(nn.Module):
    """Matrices (K, out, in), each with its own x of (K, P, in): (K, P, out). `bias` is added to number `biased`.

    What they give comes in parts, each with which of the outputs it is.
    """

    def __init__(self, matrices: Tensor, bias: Tensor | None, biased: int):
        super().__init__()
        self.width = matrices.shape[1]
        self.biases = [bias.detach() if bias is not None and k == biased else None for k in range(len(matrices))]
        self.packed = [torch.ops.mkldnn._reorder_linear_weight(one.contiguous(), PACKED_ROWS) for one in matrices]

    def forward(self, x: Tensor) -> Iterator[tuple[slice, Tensor]]:
        out = x.new_empty(*x.shape[:2], self.width)
        for k, (weight, bias) in enumerate(zip(self.packed, self.biases, strict=True)):
            out[k] = torch.ops.mkldnn._linear_pointwise(x[k], weight, bias, "none", [], "")
        yield slice(0, self.width), out


class Remade(nn.Module):
    """`Products` whose matrices are made at each call, of weights (out, in, 3 or 3x3), for a few outputs at a time."""

    def __init__(self, weight: Tensor, bias: Tensor | None, biased: int):
        super().__init__()
        self.width, self.bias, self.biased = len(weight), bias, biased
        self.weight = weight.detach().permute(*range(2, weight.dim()), 0, 1).contiguous()  # (3, …, out, in)

    def forward(self, x: Tensor) -> Iterator[tuple[slice, Tensor]]:
        taps, ins = self.weight.shape[:-2], self.weight.shape[-1]
        step = max(32, IN_CACHE // (IN ** len(taps) * ins) // 32 * 32)
        for first in range(0, self.width, step):
            some = slice(first, min(first + step, self.width))
            part = self.weight[..., some, :]
            if len(taps) == 2:
                down = part.new_empty(IN, *part.shape[1:])
                filters(part.unbind(0), down)
                part = down.transpose(0, 1)
            summed = part.new_empty(IN, *part.shape[1:])
            filters(part.unbind(0), summed)
            out = torch.bmm(x, summed.view(len(x), -1, ins).transpose(1, 2))
            if self.bias is not None:
                out[self.biased] += self.bias[some]
            yield some, out

    def plain(self, x: Tensor) -> Tensor:
        """The convolution itself, of (B, C, H, W), zeros around it."""
        weight = self.weight.movedim((-2, -1), (0, 1))
        if weight.dim() == 3:
            return F.conv2d(x, weight[..., None], self.bias, padding=(1, 0))
        return F.conv2d(x, weight, self.bias, padding=1)


def matrices(weight: Tensor) -> Tensor:
    """The sums of weights (out, in, 3 or 3x3), made in float64: (6 or 36, out, in)."""
    g, w = torch.tensor(WEIGHTS, dtype=torch.float64), weight.detach().double()
    if w.dim() == 3:
        return torch.einsum("ka,oia->koi", g, w).float()
    return torch.einsum("ka,lb,oiab->lkoi", g, g, w).float().flatten(0, 1)


class Sums(nn.Module):
    """A convolution of (B, C, H, W) by weights (out, in, 3 or 3x3), zeros around it."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__()
        biased = AT_ONE if weight.dim() == 3 else AT_ONE * IN + AT_ONE
        self.products: Products | Remade
        if weight.shape[0] * weight.shape[1] > KEPT:
            self.products = Remade(weight, bias, biased)
        else:
            self.products = Products(matrices(weight), bias, biased)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.products, Remade) and len(x) * x.shape[2] * x.shape[3] < FEWEST_PLACES:
            return self.products.plain(x)
        return self.by_sums(x)

    def by_sums(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class Along(Sums):
    """A convolution (3, 1) over the height of (B, C, H, W), zeros around it."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__(conv.weight[..., 0], conv.bias)

    def by_sums(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 3, 1)
        B, H, W, C = rows.shape
        tiles = -(-H // OUT)
        padded = F.pad(rows, (0, 0, 0, 0, 1, tiles * OUT + 1 - H))
        sums = rows.new_empty(IN, B, tiles, W, C)
        inputs([padded[:, k : k + tiles * OUT : OUT] for k in range(IN)], sums)
        out = rows.new_empty(B, tiles * OUT, W, self.products.width)
        for some, made in self.products(sums.view(IN, -1, C)):
            outputs(made.view(IN, B, tiles, W, -1), [out[:, k::OUT, :, some] for k in range(OUT)])
        return out[:, :H].permute(0, 3, 1, 2)


class Around(Sums):
    """A convolution 3x3 of (B, C, H, W), zeros around it."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__(conv.weight, conv.bias)

    def by_sums(self, x: Tensor) -> Tensor:
        places = x.permute(0, 2, 3, 1)
        B, H, W, C = places.shape
        high, wide = -(-H // OUT), -(-W // OUT)
        padded = F.pad(places, (0, 0, 1, wide * OUT + 1 - W, 1, high * OUT + 1 - H))
        down = places.new_empty(IN, B, high, padded.shape[2], C)
        inputs([padded[:, k : k + high * OUT : OUT] for k in range(IN)], down)
        sums = places.new_empty(IN, IN, B, high, wide, C)  # the first of across, the second of down
        inputs([down[:, :, :, k : k + wide * OUT : OUT] for k in range(IN)], sums)
        out = places.new_empty(B, high * OUT, wide * OUT, self.products.width)
        for some, made in self.products(sums.view(IN * IN, -1, C)):
            across = places.new_empty(IN, B, high, wide * OUT, made.shape[-1])
            outputs(made.view(IN, IN, B, high, wide, -1), [across[:, :, :, k::OUT] for k in range(OUT)])
            outputs(across, [out[:, k::OUT, :, some] for k in range(OUT)])
        return out[:, :H, :W].permute(0, 3, 1, 2)

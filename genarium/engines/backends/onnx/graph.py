"""A decoder-only Transformer as one ONNX graph, made of its config: the network of `models/gpt.py`, step by step.

Matrices are `MatMulNBits` or plain products of float32; attention is `GroupQueryAttention`, which keeps keys and values
in place. Both are onnxruntime's own operators (docs/ContribOperators.md there). At 4 bits the input of a product is
rounded to 8 bits a block, as the operator does it; at 8 bits that would cost more than the weights' own rounding (of
SmolLM2's likeliest tokens 4 in 100 became others), so what was rounded away is multiplied as a second row. What goes
in is embedded already: looking up rows needs no graph.

Shapes: B rows, T new tokens, S places of the cache, C width, H and K heads, D head width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genarium.engines.backends.onnx import proto
from genarium.engines.backends.onnx.quantise import BLOCK, Quantised, quantise
from genarium.engines.backends.onnx.rotary import tables
from genarium.engines.backends.onnx.weights import Weights
from genarium.models.gpt_config import GPTConfig

MICROSOFT = "com.microsoft"
ACTIVATIONS = {"gelu_tanh": ("FastGelu", MICROSOFT), "gelu": ("Gelu", MICROSOFT), "relu": ("Relu", "")}
GATES = {"swiglu": "silu", "geglu": "gelu", "geglu_tanh": "gelu_tanh", "reglu": "relu"}
EIGHT = ("attention.qkv", "mlp.down", "head", "embedding")
"""Matrices that keep 8 bits where others have 4, unless a file has them in 4. The head, which may be the embedding,
costs most in loss and rests in no cache anyway."""


class Graph(proto.Nodes):
    """`model` is the serialised graph, `arrays` its weights by name, which it does not hold.

    `matrices` are those that were quantised already, by name; the others are added to them.
    """

    def __init__(self, weights: Weights, bits: int | None, matrices: dict[str, Quantised] | None = None):
        self.weights, self.config, self.bits = weights, weights.config, bits
        super().__init__()
        self.made: set[str] = set()
        self.matrices = {} if matrices is None else matrices
        self._body()
        self.model = self._serialised()

    def _body(self) -> None:
        c = self.config
        if c.positions == "rotary":
            cos, sin = tables(c)
            self.hold("cos", cos)
            self.hold("sin", sin)
        normed, rest = self.norm("x", "blocks.0.attention_norm"), "x"
        for layer in range(c.n_layers):
            block = f"blocks.{layer}"
            normed, rest = self.norm_after(self.attention(normed, layer), rest, f"{block}.mlp_norm")
            last = layer + 1 == c.n_layers
            following = "final_norm" if last else f"blocks.{layer + 1}.attention_norm"
            normed, rest = self.norm_after(self.mlp(normed, block), rest, following)
        self.hold("flat", np.array([-1, c.d_model], np.int64))
        self.node("Reshape", [normed, "flat"], ["flattened"])
        self.node("Gather", ["flattened", "asked"], ["last"], axis=0)
        head = "embedding" if c.tie_embeddings else "head"
        self.product("last", head, (c.vocab_size, c.d_model), bias=False, out="logits")

    def attention(self, x: str, layer: int) -> str:
        c, block = self.config, f"blocks.{layer}"
        widths = [n * c.head_dim for n in (c.n_heads, c.n_kv_heads, c.n_kv_heads)]
        qkv = self.product(x, f"{block}.attention.qkv", (sum(widths), c.d_model), bias=c.qkv_bias)
        three = [qkv, "", ""]
        if c.qk_norm:
            three = self.split(qkv, widths, f"{block}.three")
            three[:2] = [
                self.head_norm(part, n, f"{block}.attention.{which}_norm")
                for part, n, which in zip(three, (c.n_heads, c.n_kv_heads), "qk", strict=False)
            ]
        rotary = c.positions == "rotary"
        windowed = c.sliding_window is not None and layer not in c.full_layers
        self.node(
            "GroupQueryAttention",
            [*three, f"k{layer}", f"v{layer}", "ends", "longest", *(["cos", "sin"] if rotary else [])],
            [f"{block}.attended", f"k{layer}.new", f"v{layer}.new"],
            MICROSOFT,
            num_heads=c.n_heads,
            kv_num_heads=c.n_kv_heads,
            do_rotary=int(rotary),
            rotary_interleaved=0,
            local_window_size=c.sliding_window if windowed else -1,
        )
        return self.product(f"{block}.attended", f"{block}.attention.out", (c.d_model, widths[0]), bias=c.out_bias)

    def mlp(self, x: str, block: str) -> str:
        c = self.config
        if c.mlp not in GATES:
            up = self.product(x, f"{block}.mlp.up", (c.d_ff, c.d_model), bias=c.mlp_bias)
            return self.product(self.activated(up, c.mlp), f"{block}.mlp.down", (c.d_model, c.d_ff), bias=c.mlp_bias)
        both = self.product(x, f"{block}.mlp.gate_up", (2 * c.d_ff, c.d_model), bias=c.mlp_bias)
        gate, up = self.split(both, [c.d_ff, c.d_ff], f"{block}.halves")
        self.node("Mul", [self.activated(gate, GATES[c.mlp]), up], [f"{block}.gated"])
        return self.product(f"{block}.gated", f"{block}.mlp.down", (c.d_model, c.d_ff), bias=c.mlp_bias)

    def activated(self, x: str, name: str) -> str:
        if name == "silu":
            self.node("QuickGelu", [x], [f"{x}.act"], MICROSOFT, alpha=1.0)
        else:
            kind, domain = ACTIVATIONS[name]
            self.node(kind, [x], [f"{x}.act"], domain)
        return f"{x}.act"

    def split(self, x: str, widths: list[int], name: str) -> list[str]:
        parts = [f"{name}.{number}" for number in range(len(widths))]
        self.hold(f"{name}.widths", np.array(widths, np.int64))
        self.node("Split", [x, f"{name}.widths"], parts, axis=-1)
        return parts

    def head_norm(self, x: str, heads: int, name: str) -> str:
        """RMSNorm of each head of (B, T, heads * D)."""
        c = self.config
        for what, shape in (("apart", [0, 0, heads, c.head_dim]), ("together", [0, 0, heads * c.head_dim])):
            self.hold(f"{name}.{what}", np.array(shape, np.int64))
        self.hold(f"{name}.weight", self.weights.values(f"{name}.weight", (c.head_dim,)))
        self.node("Reshape", [x, f"{name}.apart"], [f"{name}.split"])
        self.node(
            "SimplifiedLayerNormalization",
            [f"{name}.split", f"{name}.weight"],
            [f"{name}.normed"],
            epsilon=c.norm_eps,
            axis=-1,
        )
        self.node("Reshape", [f"{name}.normed", f"{name}.together"], [f"{name}.out"])
        return f"{name}.out"

    def scale_of(self, name: str) -> list[str]:
        c = self.config
        leaves = ["weight"] if c.norm == "rmsnorm" else ["weight", "bias"]
        for leaf in leaves:
            self.hold(f"{name}.{leaf}", self.weights.values(f"{name}.{leaf}", (c.d_model,)))
        return [f"{name}.{leaf}" for leaf in leaves]

    def norm(self, x: str, name: str) -> str:
        kind = "SimplifiedLayerNormalization" if self.config.norm == "rmsnorm" else "LayerNormalization"
        self.node(kind, [x, *self.scale_of(name)], [f"{name}.out"], epsilon=self.config.norm_eps, axis=-1)
        return f"{name}.out"

    def norm_after(self, x: str, rest: str, name: str) -> tuple[str, str]:
        """norm(x + rest), and x + rest."""
        kind = "SkipSimplifiedLayerNormalization" if self.config.norm == "rmsnorm" else "SkipLayerNormalization"
        outs = [f"{name}.out", "", "", f"{name}.rest"]
        self.node(kind, [rest, x, *self.scale_of(name)], outs, MICROSOFT, epsilon=self.config.norm_eps)
        return f"{name}.out", f"{name}.rest"

    def product(self, x: str, name: str, shape: tuple[int, int], *, bias: bool, out: str = "") -> str:
        """x (…, K) by the matrix (N, K) of that name, plus its bias."""
        out, bits = out or f"{name}.out", self.bits
        if bits and name.endswith(EIGHT):
            bits = 8
        added = self.weights.values(f"{name}.bias", shape[:1]) if bias else None
        if bits is not None:
            self.quantised_product(x, shape[1], name, self.matrix(name, shape, bits), added, out)
            return out
        self.hold(f"{name}.weight", np.ascontiguousarray(self.weights.values(f"{name}.weight", shape).T))
        self.node("MatMul", [x, f"{name}.weight"], [out if added is None else f"{name}.product"])
        if added is not None:
            self.hold(f"{name}.bias", added)
            self.node("Add", [f"{name}.product", f"{name}.bias"], [out])
        return out

    def matrix(self, name: str, shape: tuple[int, int], bits: int) -> Quantised:
        if name not in self.matrices:
            self.matrices[name] = self.weights.quantised(f"{name}.weight", shape, bits)
        return self.matrices[name]

    def quantised_product(
        self, x: str, width: int, name: str, matrix: Quantised, bias: NDArray[np.float32] | None, out: str
    ) -> None:
        """x (…, K) by the matrix, plus its bias."""
        finely = self.bits == 8
        added = ""
        if bias is not None:
            added = f"{name}.half_bias" if finely else f"{name}.bias"
            self.hold(added, bias / 2 if finely else bias)  # once for each row
        rows, padded = (self.in_two(x, width), matrix.values.shape[1] * BLOCK) if finely else (x, width)
        alone = not finely and matrix.beside is None
        found = [out if alone else f"{name}.product"]
        self.blocks_product(rows, padded, name, matrix, found[0], added)
        if finely:
            found = [f"{name}.first", f"{name}.second"]
            self.node("Split", [f"{name}.product"], found, axis=0, num_outputs=2)
        if matrix.beside is not None:
            found.append(self.beside(x, width, name, matrix.beside))
        if not alone:
            self.node("Sum", found, [out])

    def beside(self, x: str, width: int, name: str, values: NDArray[np.float32]) -> str:
        """The sums of x's blocks by what the matrix has beside them (N, G)."""
        name, sums = f"{name}.beside", self.sums(x, width)
        if name not in self.matrices:
            self.matrices[name] = quantise(values, 8)
        self.blocks_product(sums, values.shape[1], name, self.matrices[name], f"{name}.out")
        return f"{name}.out"

    def in_blocks(self, x: str, width: int) -> str:
        """x (..., K) as (..., G, 32), filled with zeros."""
        if self.is_new(f"{x}.blocks"):
            ahead = self.dimensions(x) - 1
            self.hold(f"blocks.{ahead}", np.array([*[0] * ahead, -1, BLOCK], np.int64))
            self.node("Reshape", [self.filled(x, width), f"blocks.{ahead}"], [f"{x}.blocks"])
        return f"{x}.blocks"

    def filled(self, x: str, width: int) -> str:
        """x (..., K) with zeros up to whole blocks."""
        if width % BLOCK == 0:
            return x
        if self.is_new(f"{x}.filled"):
            ahead = self.dimensions(x) - 1
            self.hold(f"{x}.filled.places", np.array([*[0] * (2 * ahead + 1), -width % BLOCK], np.int64))
            self.node("Pad", [x, f"{x}.filled.places"], [f"{x}.filled"])
        return f"{x}.filled"

    def is_new(self, name: str) -> bool:
        """Whether this was not asked before."""
        if name in self.made:
            return False
        self.made.add(name)
        return True

    def in_two(self, x: str, width: int) -> str:
        """x as the sum of two (2 * B, ...): what `MatMulNBits` rounds it to, then the rest, which is rounded finely.

        The operator rounds its input to 8 bits in blocks; what it makes of it is its product with the unit matrix.
        """
        blocks, ahead = self.in_blocks(x, width), self.dimensions(x) - 1
        unit = Quantised(8, 128 + np.eye(BLOCK, dtype=np.uint8)[:, None], np.ones((BLOCK, 1), np.float32))
        self.blocks_product(blocks, BLOCK, "unit", unit, f"{x}.rounded")
        self.node("Sub", [blocks, f"{x}.rounded"], [f"{x}.remaining"])
        self.node("Concat", [blocks, f"{x}.remaining"], [f"{x}.both"], axis=0)
        self.hold(f"rows.{ahead}", np.array([*[0] * ahead, -1], np.int64))
        self.node("Reshape", [f"{x}.both", f"rows.{ahead}"], [f"{x}.in_two"])
        return f"{x}.in_two"

    def sums(self, x: str, width: int) -> str:
        """The sum of each block."""
        self.hold("inner", np.array([-1], np.int64))
        self.node("ReduceSum", [self.in_blocks(x, width), "inner"], [f"{x}.sums"], keepdims=0)
        return f"{x}.sums"

    @staticmethod
    def dimensions(x: str) -> int:
        return 2 if x == "last" else 3

    def blocks_product(
        self, x: str, width: int, name: str, matrix: Quantised, out: str, bias: str = "", *, accuracy: int = 4
    ) -> None:
        self.hold(f"{name}.values", matrix.values)
        self.hold(f"{name}.scales", matrix.scales.reshape(-1))
        inputs = [x, f"{name}.values", f"{name}.scales", "", "", bias]
        if matrix.zeros is not None:
            self.hold(f"{name}.zeros", matrix.zeros.reshape(-1))
            inputs[3] = f"{name}.zeros"
        while not inputs[-1]:
            inputs.pop()
        sizes = {"K": width, "N": len(matrix.values), "bits": matrix.bits, "block_size": BLOCK}
        self.node("MatMulNBits", inputs, [out], MICROSOFT, accuracy_level=accuracy, **sizes)

    def _serialised(self) -> bytes:
        c = self.config
        names = [f"{which}{layer}" for layer in range(c.n_layers) for which in "kv"]
        cache: tuple[str, Sequence[int | str]] = ("float32", ["B", c.n_kv_heads, "S", c.head_dim])
        inputs: dict[str, tuple[str, Sequence[int | str]]] = {
            "x": ("float32", ["B", "T", c.d_model]),
            "ends": ("int32", ["B"]),
            "longest": ("int32", []),
            "asked": ("int64", ["n"]),
        }
        inputs |= dict.fromkeys(names, cache)
        outputs: dict[str, tuple[str, Sequence[int | str]]] = {"logits": ("float32", ["n", c.vocab_size])}
        outputs |= {f"{name}.new": cache for name in names}
        return proto.model("decoder", self.nodes, inputs, outputs, self.arrays, {"": 18, MICROSOFT: 1})


def of(config: GPTConfig) -> str:
    """What the graph can't do of this config, as the rest of a sentence; empty where it can all."""
    from genarium.models.rotary import LongScaling, YarnScaling

    if config.positions == "rotary" and config.head_dim % 16:
        return f"has heads of width {config.head_dim}, and onnxruntime turns those of a multiple of 16"
    scaling = config.rope_scaling
    if isinstance(scaling, YarnScaling):
        return "stretches its positions by YaRN"
    if isinstance(scaling, LongScaling) and scaling.short_factor != scaling.long_factor:
        return "stretches the positions of long texts otherwise than those of short ones"
    return ""

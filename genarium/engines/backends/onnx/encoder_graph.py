"""A bidirectional Transformer as one ONNX graph, made of its config: the network of `models/encoder.py` for one text.

Attention is onnxruntime's `MultiHeadAttention`, norms are `SkipLayerNormalization` (docs/ContribOperators.md there);
matrices are products of float32 as the folder has them.

Shapes: T tokens of one text, C width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.store.ggml import Blocks
from genarium.engines.backends.onnx import proto
from genarium.engines.backends.onnx.encoder_weights import EncoderWeights
from genarium.models.encoder_config import Activation

MICROSOFT = "com.microsoft"
ACTIVATIONS: dict[Activation, tuple[str, str, dict[str, float]]] = {
    "gelu": ("Gelu", MICROSOFT, {}),
    "gelu_tanh": ("FastGelu", MICROSOFT, {}),
    "quick_gelu": ("QuickGelu", MICROSOFT, {"alpha": 1.702}),
    "relu": ("Relu", "", {}),
}


class EncoderGraph(proto.Nodes):
    """`model` is the serialised graph, `arrays` its weights by name, which it does not hold.

    Takes `tokens`, `positions` and, where the network has segments, `types` (T,) int64; gives `state1` … of each
    block (T, C). Where the embedding table is in blocks, it takes `embedded` (T, C), its rows, instead of `tokens`.
    """

    def __init__(self, weights: EncoderWeights):
        self.weights, self.config, self.words = weights, weights.config, weights.words()
        super().__init__()
        self.model = self._made()

    def _made(self) -> bytes:
        c = self.config
        self.hold("apart", np.array([1, -1, c.d_model], np.int64))
        self.hold("together", np.array([-1, c.d_model], np.int64))
        x = self.embedded()
        for layer in range(c.n_layers):
            block = f"blocks.{layer}"
            x = self.norm_after(self.attention(x, block), x, f"{block}.attention_norm", f"{block}.middle")
            up = self.product(x, f"{block}.mlp.up", c.d_ff, c.d_model)
            kind, domain, more = ACTIVATIONS[c.activation]
            self.node(kind, [up], [f"{block}.active"], domain, **more)
            down = self.product(f"{block}.active", f"{block}.mlp.down", c.d_model, c.d_ff)
            x = self.norm_after(down, x, f"{block}.mlp_norm", f"state{layer + 1}")
        names = [*([] if self.in_blocks else ["tokens"]), "positions", *(["types"] if c.n_types else [])]
        given: dict[str, tuple[str, Sequence[int | str]]] = {name: ("int64", ["T"]) for name in names}
        if self.in_blocks:
            given["embedded"] = ("float32", ["T", c.d_model])
        return proto.model(
            "encoder",
            self.nodes,
            given,
            {f"state{layer + 1}": ("float32", ["T", c.d_model]) for layer in range(c.n_layers)},
            self.arrays,
            {"": 18, MICROSOFT: 1},
        )

    @property
    def in_blocks(self) -> bool:
        """Whether the embedding table is, whose rows are then looked up before."""
        return isinstance(self.words, Blocks)

    def embedded(self) -> str:
        c = self.config
        tables = [
            ("position_embedding", "positions", self.table("position_embedding", c.first_position + c.context_length))
        ]
        if not isinstance(self.words, Blocks):
            tables.insert(0, ("embedding", "tokens", self.words))
        if c.n_types:
            tables.append(("type_embedding", "types", self.table("type_embedding", c.n_types)))
        total = "embedded" if self.in_blocks else ""
        for name, numbers, table in tables:
            self.hold(f"{name}.weight", table)
            self.node("Gather", [f"{name}.weight", numbers], [f"{name}.rows"], axis=0)
            if total:
                self.node("Add", [total, f"{name}.rows"], [f"{name}.sum"])
            total = f"{name}.sum" if total else f"{name}.rows"
        inputs = [total, *self.scale_of("embedding_norm")]
        self.node("LayerNormalization", inputs, ["state0"], epsilon=c.norm_eps, axis=-1)
        return "state0"

    def table(self, name: str, size: int) -> NDArray[np.float32]:
        return self.weights.value(f"{name}.weight", (size, self.config.d_model))

    def attention(self, x: str, block: str) -> str:
        c = self.config
        three = []
        for part, which in zip(self.three(x, f"{block}.attention.qkv"), "qkv", strict=True):
            three.append(f"{block}.{which}")
            self.node("Reshape", [part, "apart"], [three[-1]])
        self.node("MultiHeadAttention", three, [f"{block}.attended"], MICROSOFT, num_heads=c.n_heads)
        self.node("Reshape", [f"{block}.attended", "together"], [f"{block}.flat"])
        return self.product(f"{block}.flat", f"{block}.attention.out", c.d_model, c.d_model)

    def three(self, x: str, name: str) -> list[str]:
        """Queries, keys and values (T, C)."""
        C = self.config.d_model
        weights, biases = self.weights.parts(f"{name}.weight", (C, C)), self.weights.parts(f"{name}.bias", (C,))
        return [
            self.plain(x, f"{name}.{part}", weight, bias)
            for part, weight, bias in zip("qkv", weights, biases, strict=True)
        ]

    def product(self, x: str, name: str, d_out: int, d_in: int) -> str:
        """x (T, d_in) by the matrix (d_out, d_in) of that name, plus its bias."""
        weight = self.weights.value(f"{name}.weight", (d_out, d_in))
        return self.plain(x, name, weight, self.weights.value(f"{name}.bias", (d_out,)))

    def plain(self, x: str, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        self.hold(f"{name}.weight", weight)
        self.hold(f"{name}.bias", bias)
        self.node("Gemm", [x, f"{name}.weight", f"{name}.bias"], [f"{name}.out"], transB=1)
        return f"{name}.out"

    def norm_after(self, x: str, rest: str, name: str, out: str) -> str:
        """norm(x + rest)."""
        inputs = [x, rest, *self.scale_of(name)]
        self.node("SkipLayerNormalization", inputs, [out], MICROSOFT, epsilon=self.config.norm_eps)
        return out

    def scale_of(self, name: str) -> list[str]:
        for leaf in ("weight", "bias"):
            self.hold(f"{name}.{leaf}", self.weights.value(f"{name}.{leaf}", (self.config.d_model,)))
        return [f"{name}.weight", f"{name}.bias"]

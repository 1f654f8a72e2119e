"""A decoder as an ONNX graph with its tokenizer beside it: what onnxruntime opens by itself.

The graph is that of `engines/backends/onnx/graph.py`. Before it stand the look-up of tokens and what it is told of
lengths, so that inputs and outputs are those of ONNX exports of decoders (optimum, onnxruntime-genai):

- `input_ids` (B, T) int64, `attention_mask` (B, S + T) int64: 1 for what was read before and now, padding at the right;
- `past_key_values.N.key` and `.value` (B, K, S, D) float32, S = 0 at first;
- `logits` (B, T, V) float32; `present.N.key` and `.value` (B, K, S + T, D).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from genarium.checkpoints.layouts.gpt_config import ARCHITECTURES
from genarium.engines.backends.onnx import graph as graphs
from genarium.engines.backends.onnx.prepared import BITS
from genarium.errors import BadInput, first_line
from genarium.export.safetensors import beside
from genarium.export.source import Source
from genarium.progress import emit

DTYPES = tuple(BITS)
FILE, DATA = "model.onnx", "model.onnx.data"
ALIGNMENT = 4096
"""Bytes: where a weight begins in the file of weights, so that it can be mapped."""
INDICES = {
    "second": np.array([1], np.int64),
    "one": np.array([1], np.int64),
    "nothing": np.array(0, np.int64),
    "step": np.array(1, np.int64),
    "scalar": np.array([], np.int64),
}


def write(source: Source, place: Path, dtype: str) -> None:
    """Fill the empty folder `place`. Raises BadInput for what the graph can't do."""
    if cannot := graphs.of(source.config):
        raise BadInput(f"{source.found.reference} {cannot}; export it as safetensors or gguf")
    beside(source, place)
    config = source.raw | {"architectures": [ARCHITECTURES[source.kind]]}
    (place / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    graph = graphs.Graph(source.weights, BITS[dtype])
    model = onnx.load_from_string(graph.model)
    arrays = graph.arrays | _before(source, model.graph)
    _renamed(model.graph, source)
    _store(model.graph, arrays, place / DATA)
    for key, value in (source.origin | {"dtype": dtype}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save_model(model, str(place / FILE))
    _try(source, place / FILE, dtype)


def _try(source: Source, file: Path, dtype: str) -> None:
    """Raises BadInput where onnxruntime does not take what was written: better here than where it is opened."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises its own kinds, which have no common one
        raise BadInput(
            f"onnxruntime refuses {source.found.reference} in {dtype} ({first_line(error)}); export it in float32, or "
            "as gguf"
        ) from None


def _before(source: Source, graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """Put in front what makes the graph's own inputs of tokens and mask; the arrays that this needs."""
    c = source.config
    nodes: list[onnx.NodeProto] = []

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    arrays: dict[str, NDArray[Any]] = {f"before.{name}": values for name, values in INDICES.items()}
    arrays["before.embedding"] = _small(source.weights.values("embedding.weight", source.shapes["embedding.weight"]))
    node("Gather", ["before.embedding", "input_ids"], "before.looked")
    node("Cast", ["before.looked"], "before.words", to=TensorProto.FLOAT)
    node("ReduceSum", ["attention_mask", "before.one"], "before.lengths", keepdims=0)
    node("Sub", ["before.lengths", "before.one"], "before.ends")
    node("Cast", ["before.ends"], "ends", to=TensorProto.INT32)
    node("Shape", ["attention_mask"], "before.mask")
    node("Gather", ["before.mask", "before.second"], "before.total")
    node("Cast", ["before.total"], "before.total32", to=TensorProto.INT32)
    node("Reshape", ["before.total32", "before.scalar"], "longest")
    node("Shape", ["input_ids"], "before.shape")
    node("ReduceProd", ["before.shape"], "before.count", keepdims=0)
    node("Range", ["before.nothing", "before.count", "before.step"], "asked")
    if c.positions == "learned":
        arrays["before.column"] = np.array([-1, 1], np.int64)
        arrays["before.positions"] = source.weights.values(
            "position_embedding.weight", source.shapes["position_embedding.weight"]
        )
        node("Gather", ["before.shape", "before.second"], "before.new")
        node("Reshape", ["before.new", "before.scalar"], "before.new0")
        node("Range", ["before.nothing", "before.new0", "before.step"], "before.places")
        node("Sub", ["before.lengths", "before.new"], "before.own")  # a row that is padded begins at 0
        node("Max", ["before.own", "before.nothing"], "before.begins")
        node("Reshape", ["before.begins", "before.column"], "before.begin")
        node("Add", ["before.begin", "before.places"], "before.position")
        node("Gather", ["before.positions", "before.position"], "before.where")
        node("Add", ["before.words", "before.where"], "x")
    else:
        node("Identity", ["before.words"], "x")
    held = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *held])
    for name, values in arrays.items():
        if values.dtype == np.int64:
            kind = helper.np_dtype_to_tensor_dtype(values.dtype)
            graph.initializer.append(helper.make_tensor(name, kind, values.shape, values.tobytes(), raw=True))
        else:
            kind = helper.np_dtype_to_tensor_dtype(values.dtype)
            graph.initializer.append(TensorProto(name=name, data_type=kind, dims=values.shape))
    return arrays


def _small(values: NDArray[np.float32]) -> NDArray[Any]:
    """In float16 where that loses nothing, as of a checkpoint in float16."""
    with np.errstate(over="ignore"):
        halved = values.astype(np.float16)
    return halved if np.array_equal(halved.astype(np.float32), values) else values


def _renamed(graph: onnx.GraphProto, source: Source) -> None:
    """The usual names of inputs and outputs, and logits (B, T, V) in place of rows."""
    c = source.config
    names: dict[str, str] = {"logits": "logits.rows"}
    for layer in range(c.n_layers):
        for short, whole in (("k", "key"), ("v", "value")):
            names[f"{short}{layer}"] = f"past_key_values.{layer}.{whole}"
            names[f"{short}{layer}.new"] = f"present.{layer}.{whole}"
    for one in graph.node:
        for fields in (one.input, one.output):
            for place, name in enumerate(fields):
                fields[place] = names.get(name, name)
    graph.initializer.append(helper.make_tensor("after.width", TensorProto.INT64, [1], [c.vocab_size]))
    graph.node.append(helper.make_node("Concat", ["before.shape", "after.width"], ["after.shape"], axis=0))
    graph.node.append(helper.make_node("Reshape", ["logits.rows", "after.shape"], ["logits"]))
    del graph.input[:], graph.output[:]
    words = helper.make_tensor_value_info
    graph.input.append(words("input_ids", TensorProto.INT64, ["batch", "new"]))
    graph.input.append(words("attention_mask", TensorProto.INT64, ["batch", "total"]))
    graph.output.append(words("logits", TensorProto.FLOAT, ["batch", "new", c.vocab_size]))
    for layer in range(c.n_layers):
        for whole in ("key", "value"):
            shape: list[str | int | None] = ["batch", c.n_kv_heads, "read", c.head_dim]
            graph.input.append(words(f"past_key_values.{layer}.{whole}", TensorProto.FLOAT, shape))
            shape = ["batch", c.n_kv_heads, "total", c.head_dim]
            graph.output.append(words(f"present.{layer}.{whole}", TensorProto.FLOAT, shape))


def _store(graph: onnx.GraphProto, arrays: dict[str, NDArray[Any]], file: Path) -> None:
    """The weights into a file of their own, where the graph says each of them lies."""
    outside = [one for one in graph.initializer if one.data_type != TensorProto.INT64]
    with file.open("wb") as out:
        for number, tensor in enumerate(outside):
            emit("exporting", number, len(outside))
            out.write(b"\0" * (-out.tell() % ALIGNMENT))
            values = np.ascontiguousarray(arrays[tensor.name])
            del tensor.external_data[:]
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", file.name), ("offset", str(out.tell())), ("length", str(values.nbytes))):
                tensor.external_data.add(key=key, value=value)
            values.tofile(out)

"""Encoders on onnxruntime are the torch networks, each text by itself, from every layout, with adapters and heads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts import encoder_config
from genarium.checkpoints.store import arrays, folder
from genarium.engines.backends.onnx import encoder
from genarium.engines.backends.onnx.encoder_graph import EncoderGraph
from genarium.engines.backends.onnx.encoder_weights import EncoderWeights
from genarium.engines.backends.onnx.heads import OnnxClassifier, OnnxSpans
from genarium.engines.backends.onnx.sentence import activated, pooled
from genarium.engines.embed.encoder import NativeEncoder
from genarium.errors import BadCheckpoint
from genarium.models.encoder import Encoder, QuestionAnsweringModel, TextClassifier
from genarium.models.encoder_config import EncoderConfig, HeadConfig
from genarium.models.sentence import _pooled
from genarium.models.sentence_config import POOLINGS
from tests.small_encoder import make_base

SIZE: dict[str, Any] = {"vocab_size": 64, "context_length": 40, "n_layers": 3, "n_heads": 4, "d_model": 48, "d_ff": 96}
KINDS: dict[str, dict[str, Any]] = {
    "bert": {},
    "bert without pooler": {"pooler": False, "activation": "gelu_tanh"},
    "roberta": {"first_position": 2, "n_types": 1, "pooler": False},
    "distilbert": {"n_types": 0, "pooler": False, "activation": "relu"},
}
ROWS = [[5, 1, 9, 33, 2], [7], [1, 1, 3, 60, 12, 8, 1, 4] * 5]


def shaken(model: Any) -> Any:
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm.weight" in name), std=0.2)
    return model.requires_grad_(False).eval()


def saved(kind: str, path: Path, model: Any = Encoder, *more: Any) -> Any:
    made = shaken(model(EncoderConfig(**SIZE, **KINDS[kind]), *more))
    layout.save(made, path, layout=kind.split(maxsplit=1)[0])
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_states_after_each_block_equal_the_torch_network(tmp_path: Path, kind: str) -> None:
    expected = saved(kind, tmp_path)
    found = encoder.load(tmp_path)
    for row in ROWS:
        types = [i % 2 for i in range(len(row))] if kind.startswith("bert") else None
        states: list[torch.Tensor] = []
        for block in expected.blocks:
            block.register_forward_hook(lambda block, inputs, out, states=states: states.append(out[0]))
        expected(torch.tensor([row]), types=None if types is None else torch.tensor([types]))
        for state, theirs in zip(found.states(row, types, layers=[1, 2, 3]), states[:3], strict=True):
            np.testing.assert_allclose(state, theirs.numpy(), atol=2e-5)
    with pytest.raises(IndexError, match="41 positions exceed the context of 40"):
        found.states([1] * 41)


@pytest.mark.parametrize("kind", KINDS)
def test_heads_equal_the_torch_networks(tmp_path: Path, kind: str) -> None:
    head = HeadConfig(n_outputs=3, activation="relu" if kind == "distilbert" else "tanh")
    classifier = saved(kind, tmp_path / "labels", TextClassifier, head)
    spans = saved(kind, tmp_path / "spans", QuestionAnsweringModel)
    scores = OnnxClassifier(tmp_path / "labels").scores(ROWS, None, told=lambda done: None)
    places = OnnxSpans(tmp_path / "spans")(ROWS)
    for row, found, at in zip(ROWS, scores, places, strict=True):
        np.testing.assert_allclose(found, classifier(torch.tensor([row]))[0].numpy(), atol=2e-5)
        np.testing.assert_allclose(at, spans(torch.tensor([row]))[0].numpy(), atol=2e-5)


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_types_are_raised_as_torch_raises_them(tmp_path: Path, stored: torch.dtype) -> None:
    saved("bert", tmp_path)
    tensors = folder.read_tensors(tmp_path)
    save_file({name: tensor.to(stored) for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
    weights, model = EncoderWeights(tmp_path), layout.load_encoder(tmp_path)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(weights.value(name, tensor.shape), tensor.numpy())


@pytest.mark.parametrize(
    "more",
    [{}, {"use_rslora": True}, {"use_dora": True}, {"init_lora_weights": "olora"}, {"alpha_pattern": {"query": 3}}],
    ids=str,
)
def test_adapters_merged_in_numpy_are_those_merged_in_torch(tmp_path: Path, more: dict[str, Any]) -> None:
    base, own = tmp_path / "base", tmp_path / "own"
    saved("bert", base, TextClassifier, HeadConfig(n_outputs=2))
    draw = torch.Generator().manual_seed(1)
    tensors = {}
    for module, (d_out, d_in) in {
        "bert.encoder.layer.0.attention.self.query": (48, 48),
        "bert.encoder.layer.1.output.dense": (48, 96),
    }.items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = torch.randn(4, d_in, generator=draw)
        tensors[f"base_model.model.{module}.lora_B.weight"] = torch.randn(d_out, 4, generator=draw)
        if more.get("use_dora"):
            tensors[f"base_model.model.{module}.lora_magnitude_vector"] = torch.rand(d_out, generator=draw) + 0.5
    tensors["base_model.model.classifier.weight"] = torch.randn(5, 48, generator=draw)
    tensors["base_model.model.classifier.bias"] = torch.randn(5, generator=draw)
    own.mkdir()
    save_file(tensors, own / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "task_type": "SEQ_CLS", "base_model_name_or_path": str(base), "r": 4}
    config |= {"lora_alpha": 8, "target_modules": ["query", "output.dense"], "modules_to_save": ["classifier"], **more}
    (own / "adapter_config.json").write_text(json.dumps(config))
    theirs = encoder_config.read(own, folder.read_tensors)[1]
    ours = encoder_config.read(own, arrays.read)[1]
    assert theirs.keys() == ours.keys()
    for name, tensor in theirs.items():
        np.testing.assert_allclose(np.asarray(ours[name]), tensor.numpy(), atol=1e-6, rtol=1e-5)
    scores = OnnxClassifier(own).scores(ROWS, None, told=lambda done: None)
    model = layout.load_classifier(own)
    for row, found in zip(ROWS, scores, strict=True):
        np.testing.assert_allclose(found, model(torch.tensor([row]))[0].numpy(), atol=2e-4)


@pytest.mark.parametrize("mode", POOLINGS)
@pytest.mark.parametrize("skip", [0, 2, 7])
def test_each_pooling_is_torchs(mode: Any, skip: int) -> None:
    hidden = torch.randn(1, 7, 12, generator=torch.Generator().manual_seed(0))
    theirs = _pooled(mode, hidden, None, torch.tensor([skip]) if skip else None)[0]
    np.testing.assert_allclose(pooled(mode, hidden[0].numpy(), skip), theirs.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid"])
def test_each_activation_of_a_dense_module_is_torchs(name: str) -> None:
    x = torch.linspace(-9, 9, 101)
    np.testing.assert_allclose(activated(x.numpy(), name.lower()), getattr(torch.nn, name)()(x).numpy(), atol=1e-6)


def test_a_text_is_the_same_to_the_bit_whatever_it_is_embedded_with(tmp_path: Path) -> None:
    texts = ["the film is lovely", "a tale", "what was the red book", "it has a dance the song is plain " * 5, ""]
    one = NativeEncoder(make_base(tmp_path), backend="onnx")
    together = one.embed(texts)
    for place, text in enumerate(texts):
        np.testing.assert_array_equal(one.embed([text])[0], together[place])
        np.testing.assert_array_equal(one.embed([*texts[::-1], text])[-1], together[place])
    theirs = NativeEncoder(tmp_path, backend="torch")
    np.testing.assert_allclose(theirs.embed(texts), together, atol=1e-5)
    np.testing.assert_allclose(theirs.embed_static(texts), one.embed_static(texts), atol=1e-6)
    assert one.embed([]).shape == theirs.embed([]).shape == (0, 32)


def test_the_graphs_bytes_are_what_onnx_reads(tmp_path: Path) -> None:
    saved("bert", tmp_path)
    graph = EncoderGraph(EncoderWeights(tmp_path))
    read = onnx.load_model_from_string(graph.model)
    assert [(one.domain, one.version) for one in read.opset_import] == [("", 18), ("com.microsoft", 1)]
    assert [one.name for one in read.graph.input] == ["tokens", "positions", "types"]
    assert read.graph.output[2].type.tensor_type.shape.dim[0].dim_param == "T"
    assert read.graph.output[2].type.tensor_type.shape.dim[1].dim_value == 48
    assert {one.name: tuple(one.dims) for one in read.graph.initializer} == {
        name: array.shape for name, array in graph.arrays.items()
    }
    norm = next(one for one in read.graph.node if one.op_type == "SkipLayerNormalization")
    assert (norm.domain, norm.attribute[0].name, norm.attribute[0].f) == (
        "com.microsoft",
        "epsilon",
        pytest.approx(1e-12),
    )
    attention = next(one for one in read.graph.node if one.op_type == "MultiHeadAttention")
    assert [(one.name, one.i) for one in attention.attribute] == [("num_heads", 4)]


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_what_is_wrong_with_a_folder_is_said_alike(tmp_path: Path, backend: str) -> None:
    def refused(words: str) -> None:
        with pytest.raises(BadCheckpoint, match=words):
            NativeEncoder(tmp_path, backend=backend)

    make_base(tmp_path)
    tensors = folder.read_tensors(tmp_path)
    name = "encoder.layer.0.output.dense.weight"
    for changed, words in (
        ({name: tensors[name][:3].clone()}, "asks for"),
        ({name: torch.full_like(tensors[name], torch.nan)}, "not numbers"),
        ({"pooler.dense.bias": torch.full((32,), torch.inf)}, "not numbers"),
        ({name: tensors[name].to(torch.int8)}, "stored as int8"),
        ({"encoder.layer.0.strange.weight": torch.ones(2)}, "nothing here reads"),
        ({name + "_scale": torch.ones(2)}, "quantised"),
    ):
        save_file({**tensors, **changed}, tmp_path / "model.safetensors")
        refused(words)
    save_file({one: tensor for one, tensor in tensors.items() if one != name}, tmp_path / "model.safetensors")
    refused(f"lack {name}")
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:-9])
    refused("damaged or cut short")


def test_shards_are_read(tmp_path: Path) -> None:
    model = saved("bert", tmp_path)
    tensors = {name: tensor.clone() for name, tensor in folder.read_tensors(tmp_path).items()}
    folder.write(tmp_path, folder.read_config(tmp_path), tensors, max_shard_bytes=40_000)
    assert (tmp_path / "model.safetensors.index.json").is_file()
    [state] = encoder.load(tmp_path).states(ROWS[0])
    np.testing.assert_allclose(state, model(torch.tensor([ROWS[0]]))[0].numpy(), atol=2e-5)

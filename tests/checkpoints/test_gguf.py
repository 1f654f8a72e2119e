"""GGUF files: the network, tokenizer and template of the folder they were made from; what is bad is one sentence."""

from __future__ import annotations

import contextlib
import json
import struct
import sys
from pathlib import Path
from random import Random
from typing import Any

import gguf as published
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, trainers

from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.processors import chat_template, gguf_tokenizer
from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.checkpoints.store import gguf, gguf_names
from genarium.checkpoints.store.find import find
from genarium.data.text import END_OF_TEXT, bpe_tokenizer
from genarium.engines import registry
from genarium.engines.text.protocol import TextRequest
from genarium.errors import BadCheckpoint
from genarium.progress import listening
from tests import causal_checkpoints, gguf_files
from tests.causal_checkpoints import tokens
from tests.conftest import STORY

TEXTS = ["The fox ran, didn't it?", " two  spaces\n\n\tand 1234 tabs ", "Füchse 狐が 🦊 e\u0301", ""]


@pytest.fixture(autouse=True)
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp is not there to take what is not run natively (`tests/engines/test_llama_cpp_text.py` has it)."""
    monkeypatch.setitem(sys.modules, "xllamacpp", None)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of random weights, with a tokenizer."""
    folder = tmp_path_factory.mktemp("llama")
    tokenizer = bpe_tokenizer([STORY], 330)
    end = tokenizer.token_to_id(END_OF_TEXT)
    size = {"vocab_size": tokenizer.get_vocab_size(), "hidden_size": 32, "intermediate_size": 64}
    causal_checkpoints.save(folder, "llama", size, eos_token_id=end)
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    return folder


def logits(path: Path) -> torch.Tensor:
    return gpt.load(path)(tokens()[:, :20])


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("gpt2", {}),
        ("gpt2", {"tie_word_embeddings": False}),
        ("llama", {}),
        ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "rope_theta": 77.0}),
        ("mistral", {"sliding_window": None}),
        ("qwen2", {}),
        ("qwen3", {}),
    ],
)
def test_the_network_is_that_of_the_folder_bit_for_bit(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    causal_checkpoints.save(folder, kind, changes)
    file = gguf_files.write(folder, tmp_path / "model.gguf")
    assert torch.equal(logits(folder), logits(file))


def test_stretched_positions_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    rope = {"rope_type": "linear", "factor": 3.0}
    causal_checkpoints.save(folder, "llama", {"rope_scaling": rope})
    said = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 3.0}
    file = gguf_files.write(folder, tmp_path / "model.gguf", changes=said)
    assert torch.equal(logits(folder), logits(file))


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_each_quantisation_gives_the_values_that_its_package_gives(kind: str, llama: Path, tmp_path: Path) -> None:
    file = gguf.read(gguf_files.write(llama, tmp_path / "model.gguf", kind=kind))
    for tensor in published.GGUFReader(file.path).tensors:
        expected = published.quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(file.values(tensor.name).reshape(-1), expected.reshape(-1))


@pytest.mark.parametrize("kind", ["Q4_K", "Q5_K", "Q6_K"])
def test_superblocks_are_read(kind: str, tmp_path: Path) -> None:
    """The package writes none of them: bytes that it reads are the reference."""
    sort = published.GGMLQuantizationType[kind]
    size = published.GGML_QUANT_SIZES[sort][1]
    raw = np.random.default_rng(0).integers(0, 60, (3, 2 * size), dtype=np.uint8)
    writer = published.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_tensor("output.weight", raw, raw_dtype=sort)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    read = gguf.read(tmp_path / "model.gguf").values("output.weight")
    assert read.shape == (3, 512)
    np.testing.assert_array_equal(read, published.quants.dequantize(raw, sort))


@pytest.mark.parametrize("pre", ["gpt-2", "qwen2", "smollm", "llama-bpe"])
def test_byte_level_tokenizers_cut_words_as_their_name_says(pre: str, llama: Path, tmp_path: Path) -> None:
    file = gguf_files.write(llama, tmp_path / "model.gguf", pre=pre, changes={"tokenizer.ggml.add_bos_token": False})
    ours, theirs = tokenizers.load(file), Tokenizer.from_file(str(llama / "tokenizer.json"))
    assert ours.get_vocab() == theirs.get_vocab()
    for text in TEXTS:
        assert ours.decode(ours.encode(text).ids) == (text if pre != "qwen2" else text.replace("e\u0301", "é"))
        if pre == "gpt-2" and "\u0301" not in text:  # the folder's own composes characters first
            assert ours.encode(text).ids == theirs.encode(text).ids
    pieces = [ours.pre_tokenizer.pre_tokenize_str("it's 1234 x")]  # type: ignore[union-attr]
    digits = {"gpt-2": ["Ġ1234"], "qwen2": ["1", "2", "3", "4"], "smollm": ["1", "2", "3", "4"]}
    expected = digits.get(pre, ["123", "4"])
    assert [piece for piece, _ in pieces[0] if any(one.isdigit() for one in piece)] == expected


def test_sentencepiece_is_rebuilt_from_its_scores(llama: Path, tmp_path: Path) -> None:
    spoken = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    spoken.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    spoken.train_from_iterator([STORY] * 3, trainers.BpeTrainer(vocab_size=380, special_tokens=first))
    spoken.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    pieces = [spoken.id_to_token(number) for number in range(spoken.get_vocab_size())]
    kinds = [2, 3, 3, *[6] * 256]
    letters = sum(len(piece) == 1 for piece in pieces)
    scores = [0.0] * (259 + letters) + [-float(rank) for rank in range(len(pieces) - 259 - letters)]
    folder = tmp_path / "folder"
    causal_checkpoints.save(folder, "llama", {"vocab_size": len(pieces)})
    prefix = "tokenizer.ggml."
    said = {"model": "llama", "tokens": pieces, "scores": scores, "bos_token_id": 1, "eos_token_id": 2}
    said |= {"token_type": kinds + [1] * (len(pieces) - len(kinds)), "unknown_token_id": 0}
    file = gguf_files.write(
        folder, tmp_path / "model.gguf", changes={prefix + key: value for key, value in said.items()}
    )
    ours = tokenizers.load(file)
    model = json.loads(spoken.to_str())
    model["added_tokens"] = []
    plain = Tokenizer.from_str(json.dumps(model))
    for text in ["The fox ran over the hill", "läuft 狐 🦊", " a  b", STORY]:
        assert ours.encode(text).ids == [1, *plain.encode(text).ids]
        assert ours.decode(ours.encode(text).ids) == text
    assert ours.encode("a</s>").ids[-1] == 2
    assert gguf_tokenizer.end_tokens(file) == {2}


def test_a_file_writes_what_its_folder_writes(llama: Path, tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"
    changes = {"tokenizer.chat_template": template}
    file = gguf_files.write(llama, tmp_path / "model.gguf", pre="gpt-2", changes=changes)
    request = TextRequest(max_new_tokens=12, temperature=0.8, seed=3)
    texts = [
        [done.text for done in registry.open_text(str(path)).write(["The fox", "A hill"], request)]
        for path in (llama, file)
    ]
    assert texts[0] == texts[1]
    loaded = chat_template.load(file, "this model")
    assert loaded.render([{"role": "user", "content": "Hello"}]) == f"Hello{END_OF_TEXT}"
    assert find(str(file), default="text").digest == published_digest(file)


def published_digest(file: Path) -> str:
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"llama.expert_count": 8}, "llama.expert_count 8, which is not run here"),
        ({"llama.rope.scaling.type": "su"}, "stretches its positions by 'su'"),
        ({"llama.rope.dimension_count": 2}, "rope.dimension_count 2 and heads of width 8"),
        ({"llama.attention.head_count_kv": [2, 1]}, "a list for llama.attention.head_count_kv"),
        ({"llama.attention.sliding_window": 5}, "does not say for which layers"),
        ({"llama.context_length": None}, "has no llama.context_length"),
        ({"llama.vocab_size": 99}, "its metadata has 99 tokens and its network"),
        ({"llama.embedding_length": 16}, "has shape"),
        ({"general.type": "adapter"}, "holds 'adapter', which is only a part of a model"),
        ({"general.architecture": "mamba"}, "holds a 'mamba' network"),
        ({"split.count": 3}, "one of 3 parts of a model; put them together"),
        ({"tokenizer.ggml.tokens": None}, "has no tokenizer (tokenizer.ggml.tokens)"),
        ({"tokenizer.ggml.tokens": ["a", "b"]}, "its tokenizer has 2 tokens and its network"),
        ({"tokenizer.ggml.merges": None}, "has no tokenizer.ggml.merges"),
        ({"tokenizer.ggml.merges": ["zz qq"]}, "merges 'zz qq', which is not in it"),
        ({"tokenizer.ggml.model": "t5"}, "its tokenizer is of the kind 't5'"),
        ({"tokenizer.ggml.pre": "tekken"}, "cuts words in the way 'tekken'"),
        ({"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 5000}, "bos_token_id is 5000"),
    ],
)
def test_what_is_not_run_is_refused_by_name(changes: dict[str, Any], said: str, llama: Path, tmp_path: Path) -> None:
    file = gguf_files.write(llama, tmp_path / "model.gguf", pre="gpt-2", changes=changes)
    assert said in refused(file)


def test_an_unknown_tensor_is_refused_and_an_unknown_key_is_said(llama: Path, tmp_path: Path) -> None:
    file = gguf_files.write(llama, tmp_path / "model.gguf", pre="gpt-2", changes={"llama.rope.new": 1})
    heard: list[str] = []
    with listening(lambda event: heard.append(str(event))):
        registry.open_text(str(file))
    assert any("llama.rope.new" in one for one in heard)
    raw = file.read_bytes().replace(b"blk.0.ffn_up.weight", b"blk.0.ffn_xx.weight")
    file.write_bytes(raw)
    assert "nothing here reads its tensor 'blk.0.ffn_xx.weight'" in refused(file)


def refused(file: Path) -> str:
    """What is said of the file: one sentence."""
    with pytest.raises(BadCheckpoint) as told:
        registry.open_text(str(file))
    assert len(str(told.value)) < 700
    assert "\n" not in str(told.value)
    return str(told.value)


def test_damaged_headers_are_one_sentence(llama: Path, tmp_path: Path) -> None:
    whole = gguf_files.write(llama, tmp_path / "whole.gguf", pre="gpt-2").read_bytes()
    file = tmp_path / "model.gguf"
    counts = whole.index(b"llama.context_length")
    offset = whole.index(b"blk.0.ffn_down.weight") + len("blk.0.ffn_down.weight") + 4 + 16
    damaged = {
        b"": "can't be read: it is empty",
        b"PK\x03\x04" + whole[4:]: "does not begin as a GGUF file does",
        whole[:4] + struct.pack(">I", 3) + whole[8:]: "big-endian",
        whole[:4] + struct.pack("<I", 1) + whole[8:]: "version 1 of the layout",
        whole[:8] + struct.pack("<Q", 2**60) + whole[16:]: "tensors, which do not fit",
        whole[:16] + struct.pack("<Q", 2**60) + whole[24:]: "metadata keys, which do not fit",
        whole[: counts - 8] + struct.pack("<Q", 2**62) + whole[counts:]: "bytes of a metadata key",
        whole[:offset] + struct.pack("<I", 19) + whole[offset + 4 :]: "GGML's type 19 (IQ1_S)",
        whole[:offset] + struct.pack("<I", 777) + whole[offset + 4 :]: "GGML's type 777",
        whole[: offset + 4] + struct.pack("<Q", 2**40) + whole[offset + 12 :]: "lies beyond its end",
        whole[:-5]: "lies beyond its end",
        whole[: counts + 40]: "",
    }
    for content, said in damaged.items():
        file.write_bytes(content)
        assert said in refused(file)


def test_any_damage_is_one_sentence_or_a_network(llama: Path, tmp_path: Path) -> None:
    whole = gguf_files.write(llama, tmp_path / "whole.gguf", pre="gpt-2").read_bytes()
    file, random = tmp_path / "model.gguf", Random(0)
    header = whole.index(b"blk.1.ffn_norm.weight")
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(random.choice((1, 1, 8))):
            content[random.randrange(4, header)] = random.randrange(256)
        file.write_bytes(content)
        with contextlib.suppress(BadCheckpoint):
            gguf_names.values(file)
            tokenizers.load(file)

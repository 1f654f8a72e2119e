"""Every tensor of a checkpoint is used, or known to be unneeded, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.store import folder
from genarium.checkpoints.store.tensors import Stored
from genarium.errors import BadCheckpoint
from genarium.models.gpt import GPT, GPTConfig


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = GPTConfig(
        vocab_size=40,
        context_length=32,
        n_layers=2,
        n_heads=2,
        n_kv_heads=2,
        head_dim=8,
        d_model=16,
        d_ff=32,
        norm="rmsnorm",
        positions="rotary",
        mlp="swiglu",
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
        tie_embeddings=False,
    )
    gpt.save(GPT(config), tmp_path)
    return tmp_path


def change(path: Path, **tensors: torch.Tensor | None) -> None:
    """Add, replace or remove tensors; `__` stands for a dot."""
    stored = load_file(path / "model.safetensors")
    for name, tensor in tensors.items():
        stored[name.replace("__", ".")] = tensor
    save_file({k: v for k, v in stored.items() if v is not None}, path / "model.safetensors")


def test_what_was_not_taken_is_left_over() -> None:
    one = torch.zeros(1)
    stored = Stored({"a": one, "b": one, "c": one, "x.rotary_emb.inv_freq": one, "m.position_ids": one})
    assert stored["a"] is one
    assert stored.get("b") is one
    assert stored.get("d") is None
    assert "c" in stored
    assert stored.left_over() == ["c"]
    renamed = stored.renamed(lambda name: name.upper(), "here")
    assert renamed.left_over() == ["C", "M.POSITION_IDS", "X.ROTARY_EMB.INV_FREQ"]
    with pytest.raises(BadCheckpoint, match="nothing here reads its tensor c,"):
        stored.refuse_left_over("here")
    stored.refuse_left_over("here", ["c"])
    with pytest.raises(BadCheckpoint, match="twice"):
        stored.renamed(lambda name: "same", "here")


def test_a_tensor_that_no_network_reads_is_refused_by_name(llama: Path) -> None:
    gpt.load(llama)
    change(llama, model__layers__0__self_attn__rotary_emb__inv_freq=torch.ones(4))
    gpt.load(llama)
    change(llama, model__layers__0__self_attn__q_proj__bias=torch.ones(16))
    with pytest.raises(BadCheckpoint, match=r"nothing here reads its tensor layers\.0\.self_attn\.q_proj\.bias"):
        gpt.load(llama)


@pytest.mark.parametrize("name", ["weight_scale_inv", "SCB", "weight_scale"])
def test_quantised_weights_are_refused_even_where_the_config_does_not_say_so(llama: Path, name: str) -> None:
    change(llama, **{f"model__layers__1__mlp__up_proj__{name}": torch.ones(1, 1)})
    with pytest.raises(BadCheckpoint, match=f"quantised .*{name}"):
        gpt.load(llama)


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64])
def test_weights_that_are_no_real_numbers_are_refused(llama: Path, dtype: torch.dtype) -> None:
    change(llama, lm_head__weight=torch.ones(40, 16).to(dtype))
    with pytest.raises(BadCheckpoint, match=r"head\.weight is stored as"):
        gpt.load(llama)


def test_two_files_with_one_tensor_are_refused(llama: Path) -> None:
    whole = folder.read_tensors(llama)
    folder.write(llama, folder.read_config(llama), whole, max_shard_bytes=3000)
    shards = sorted(llama.glob("model-*.safetensors"))
    name, tensor = next(iter(load_file(shards[0]).items()))
    save_file(load_file(shards[1]) | {name: tensor}, shards[1])
    with pytest.raises(BadCheckpoint, match=f"two of its files hold {name}"):
        gpt.load(llama)


def test_a_head_of_its_own_counts_more_than_a_config_that_ties_it(llama: Path) -> None:
    """As in transformers; and where one of the two is missing, the other one is both."""
    config = folder.read_config(llama)
    stored = folder.read_tensors(llama)
    folder.write(llama, config | {"tie_word_embeddings": True}, stored)
    model = gpt.load(llama)
    assert torch.equal(model.head.weight, stored["lm_head.weight"])
    assert torch.equal(model.embedding.weight, stored["model.embed_tokens.weight"])
    change(llama, lm_head__weight=stored["model.embed_tokens.weight"].clone())
    assert (model := gpt.load(llama)).head.weight is model.embedding.weight
    change(llama, lm_head__weight=stored["lm_head.weight"], model__embed_tokens__weight=None)
    assert (model := gpt.load(llama)).head.weight is model.embedding.weight
    assert torch.equal(model.head.weight, stored["lm_head.weight"])

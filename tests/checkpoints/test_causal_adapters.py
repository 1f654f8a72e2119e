"""Adapters over decoders compute what PEFT computes, or are refused by name; merged bytes of plain ones stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from genarium.checkpoints.fields.adapter import LoraFields
from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.store import adapters
from genarium.errors import BadCheckpoint
from tests.causal_checkpoints import save, tokens

QV = ["q_proj", "v_proj"]
RUN: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain": ("llama", {}, {"target_modules": QV}),
    "rslora": ("llama", {}, {"target_modules": "all-linear", "use_rslora": True, "lora_alpha": 3}),
    "patterns": (
        "mistral",
        {},
        {"target_modules": QV, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.self_attn.v_proj": 20}},
    ),
    "bias of adapted layers": ("qwen2", {}, {"target_modules": QV, "bias": "lora_only"}),
    "all biases": ("llama", {"attention_bias": True, "mlp_bias": True}, {"target_modules": QV, "bias": "all"}),
    "lora_bias": ("qwen2", {}, {"target_modules": QV, "lora_bias": True}),
    "dora": ("qwen3", {}, {"target_modules": "all-linear", "use_dora": True}),
    "pissa": ("llama", {}, {"target_modules": QV, "init_lora_weights": "pissa", "lora_alpha": 5}),
    "olora": ("llama", {}, {"target_modules": QV, "init_lora_weights": "olora"}),
    "gaussian": ("llama", {}, {"target_modules": QV, "init_lora_weights": "gaussian"}),
    "orthogonal": ("llama", {}, {"target_modules": QV, "init_lora_weights": "orthogonal"}),
    "gpt2": ("gpt2", {}, {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True, "bias": "all"}),
    "gpt2 dora": ("gpt2", {}, {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True, "use_dora": True}),
    "gpt2 pissa": ("gpt2", {}, {"target_modules": ["c_attn"], "fan_in_fan_out": True, "init_lora_weights": "pissa"}),
    "embedding": ("llama", {}, {"target_modules": ["embed_tokens", "lm_head"]}),
    "tied embedding": ("llama", {"tie_word_embeddings": True}, {"target_modules": ["embed_tokens", "q_proj"]}),
    "modules": ("llama", {}, {"target_modules": QV, "modules_to_save": ["lm_head", "embed_tokens"]}),
    "module of a tied one": (
        "qwen2",
        {"tie_word_embeddings": True},
        {"target_modules": QV, "modules_to_save": ["embed_tokens"]},
    ),
    "head of a tied one": ("gpt2", {}, {"target_modules": ["c_attn"], "modules_to_save": ["lm_head"]}),
    "norms": ("llama", {}, {"target_modules": QV, "modules_to_save": ["input_layernorm", "norm"]}),
}


def adapted(folder: Path, kind: str, changes: dict[str, Any], resized: int = 0, **config: Any) -> torch.Tensor:
    """A base and an adapter over it whose every trained number is random; the logits of PEFT's own reading."""
    base = save(folder / "base", kind, changes)
    base.name_or_path = str(folder / "base")
    if resized:
        base.resize_token_embeddings(resized, mean_resizing=False)
    torch.manual_seed(1)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **({"r": 4, "lora_alpha": 8} | config)))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder / "adapter")
    again = save(folder / "base", kind, changes)
    if resized:
        again.resize_token_embeddings(resized, mean_resizing=False)
    with torch.inference_mode():
        return PeftModel.from_pretrained(again, folder / "adapter").eval()(tokens()).logits


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RUN)
def test_an_adapter_computes_what_peft_computes(name: str, tmp_path: Path) -> None:
    kind, changes, config = RUN[name]
    expected = adapted(tmp_path, kind, changes, **config)
    with torch.inference_mode():
        plain = gpt.load(tmp_path / "base")(tokens())
        found = gpt.load(tmp_path / "adapter")(tokens())
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)
    assert (found - plain).abs().max() > 0.1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tied", [False, True])
def test_an_adapter_with_new_tokens_brings_their_vectors(tied: bool, tmp_path: Path) -> None:
    changes = {"tie_word_embeddings": tied}
    expected = adapted(tmp_path, "llama", changes, resized=57, target_modules=QV)
    model = gpt.load(tmp_path / "adapter")
    assert model.config.vocab_size == 57
    with torch.inference_mode():
        torch.testing.assert_close(model(tokens()), expected, atol=2e-4, rtol=0)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    adapted(tmp_path, "llama", {}, target_modules=QV)
    return tmp_path / "adapter"


def change(path: Path, **fields: Any) -> None:
    file = path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"peft_type": "IA3"},
        {"init_lora_weights": "pissa_niter_4"},
        {"init_lora_weights": "loftq"},
        {"init_lora_weights": "lora_ga"},
        {"layer_replication": [[0, 1], [0, 1]]},
        {"target_parameters": ["mlp.gate_proj.weight"]},
        {"trainable_token_indices": [3]},
        {"alora_invocation_tokens": [1]},
        {"use_qalora": True},
        {"ensure_weight_tying": True},
        {"r": "four"},
        {"lora_alpha": float("nan")},
        {"rank_pattern": [1]},
        {"a_field_of_next_year": True},
        {"base_model_name_or_path": None},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_not_known_is_refused_by_name(fields: dict[str, Any], plain: Path) -> None:
    change(plain, **fields)
    with pytest.raises(BadCheckpoint, match=next(iter(fields))):
        gpt.load(plain)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.layers.0.self_attn.q_proj.lora_magnitude_vector", "nothing here reads its tensor .*magnitude_vector"),
        ("model.layers.0.self_attn.k_proj.lora_B.weight", "nothing here reads its tensor .*lora_B"),
        ("model.layers.0.self_attn.k_proj.lora_A.weight", "does not fit its base"),
        ("model.layers.0.self_attn.k_proj.bias", "nothing here reads its tensor layers.0.self_attn.k_proj.bias"),
        ("model.layers.9.mlp.up_proj.weight", "nothing here reads its tensor layers.9.mlp.up_proj.weight"),
        ("score.weight", "nothing here reads its tensor score.weight"),
    ],
)
def test_a_tensor_that_nothing_reads_is_refused(name: str, said: str, plain: Path) -> None:
    stored = load_file(plain / "adapter_model.safetensors")
    save_file(stored | {f"base_model.model.{name}": torch.ones(4, 16)}, plain / "adapter_model.safetensors")
    with pytest.raises(BadCheckpoint, match=said):
        gpt.load(plain)


def test_plain_ones_are_merged_to_the_same_bytes_as_ever(plain: Path) -> None:
    """W + (α / r) B A in float32, product first: what recipes with adapters were made with."""
    base = load_file(plain.parent / "base" / "model.safetensors")
    stored = load_file(plain / "adapter_model.safetensors")
    name = "model.layers.0.self_attn.q_proj"
    up, down = (stored[f"base_model.model.{name}.lora_{part}.weight"] for part in "BA")
    merged = adapters.merged(plain, base, "")
    assert torch.equal(merged[f"{name}.weight"], base[f"{name}.weight"] + 2.0 * (up @ down))
    assert adapters.read_config(plain) == LoraFields.read(json.loads((plain / "adapter_config.json").read_text()), "")

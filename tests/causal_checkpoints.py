"""Tiny random decoders as transformers saves them, and what of their configs is varied."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

VOCABULARY, CONTEXT = 53, 48
Changes = dict[str, Any]

GPT2: Changes = {"vocab_size": VOCABULARY, "n_positions": CONTEXT, "n_embd": 16, "n_layer": 2, "n_head": 2}
LLAMA: Changes = {
    "vocab_size": VOCABULARY,
    "max_position_embeddings": CONTEXT,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
BASES: dict[str, Changes] = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA | {"head_dim": 6},
}
FACTORS = {"short_factor": [1.0, 1.3], "long_factor": [2.0, 5.0]}
YARN: Changes = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 12}
LONG: Changes = {"rope_type": "longrope", "original_max_position_embeddings": 12, **FACTORS}
THREE: Changes = {
    "rope_type": "llama3",
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 2.0,
    "original_max_position_embeddings": 12,
}
ROPES: list[Changes] = [
    {"rope_type": "default", "rope_theta": 50.0},
    {"type": "linear", "factor": 3.0},
    {"rope_type": "dynamic", "factor": 2.0},
    THREE,
    YARN,
    YARN | {"attention_factor": 1.5, "beta_fast": 4.0, "beta_slow": 0.5},
    YARN | {"mscale": 0.7, "mscale_all_dim": 1.2, "truncate": False, "rope_theta": 99.0},
    YARN | {"factor": None},
    LONG,
    LONG | {"attention_factor": 1.25},
    LONG | {"factor": 3.0, "original_max_position_embeddings": 24},
]
HEAD_DIM_4 = {"head_dim": 4}
ROTARY: dict[str, list[Changes]] = {
    "vocab_size": [{"vocab_size": 61}],
    "max_position_embeddings": [{"max_position_embeddings": 40}],
    "hidden_size": [{"hidden_size": 8}, {"hidden_size": 24}],
    "intermediate_size": [{"intermediate_size": 40}],
    "num_hidden_layers": [{"num_hidden_layers": 1}, {"num_hidden_layers": 3}],
    "num_attention_heads": [{"num_attention_heads": 2}, {"num_attention_heads": 8}],
    "num_key_value_heads": [{"num_key_value_heads": 4}, {"num_key_value_heads": 1}],
    "head_dim": [{"head_dim": 8}, {"head_dim": 4}],
    "hidden_act": [{"hidden_act": name} for name in ("silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu")],
    "rms_norm_eps": [{"rms_norm_eps": 0.3}],
    "tie_word_embeddings": [{"tie_word_embeddings": True}, {"tie_word_embeddings": False}],
    "rope_parameters": [HEAD_DIM_4 | {"rope_parameters": {"rope_theta": 1e4} | rope} for rope in ROPES],
    "rope_scaling": [HEAD_DIM_4 | {"rope_scaling": rope} for rope in ROPES],
    "rope_theta": [{"rope_theta": 100.0}, HEAD_DIM_4 | {"rope_theta": 77.0, "rope_scaling": YARN}],
    "original_max_position_embeddings": [
        HEAD_DIM_4 | {"original_max_position_embeddings": 20, "rope_scaling": rope} for rope in (YARN, LONG, THREE)
    ],
}
WINDOWS: dict[str, list[Changes]] = {
    "use_sliding_window": [{"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 0}],
    "sliding_window": [
        {"use_sliding_window": True, "sliding_window": size, "max_window_layers": 0} for size in (7, 1, None, 400)
    ],
    "max_window_layers": [{"use_sliding_window": True, "sliding_window": 5, "max_window_layers": n} for n in (1, 2, 9)],
    "layer_types": [
        {"use_sliding_window": True, "sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
        {"use_sliding_window": True, "sliding_window": 5, "layer_types": ["full_attention"] * 2},
    ],
}
# For every field that is read, what the config is changed to.
VALUES: dict[str, dict[str, list[Changes]]] = {
    "gpt2": {
        "vocab_size": [{"vocab_size": 61}],
        "n_positions": [{"n_positions": 40}],
        "n_embd": [{"n_embd": 8}],
        "n_layer": [{"n_layer": 1}, {"n_layer": 3}],
        "n_head": [{"n_head": 1}, {"n_head": 4}],
        "n_inner": [{"n_inner": 24}, {"n_inner": None}],
        "activation_function": [
            {"activation_function": name} for name in ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
        ],
        "layer_norm_epsilon": [{"layer_norm_epsilon": 0.3}],
        "tie_word_embeddings": [{"tie_word_embeddings": False}],
        "scale_attn_weights": [{"scale_attn_weights": False}],
        "scale_attn_by_inverse_layer_idx": [
            {"scale_attn_by_inverse_layer_idx": True},
            {"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False},
        ],
    },
    "llama": ROTARY | {"attention_bias": [{"attention_bias": True}], "mlp_bias": [{"mlp_bias": True}]},
    "mistral": ROTARY | {"sliding_window": [{"sliding_window": size} for size in (5, 1, None, 400)]},
    "qwen2": ROTARY | WINDOWS,
    "qwen3": ROTARY | WINDOWS | {"attention_bias": [{"attention_bias": True}]},
}
# Without effect on logits: tested where they have one (engines/test_native.py), or with a head that is not run.
NOT_OF_LOGITS = frozenset({"architectures", "bos_token_id", "eos_token_id", "id2label", "label2id", "problem_type"})


def save(folder: Path, kind: str, changes: Mapping[str, Any] = {}, **written: Any) -> PreTrainedModel:
    """A random checkpoint of this model_type, and transformers' network of it; `written` goes into the config as it is.

    As in folders on the hub, what is not changed is not in config.json, so that defaults count.
    """
    folder.mkdir(exist_ok=True)
    raw = {"model_type": kind, **BASES[kind], **changes, **written}
    (folder / "config.json").write_text(json.dumps(raw))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    tied = model._tied_weights_keys if model.config.tie_word_embeddings else ()
    save_file({k: v for k, v in model.state_dict().items() if k not in tied}, folder / "model.safetensors")
    return model


def tokens(rows: int = 2, length: int = 40) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(1))

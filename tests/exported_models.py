"""Random checkpoints that are exported, with a tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from genarium.data.text import END_OF_TEXT, bpe_tokenizer
from tests import causal_checkpoints
from tests.causal_checkpoints import THREE, YARN
from tests.conftest import STORY

HEAD_4 = {"head_dim": 4}
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("gpt2", {}),
    ("gpt2", {"tie_word_embeddings": False, "scale_attn_by_inverse_layer_idx": True, "n_inner": 24}),
    ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "num_key_value_heads": 1}),
    ("llama", HEAD_4 | {"rope_scaling": THREE}),
    ("llama", HEAD_4 | {"rope_scaling": {"rope_type": "linear", "factor": 3.0}}),
    ("llama", HEAD_4 | {"rope_scaling": YARN | {"beta_fast": 4.0, "beta_slow": 0.5}}),
    ("mistral", {"sliding_window": None}),
    ("qwen2", {"rope_theta": 77.0}),
    ("qwen3", {}),
]
# What transformers' reader of GGUF files knows: neither biases of a Llama nor stretched positions nor other widths.
PLAIN: list[tuple[str, dict[str, Any]]] = [
    ("gpt2", {"n_positions": 1024}),
    ("llama", {}),
    ("mistral", {"sliding_window": None}),
    ("qwen2", {"tie_word_embeddings": True}),
    ("qwen3", {"head_dim": 128}),
]


def made(folder: Path, kind: str, changes: dict[str, Any]) -> Path:
    """A random checkpoint with a tokenizer."""
    words = bpe_tokenizer([STORY], 330)
    end = words.token_to_id(END_OF_TEXT)
    size = {"vocab_size": words.get_vocab_size()}
    causal_checkpoints.save(folder, kind, size | changes, eos_token_id=end, bos_token_id=end)
    (folder / "tokenizer.json").write_text(words.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END_OF_TEXT, "bos_token": END_OF_TEXT}))
    return folder


def some(vocabulary: int = 300, length: int = 24) -> torch.Tensor:
    return torch.randint(0, vocabulary, (1, length), generator=torch.Generator().manual_seed(1))

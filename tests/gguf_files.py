"""Checkpoint folders written again as GGUF files, with the `gguf` package's writer and llama.cpp's names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

NAMES = {"gpt2": gguf.MODEL_ARCH.GPT2, "llama": gguf.MODEL_ARCH.LLAMA, "mistral": gguf.MODEL_ARCH.LLAMA}
NAMES |= {"qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3}


def permuted(rows: np.ndarray, heads: int) -> np.ndarray:
    """As convert_hf_to_gguf.py has it."""
    return rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def write(folder: Path, file: Path, *, kind: str = "F32", pre: str = "", changes: dict[str, Any] | None = None) -> Path:
    """The folder as `file`, matrices in `kind`; `changes` are metadata keys and their values (None: left out)."""
    raw = json.loads((folder / "config.json").read_text())
    arch = gguf.MODEL_ARCH_NAMES[NAMES[raw["model_type"]]]
    metadata = _config(raw, arch) | (_tokenizer(folder, pre) if pre else {}) | (changes or {})
    writer = gguf.GGUFWriter(file, arch)
    for key, value in metadata.items():
        _add(writer, key, value)
    names = gguf.get_tensor_name_map(NAMES[raw["model_type"]], 99)
    for name, tensor in load_file(folder / "model.safetensors").items():
        if name.endswith(("attn.bias", "attn.masked_bias")) and tensor.ndim > 1:
            continue
        there = names.get_name(name, (".weight", ".bias"))
        assert there, name
        stored = _reordered(name, tensor.astype(np.float32), raw, arch)
        quantised = gguf.GGMLQuantizationType[kind] if stored.ndim > 1 else gguf.GGMLQuantizationType.F32
        if quantised == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(there, np.ascontiguousarray(stored))
        else:
            writer.add_tensor(there, gguf.quants.quantize(stored, quantised), raw_dtype=quantised)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _reordered(name: str, tensor: np.ndarray, raw: dict[str, Any], arch: str) -> np.ndarray:
    if arch == "gpt2" and ".h." in name and tensor.ndim == 2:
        return tensor.T
    if arch == "llama" and ".q_proj." in name:
        return permuted(tensor, raw["num_attention_heads"])
    if arch == "llama" and ".k_proj." in name:
        return permuted(tensor, raw["num_key_value_heads"])
    return tensor


def _config(raw: dict[str, Any], arch: str) -> dict[str, Any]:
    if arch == "gpt2":
        own = {
            "context_length": raw["n_positions"],
            "embedding_length": raw["n_embd"],
            "feed_forward_length": 4 * raw["n_embd"],
            "block_count": raw["n_layer"],
            "attention.head_count": raw["n_head"],
            "attention.layer_norm_epsilon": 1e-5,
        }
    else:
        own = {
            "context_length": raw["max_position_embeddings"],
            "embedding_length": raw["hidden_size"],
            "feed_forward_length": raw["intermediate_size"],
            "block_count": raw["num_hidden_layers"],
            "attention.head_count": raw["num_attention_heads"],
            "attention.head_count_kv": raw["num_key_value_heads"],
            "attention.layer_norm_rms_epsilon": raw.get("rms_norm_eps", 1e-6),
            "rope.freq_base": float(raw.get("rope_theta", 10000.0)),
        }
        if "head_dim" in raw:
            own |= {"attention.key_length": raw["head_dim"], "attention.value_length": raw["head_dim"]}
    return {f"{arch}.{key}": value for key, value in own.items()}


def _tokenizer(folder: Path, pre: str) -> dict[str, Any]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = json.loads(tokenizer.to_str())["model"]
    added = tokenizer.get_added_tokens_decoder()
    tokens = [tokenizer.id_to_token(number) for number in range(tokenizer.get_vocab_size())]
    kinds = [3 if number in added and added[number].special else 1 for number in range(len(tokens))]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    raw = json.loads((folder / "config.json").read_text())
    prefix = "tokenizer.ggml."
    return {
        f"{prefix}model": "gpt2",
        f"{prefix}pre": pre,
        f"{prefix}tokens": tokens,
        f"{prefix}token_type": kinds,
        f"{prefix}merges": merges,
        f"{prefix}add_bos_token": False,
        f"{prefix}eos_token_id": raw.get("eos_token_id"),
    }


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)

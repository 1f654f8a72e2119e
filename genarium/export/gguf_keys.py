"""A decoder's config as a GGUF file's keys: the inverse of `checkpoints/store/gguf_names.py`.

What llama.cpp's network of that name does not do is refused by name. Keys are those of its converter
(convert_hf_to_gguf.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.fields import shown
from genarium.checkpoints.processors import generation
from genarium.checkpoints.store import gguf
from genarium.checkpoints.store.gguf_names import FREQUENCIES, GPT2_FIELDS, LLAMA_FIELDS
from genarium.engines.backends.onnx import rotary
from genarium.errors import BadInput
from genarium.export.safetensors import SAMPLING
from genarium.export.source import Source
from genarium.models.gpt_config import GPTConfig
from genarium.models.rotary import LinearScaling, Llama3Scaling, LongScaling, YarnScaling
from genarium.progress import note

WAY_OUT = "export it as safetensors or onnx"
ANEW = ("general.architecture", "general.file_type", "general.quantization_version", "general.alignment", "split.")
"""Keys that whoever writes a file says anew."""


def architecture(source: Source) -> str:
    """llama.cpp's name of the network. Raises BadInput where its network of that name is another."""
    if cannot := _cannot(source.config, source.kind):
        raise BadInput(f"{source.found.reference} {cannot}, which llama.cpp's networks have not; {WAY_OUT}")
    return "llama" if source.kind == "mistral" else source.kind


def _cannot(c: GPTConfig, kind: str) -> str:
    activation = "gelu_tanh" if kind == "gpt2" else "swiglu"
    if c.mlp != activation:
        return f"has the activation {c.mlp} (not {activation})"
    if c.sliding_window is not None:
        return f"has a sliding window of {c.sliding_window} tokens"
    if kind == "qwen3" and c.qkv_bias:
        return "has biases in a Qwen3's attention"
    scaling = c.rope_scaling
    if isinstance(scaling, YarnScaling):
        usual = 0.1 * math.log(scaling.factor) + 1.0 if scaling.factor > 1 else 1.0
        if not math.isclose(scaling.attention_factor, usual, rel_tol=1e-6) or not scaling.truncate:
            return "stretches its positions by YaRN with an attention factor of its own"
    if isinstance(scaling, LongScaling) and (
        scaling.short_factor != scaling.long_factor or scaling.attention_factor != 1.0
    ):
        return "stretches the positions of long texts otherwise than those of short ones"
    return ""


def of_file(source: Source) -> dict[str, Any]:
    """Of a GGUF file all keys, whoever reads them."""
    told = gguf.read(source.path).metadata
    return {key: value for key, value in told.items() if not key.startswith(ANEW)} | _origin(source)


def of_config(source: Source, arch: str) -> dict[str, Any]:
    """The network's keys."""
    c = source.config
    values: dict[str, Any] = {
        "context_length": c.context_length,
        "embedding_length": c.d_model,
        "block_count": c.n_layers,
        "feed_forward_length": c.d_ff,
        "attention.head_count": c.n_heads,
        "attention.layer_norm_epsilon": c.norm_eps,
        "attention.layer_norm_rms_epsilon": c.norm_eps,
        "attention.head_count_kv": c.n_kv_heads,
        "attention.key_length": c.head_dim,
        "rope.freq_base": float(c.rope_theta),
    }
    own = {key: values[key] for key in (GPT2_FIELDS if source.kind == "gpt2" else LLAMA_FIELDS)}
    if source.kind != "gpt2":
        own |= {"attention.value_length": c.head_dim, "rope.dimension_count": c.head_dim} | _stretched(c)
    own["vocab_size"] = c.vocab_size
    return {f"{arch}.{key}": value for key, value in own.items()}


def _stretched(c: GPTConfig) -> dict[str, Any]:
    scaling = c.rope_scaling
    if isinstance(scaling, LinearScaling):
        return {"rope.scaling.type": "linear", "rope.scaling.factor": float(scaling.factor)}
    if isinstance(scaling, YarnScaling):
        return {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": float(scaling.factor),
            "rope.scaling.original_context_length": scaling.original_max_position_embeddings,
            "rope.scaling.yarn_beta_fast": float(scaling.beta_fast),
            "rope.scaling.yarn_beta_slow": float(scaling.beta_slow),
        }
    return {}


def frequencies(source: Source) -> dict[str, NDArray[np.float32]]:
    """The tensor of what each wavelength is multiplied by, where a network has one."""
    c, scaling = source.config, source.config.rope_scaling
    if not isinstance(scaling, Llama3Scaling | LongScaling):
        return {}
    return {FREQUENCIES: (rotary.plain_frequencies(c) / rotary.frequencies(c)[0]).astype(np.float32)}


def general(source: Source) -> dict[str, Any]:
    """What the file is, where it comes from, and how its authors would have it write."""
    named = {"general.type": "model", "general.name": source.name}
    if source.licence:
        named["general.license"] = source.licence
    return named | _sampling(source) | _origin(source)


def _origin(source: Source) -> dict[str, str]:
    return {f"genarium.{key}": value for key, value in source.origin.items()}


def _sampling(source: Source) -> dict[str, Any]:
    """generation_config.json as keys; a note says what has none."""
    told = generation.read(source.path)
    floats = {f"general.sampling.{key}": getattr(told, name) for key, name in SAMPLING.items()}
    found: dict[str, Any] = {key: value for key, value in floats.items() if isinstance(value, int | float)}
    found = {key: int(value) if key.endswith("top_k") else float(value) for key, value in found.items()}
    lost = _lost(vars(told))
    if lost:
        note(f"left out, as a GGUF file has no key for it: {lost} of {told.file}")
    return found


def _lost(told: Mapping[str, Any]) -> str:
    kept = {*SAMPLING.values(), "eos_token_id", "do_sample"}
    return ", ".join(
        f"{name} {shown(value)}"
        for name, value in told.items()
        if name not in kept and value not in (None, generation.NEUTRAL.get(name)) and value != []
    )

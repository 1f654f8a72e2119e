"""`config.json` of the GPT-2 and Llama families <-> `models.gpt.GPTConfig`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from genarium.checkpoints.fields import shown
from genarium.checkpoints.fields.causal import (
    BY_TYPE,
    GPT2Fields,
    LlamaFields,
    MistralFields,
    Qwen2Fields,
    Qwen3Fields,
    RotaryFields,
)
from genarium.checkpoints.fields.rope import Rope
from genarium.errors import BadCheckpoint
from genarium.models.gpt_config import GPTConfig
from genarium.models.rotary import LinearScaling, Llama3Scaling, LongScaling, Scaling, YarnScaling

MODEL_TYPES = tuple(BY_TYPE)
ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
# transformers' names of activations -> the native MLP. Where two are one function, the first is written.
PLAIN: dict[str, Literal["gelu_tanh", "gelu", "relu"]] = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
}
GATED: dict[str, Literal["swiglu", "geglu_tanh", "geglu", "reglu"]] = {
    "silu": "swiglu",
    "gelu_pytorch_tanh": "geglu_tanh",
    "gelu_new": "geglu_tanh",
    "gelu": "geglu",
    "relu": "reglu",
}


def read_config(raw: Mapping[str, Any], where: str) -> GPTConfig:
    """The `GPTConfig` a published `config.json` describes; BadCheckpoint where this network can't be it."""
    kind = raw.get("model_type")
    if kind not in BY_TYPE:
        raise BadCheckpoint(
            f"{where}: model_type {shown(kind)} is not one the native GPT can be; it can be {', '.join(MODEL_TYPES)}"
        )
    fields = BY_TYPE[kind].read(raw, where)
    return _of_gpt2(fields, where) if isinstance(fields, GPT2Fields) else _of_llama(fields, where)


def _head_dim(width: int, heads: int, where: str) -> int:
    if width % heads:
        raise BadCheckpoint(
            f"{where}: config.json has {heads} attention heads, which do not divide its width of {width}; "
            "download the folder again"
        )
    return width // heads


def _of_gpt2(fields: GPT2Fields, where: str) -> GPTConfig:
    return GPTConfig(
        vocab_size=fields.vocab_size,
        context_length=fields.n_positions,
        n_layers=fields.n_layer,
        n_heads=fields.n_head,
        n_kv_heads=fields.n_head,
        head_dim=_head_dim(fields.n_embd, fields.n_head, where),
        d_model=fields.n_embd,
        d_ff=fields.n_inner or 4 * fields.n_embd,
        mlp=PLAIN[fields.activation_function],
        norm_eps=fields.layer_norm_epsilon,
        tie_embeddings=fields.tie_word_embeddings,
    )


def query_scale(raw: Mapping[str, Any], layer: int, config: GPTConfig) -> float:
    """What a GPT-2's queries of this layer are multiplied by, so that attention is scaled as in all other networks.

    `scale_attn_weights` false scales nothing, `scale_attn_by_inverse_layer_idx` also by 1 / (layer + 1).
    """
    if raw["model_type"] != "gpt2":
        return 1.0
    plain = 1.0 if raw.get("scale_attn_weights", True) else math.sqrt(config.head_dim)
    return plain / (layer + 1) if raw.get("scale_attn_by_inverse_layer_idx") else plain


def _of_llama(fields: RotaryFields, where: str) -> GPTConfig:
    heads = fields.num_attention_heads
    n_kv_heads = fields.num_key_value_heads or heads
    if heads % n_kv_heads:
        raise BadCheckpoint(
            f"{where}: config.json has {n_kv_heads} key-value heads, which do not divide its {heads} attention heads; "
            "download the folder again"
        )
    head_dim = fields.head_dim or _head_dim(fields.hidden_size, heads, where)
    if head_dim % 2:
        raise BadCheckpoint(
            f"{where}: config.json has heads of width {head_dim}, and rotary positions need an even one"
        )
    attention_bias = isinstance(fields, LlamaFields | Qwen3Fields) and fields.attention_bias
    window, full_layers = _windows(fields, where)
    theta, scaling = _rope(fields, head_dim, where)
    return GPTConfig(
        vocab_size=fields.vocab_size,
        context_length=fields.max_position_embeddings,
        n_layers=fields.num_hidden_layers,
        n_heads=heads,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        d_model=fields.hidden_size,
        d_ff=fields.intermediate_size,
        norm="rmsnorm",
        norm_eps=fields.rms_norm_eps,
        positions="rotary",
        rope_theta=theta,
        rope_scaling=scaling,
        sliding_window=window,
        full_layers=full_layers,
        mlp=GATED[fields.hidden_act],
        qkv_bias=attention_bias or (isinstance(fields, Qwen2Fields) and not isinstance(fields, Qwen3Fields)),
        out_bias=attention_bias,
        mlp_bias=isinstance(fields, LlamaFields) and fields.mlp_bias,
        qk_norm=isinstance(fields, Qwen3Fields),
        tie_embeddings=fields.tie_word_embeddings,
    )


def _windows(fields: RotaryFields, where: str) -> tuple[int | None, tuple[int, ...]]:
    """The sliding window that is smaller than the context, and the layers without it; none where it changes nothing."""
    window, full_layers = None, []
    if isinstance(fields, MistralFields):
        window = fields.sliding_window
    elif isinstance(fields, Qwen2Fields):
        window = fields.sliding_window if fields.use_sliding_window else None
        types = fields.layer_types
        if types is None:
            begins = fields.max_window_layers if window is not None else fields.num_hidden_layers
            full_layers = list(range(min(begins, fields.num_hidden_layers)))
        elif len(types) < fields.num_hidden_layers:
            raise BadCheckpoint(
                f"{where}: config.json has {len(types)} layer_types for {fields.num_hidden_layers} layers; download "
                "the folder again"
            )
        else:
            full_layers = [i for i in range(fields.num_hidden_layers) if types[i] == "full_attention"]
        if window is None and len(full_layers) < fields.num_hidden_layers:
            raise BadCheckpoint(
                f"{where}: config.json has layer_types with sliding_attention, but no sliding_window in use; set "
                "use_sliding_window and sliding_window, or download the folder again"
            )
    if window is None or window >= fields.max_position_embeddings or len(full_layers) == fields.num_hidden_layers:
        return None, ()
    return window, tuple(full_layers)


def _rope(fields: RotaryFields, head_dim: int, where: str) -> tuple[float, Scaling | None]:
    """The base of the wavelengths and how they are stretched, read in transformers' order of precedence."""
    # transformers 5 keeps theta and scaling together, in rope_parameters; earlier ones apart.
    rope = fields.rope_scaling or fields.rope_parameters or Rope()
    theta = rope.rope_theta or fields.rope_theta or 10_000.0
    context = fields.max_position_embeddings
    original = fields.original_max_position_embeddings or rope.original_max_position_embeddings or max(context, 2)
    # Dynamic scaling begins where the context ends, so that it changes nothing within.
    if rope.rope_type in ("default", "dynamic"):
        return theta, None
    if rope.rope_type == "linear":
        return theta, LinearScaling(rope.factor or 1.0)
    if rope.rope_type == "llama3":
        return theta, Llama3Scaling(
            rope.factor or 1.0, rope.low_freq_factor or 1.0, rope.high_freq_factor or 1.0, original
        )
    factor = rope.factor or context / original
    if rope.rope_type == "yarn":
        return theta, YarnScaling(
            factor=factor,
            original_max_position_embeddings=original,
            attention_factor=rope.attention_factor or _yarn_attention(rope, factor),
            beta_fast=rope.beta_fast or 32.0,
            beta_slow=rope.beta_slow or 1.0,
            truncate=rope.truncate,
        )
    short, long = rope.short_factor or (), rope.long_factor or ()
    if not len(short) == len(long) == head_dim // 2:
        raise BadCheckpoint(
            f"{where}: config.json has {len(short)} short_factor and {len(long)} long_factor where its heads of width "
            f"{head_dim} need {head_dim // 2}; download the folder again"
        )
    usual = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
    return theta, LongScaling(short, long, original, rope.attention_factor or usual)


def _yarn_attention(rope: Rope, factor: float) -> float:
    """YaRN's attention factor where the config names none (arXiv:2309.00071, eq. 22)."""

    def scale(m: float) -> float:
        return 0.1 * m * math.log(factor) + 1.0 if factor > 1 else 1.0

    if rope.mscale and rope.mscale_all_dim:
        return scale(rope.mscale) / scale(rope.mscale_all_dim)
    return scale(1.0)


def layout_of(config: GPTConfig) -> str:
    """The published model_type that describes this config. Raises BadCheckpoint where none does."""
    biases = (config.qkv_bias, config.out_bias, config.mlp_bias)
    windowed = config.sliding_window is not None
    gpt2 = (config.norm, config.positions) == ("layernorm", "learned") and config.mlp in PLAIN.values()
    if gpt2 and all(biases) and not config.qk_norm and config.n_kv_heads == config.n_heads and not windowed:
        return "gpt2"
    if (config.norm, config.positions) == ("rmsnorm", "rotary") and config.mlp in GATED.values():
        if config.qk_norm and config.qkv_bias == config.out_bias and not config.mlp_bias:
            return "qwen3"
        if biases == (True, False, False) and not config.qk_norm:
            return "qwen2"
        if not any(biases) and not config.qk_norm and windowed and not config.full_layers:
            return "mistral"
        if config.qkv_bias == config.out_bias and not config.qk_norm and not windowed:
            return "llama"
    raise BadCheckpoint("no published layout describes this mix of norm, positions, windows, MLP and biases")


def write_config(config: GPTConfig, kind: str) -> dict[str, Any]:
    """The `config.json` of a published layout."""
    common = {
        "model_type": kind,
        "architectures": [ARCHITECTURES[kind]],
        "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.tie_embeddings,
    }
    if kind == "gpt2":
        return common | {
            "n_positions": config.context_length,
            "n_embd": config.d_model,
            "n_layer": config.n_layers,
            "n_head": config.n_heads,
            "n_inner": config.d_ff,
            "layer_norm_epsilon": config.norm_eps,
            "activation_function": next(name for name, mlp in PLAIN.items() if mlp == config.mlp),
        }
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_scaling is not None:
        rope |= {"rope_type": SCALINGS[type(config.rope_scaling)]} | _as_json(config.rope_scaling)
    # Both spellings of the rotary settings, so that readers older than transformers 5 find theirs.
    older = {"rope_theta": config.rope_theta, "rope_scaling": rope if config.rope_scaling else None}
    biases = {} if kind == "qwen2" else {"attention_bias": config.qkv_bias}
    return (
        common
        | older
        | biases
        | _windows_as_json(config, kind)
        | {
            "max_position_embeddings": config.context_length,
            "hidden_size": config.d_model,
            "intermediate_size": config.d_ff,
            "num_hidden_layers": config.n_layers,
            "num_attention_heads": config.n_heads,
            "num_key_value_heads": config.n_kv_heads,
            "head_dim": config.head_dim,
            "hidden_act": next(name for name, mlp in GATED.items() if mlp == config.mlp),
            "rms_norm_eps": config.norm_eps,
            "rope_parameters": rope,
            "mlp_bias": config.mlp_bias,
        }
    )


SCALINGS = {LinearScaling: "linear", Llama3Scaling: "llama3", YarnScaling: "yarn", LongScaling: "longrope"}


def _as_json(scaling: Scaling) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(scaling).items()}


def _windows_as_json(config: GPTConfig, kind: str) -> dict[str, Any]:
    if config.sliding_window is None:
        return {}
    if kind == "mistral":
        return {"sliding_window": config.sliding_window}
    full = [i in config.full_layers for i in range(config.n_layers)]
    return {
        "use_sliding_window": True,
        "sliding_window": config.sliding_window,
        "layer_types": ["full_attention" if whole else "sliding_attention" for whole in full],
    }

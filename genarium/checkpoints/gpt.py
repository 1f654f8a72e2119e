"""The GPT-2 and Llama-family folder layouts: `config.json` and weights <-> `models.gpt.GPT`.

The published names and shapes are those of transformers' `GPT2LMHeadModel`, `LlamaForCausalLM`,
`MistralForCausalLM`, `Qwen2ForCausalLM` and `Qwen3ForCausalLM`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from genarium.checkpoints import folder as folders
from genarium.checkpoints.fields.causal import BY_TYPE, GPT2, Llama, Mistral, Qwen2, Qwen3, Rotary
from genarium.checkpoints.tensors import Stored
from genarium.errors import BadCheckpoint
from genarium.models.gpt import GPT, GPTConfig, Llama3Scaling, rotary_table

LLAMA_FAMILY = ("llama", "mistral", "qwen2", "qwen3")
MODEL_TYPES = ("gpt2", *LLAMA_FAMILY)
ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}

GELUS: dict[str, Literal["gelu", "gelu_tanh"]] = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
}

# Tensors that are not needed: the causal mask of GPT-2, and its head for choices.
UNNEEDED = {"gpt2": (r"h\.\d+\.(cross)?attn\.bias", r"h\.\d+\.crossattention\.bias", r"multiple_choice_head\..*")}


def load(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> GPT:
    """The network in a checkpoint folder, in evaluation mode.

    Raises BadCheckpoint where a part is missing, damaged, of another shape, not a number, or not known here.
    """
    raw = folders.read_config(path)
    config = read_config(raw, str(path))
    model_type = raw["model_type"]
    prefix = "transformer." if model_type == "gpt2" else "model."
    stored = folders.read_tensors(path).renamed(lambda name: name.removeprefix(prefix), path)
    config = replace(config, tie_embeddings=_ties(stored, config, model_type))
    with torch.device("meta"):
        model = GPT(config)
    tied = {"head.weight": "embedding.weight"} if config.tie_embeddings else {}
    folders.fill(model, lambda name: _fetch(stored, name, model_type, str(path)), path, dtype, device, tied=tied)
    stored.refuse_left_over(path, UNNEEDED.get(model_type, ()))
    if config.positions == "rotary":  # not stored: made again, outside the meta device
        model.rotary_cos, model.rotary_sin = (t.to(device) for t in rotary_table(config, config.context_length))
    return model.requires_grad_(False).eval()


def _ties(stored: Stored, config: GPTConfig, model_type: str) -> bool:
    """Whether head and embedding are one matrix: where the config says so, and no head of its own is stored.

    As transformers has it, a stored head that differs counts more than the config, and one of the two is enough.
    """
    top = GPT2_TOP if model_type == "gpt2" else LLAMA_TOP
    head, embedding = f"{top['head']}.weight", f"{top['embedding']}.weight"
    if not config.tie_embeddings or head not in stored:
        return config.tie_embeddings
    if embedding not in stored:
        dict.__setitem__(stored, embedding, stored[head])
        return True
    return torch.equal(stored[head], stored[embedding])


def save(model: GPT, path: Path, *, dtype: torch.dtype | None = None, extra: Mapping[str, Any] | None = None) -> None:
    """Write `config.json` and `model.safetensors` in the layout other libraries open.

    `extra` is added to the config (token ids, say). Raises BadCheckpoint where no published layout fits the config.
    """
    kind = layout_of(model.config)
    weights = next(model.parameters()).dtype if dtype is None else dtype
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if name == "head.weight" and model.config.tie_embeddings:
            continue
        tensors.update(_publish(name, tensor.detach().to("cpu", weights), kind, model.config))
    config = write_config(model.config, kind) | {"dtype": str(weights).removeprefix("torch.")} | dict(extra or {})
    folders.write(path, config, tensors)


def read_config(raw: Mapping[str, Any], where: str) -> GPTConfig:
    """The `GPTConfig` a published `config.json` describes; BadCheckpoint where this network can't be it."""
    kind = raw.get("model_type")
    if kind not in MODEL_TYPES:
        raise BadCheckpoint(
            f"{where}: model_type {kind!r} is not one the native GPT can be; it can be {', '.join(MODEL_TYPES)}"
        )
    fields = BY_TYPE[kind].read(raw, where)
    return _of_gpt2(fields, where) if isinstance(fields, GPT2) else _of_llama(fields, where)


def _require(condition: bool, where: str, what: str) -> None:
    if not condition:
        raise BadCheckpoint(f"{where}: the native GPT does not know {what}; choose another checkpoint")


def _head_dim(width: int, heads: int, where: str) -> int:
    if width % heads:
        raise BadCheckpoint(
            f"{where}: config.json has a width of {width} for {heads} attention heads, which does not divide it; "
            "download the folder again"
        )
    return width // heads


def _of_gpt2(fields: GPT2, where: str) -> GPTConfig:
    return GPTConfig(
        vocab_size=fields.vocab_size,
        context_length=fields.n_positions,
        n_layers=fields.n_layer,
        n_heads=fields.n_head,
        n_kv_heads=fields.n_head,
        head_dim=_head_dim(fields.n_embd, fields.n_head, where),
        d_model=fields.n_embd,
        d_ff=fields.n_inner or 4 * fields.n_embd,
        mlp=GELUS[fields.activation_function],
        norm_eps=fields.layer_norm_epsilon,
        tie_embeddings=fields.tie_word_embeddings,
    )


def _of_llama(fields: Rotary, where: str) -> GPTConfig:
    windowed = isinstance(fields, Mistral) or (isinstance(fields, Qwen2) and fields.use_sliding_window)
    window = fields.sliding_window if isinstance(fields, Mistral | Qwen2) and windowed else None
    _require(window is None or window >= fields.max_position_embeddings, where, "sliding-window attention")
    heads = fields.num_attention_heads
    attention_bias = isinstance(fields, Llama | Qwen3) and fields.attention_bias
    # transformers 5 keeps theta and scaling together, in rope_parameters; earlier ones apart.
    rope = dict(fields.rope_scaling or fields.rope_parameters or {})
    whole = rope.get("partial_rotary_factor", fields.partial_rotary_factor) in (None, 1)
    _require(whole, where, "partial rotary positions")
    rope_type = rope.get("rope_type", rope.get("type", "default"))
    _require(rope_type in ("default", "llama3"), where, f"rotary scaling {rope_type!r}")
    scaling = None
    if rope_type == "llama3":
        scaling = Llama3Scaling(**{name: rope[name] for name in Llama3Scaling.__dataclass_fields__})
    return GPTConfig(
        vocab_size=fields.vocab_size,
        context_length=fields.max_position_embeddings,
        n_layers=fields.num_hidden_layers,
        n_heads=heads,
        n_kv_heads=fields.num_key_value_heads or heads,
        head_dim=fields.head_dim or _head_dim(fields.hidden_size, heads, where),
        d_model=fields.hidden_size,
        d_ff=fields.intermediate_size,
        norm="rmsnorm",
        norm_eps=fields.rms_norm_eps,
        positions="rotary",
        rope_theta=rope.get("rope_theta", fields.rope_theta or 10_000.0),
        rope_scaling=scaling,
        mlp="swiglu",
        qkv_bias=attention_bias or (isinstance(fields, Qwen2) and not isinstance(fields, Qwen3)),
        out_bias=attention_bias,
        mlp_bias=isinstance(fields, Llama) and fields.mlp_bias,
        qk_norm=isinstance(fields, Qwen3),
        tie_embeddings=fields.tie_word_embeddings,
    )


def layout_of(config: GPTConfig) -> str:
    """The published model_type that describes this config."""
    biases = (config.qkv_bias, config.out_bias, config.mlp_bias)
    gpt2 = (config.norm, config.positions) == ("layernorm", "learned") and config.mlp != "swiglu"
    if gpt2 and all(biases) and not config.qk_norm and config.n_kv_heads == config.n_heads:
        return "gpt2"
    if (config.norm, config.positions, config.mlp) == ("rmsnorm", "rotary", "swiglu"):
        if config.qk_norm and config.qkv_bias == config.out_bias and not config.mlp_bias:
            return "qwen3"
        if biases == (True, False, False) and not config.qk_norm:
            return "qwen2"
        if config.qkv_bias == config.out_bias and not config.qk_norm:
            return "llama"
    raise BadCheckpoint("no published layout describes this mix of norm, positions, MLP and biases")


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
            "activation_function": "gelu" if config.mlp == "gelu" else "gelu_new",
        }
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_scaling is not None:
        rope |= {"rope_type": "llama3"} | vars(config.rope_scaling)
    # Both spellings of the rotary settings, so that readers older than transformers 5 find theirs.
    older = {"rope_theta": config.rope_theta, "rope_scaling": rope if config.rope_scaling else None}
    biases = {} if kind == "qwen2" else {"attention_bias": config.qkv_bias}
    return (
        common
        | older
        | biases
        | {
            "max_position_embeddings": config.context_length,
            "hidden_size": config.d_model,
            "intermediate_size": config.d_ff,
            "num_hidden_layers": config.n_layers,
            "num_attention_heads": config.n_heads,
            "num_key_value_heads": config.n_kv_heads,
            "head_dim": config.head_dim,
            "hidden_act": "silu",
            "rms_norm_eps": config.norm_eps,
            "rope_parameters": rope,
            "mlp_bias": config.mlp_bias,
        }
    )


# Native name -> published name, inside one block. GPT-2's matrices are stored transposed (its Conv1D).
GPT2_BLOCK = {
    "attention_norm": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.out": "attn.c_proj",
    "mlp_norm": "ln_2",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
}
GPT2_TOP = {"embedding": "wte", "position_embedding": "wpe", "final_norm": "ln_f", "head": "lm_head"}
LLAMA_BLOCK = {
    "attention_norm": ("input_layernorm",),
    "attention.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.out": ("self_attn.o_proj",),
    "attention.q_norm": ("self_attn.q_norm",),
    "attention.k_norm": ("self_attn.k_norm",),
    "mlp_norm": ("post_attention_layernorm",),
    "mlp.gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "mlp.down": ("mlp.down_proj",),
}
LLAMA_TOP = {"embedding": "embed_tokens", "final_norm": "norm", "head": "lm_head"}


def _published_names(name: str, model_type: str) -> tuple[list[str], bool]:
    """The published tensors behind a native one, and whether they are stored transposed."""
    module, _, leaf = name.rpartition(".")
    if not module.startswith("blocks."):
        top = GPT2_TOP if model_type == "gpt2" else LLAMA_TOP
        return [f"{top[module]}.{leaf}"], False
    _, index, inner = module.split(".", 2)
    if model_type == "gpt2":
        return [f"h.{index}.{GPT2_BLOCK[inner]}.{leaf}"], leaf == "weight" and "norm" not in inner
    return [f"layers.{index}.{part}.{leaf}" for part in LLAMA_BLOCK[inner]], False


def _fetch(stored: Mapping[str, Tensor], name: str, model_type: str, where: str) -> Tensor:
    names, transposed = _published_names(name, model_type)
    parts = [folders.require(stored, part, where) for part in names]
    tensor = torch.cat(parts) if len(parts) > 1 else parts[0]
    return tensor.t().contiguous() if transposed else tensor


def _publish(name: str, tensor: Tensor, kind: str, config: GPTConfig) -> dict[str, Tensor]:
    names, transposed = _published_names(name, kind)
    if kind == "gpt2":
        prefix: Callable[[str], str] = lambda n: n if n.startswith("lm_head") else f"transformer.{n}"  # noqa: E731
    else:
        prefix = lambda n: n if n.startswith("lm_head") else f"model.{n}"  # noqa: E731
    if len(names) == 1:
        return {prefix(names[0]): tensor.t().contiguous() if transposed else tensor.contiguous()}
    if len(names) == 3:
        sizes = [n * config.head_dim for n in (config.n_heads, config.n_kv_heads, config.n_kv_heads)]
    else:
        sizes = [config.d_ff, config.d_ff]
    return {prefix(part): piece.contiguous() for part, piece in zip(names, tensor.split(sizes), strict=True)}

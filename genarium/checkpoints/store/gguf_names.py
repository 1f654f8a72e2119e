"""What a Hugging Face folder would say of the decoder in a GGUF file: its `config.json`, and its tensors' names.

Keys and names are those of llama.cpp's converter (convert_hf_to_gguf.py, gguf-py/gguf/tensor_mapping.py), which
writes GPT-2's matrices with a row an output, and reorders the rows of a Llama's queries and keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.checkpoints.fields import shown
from genarium.checkpoints.store import gguf
from genarium.checkpoints.store.gguf import GGUF
from genarium.errors import BadCheckpoint
from genarium.progress import note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ARCHITECTURES = ("gpt2", "llama", "qwen2", "qwen3")
"""A Mistral is a llama there."""
# A key after the architecture's name -> the field of config.json.
GPT2_FIELDS = {
    "context_length": "n_positions",
    "embedding_length": "n_embd",
    "block_count": "n_layer",
    "attention.head_count": "n_head",
    "feed_forward_length": "n_inner",
    "attention.layer_norm_epsilon": "layer_norm_epsilon",
}
LLAMA_FIELDS = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "rope.freq_base": "rope_theta",
}
NEEDED = ("context_length", "embedding_length", "block_count", "attention.head_count", "feed_forward_length")
NEUTRAL: dict[str, Any] = {
    "attention.causal": True,
    "attention.clamp_kqv": 0,
    "attention.max_alibi_bias": 0,
    "attention.scale": 0,
    "attn_logit_softcapping": 0,
    "embedding_scale": 1,
    "expert_count": 0,
    "expert_shared_count": 0,
    "expert_used_count": 0,
    "final_logit_softcapping": 0,
    "logit_scale": 1,
    "pooling_type": 0,
    "residual_scale": 1,
    "use_parallel_residual": False,
}
"""Keys of other networks, and where they change nothing."""
READ_ELSEWHERE = ("vocab_size", "attention.value_length", "rope.dimension_count", "rope.scale_linear")
UNNEEDED = ("tensor_data_layout", "rope.scaling.finetuned")
GPT2_BLOCK = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
GPT2_TOP = {
    "token_embd": "transformer.wte",
    "position_embd": "transformer.wpe",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
}
LLAMA_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
LLAMA_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
FREQUENCIES = "rope_freqs.weight"
"""What each wavelength is divided by: Llama 3's stretching, worked out."""


@dataclass(frozen=True)
class Place:
    """A published tensor in the file: its name there, how many heads its rows are reordered by, and whether it lies
    transposed in a Hugging Face folder."""

    name: str
    heads: int = 0
    transposed: bool = False


def config(path: Path) -> dict[str, Any]:
    """The file's `config.json`. Raises BadCheckpoint where the network in it is none that is run here."""
    file = gguf.read(path)
    kind = file.metadata.get("general.architecture")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise BadCheckpoint(f"{other_network(path, kind)}; get the model as one of these")
    if (what := file.metadata.get("general.type", "model")) != "model":
        raise BadCheckpoint(f"{path} holds {shown(what)}, which is only a part of a model; name the model's own file")
    own = {key[len(kind) + 1 :]: value for key, value in file.metadata.items() if key.startswith(f"{kind}.")}
    fields = GPT2_FIELDS if kind == "gpt2" else LLAMA_FIELDS
    _refuse_unknown(own, fields, kind, path)
    raw: dict[str, Any] = {fields[key]: own[key] for key in fields if key in own}
    raw |= {"model_type": kind, "vocab_size": _vocabulary(file, own.get("vocab_size"))}
    raw["tie_word_embeddings"] = "output.weight" not in file.tensors
    ends = {name: file.metadata.get(f"tokenizer.ggml.{name}") for name in ("bos_token_id", "eos_token_id")}
    raw |= ends
    return raw if kind == "gpt2" else raw | _rotary(file, own, raw, kind)


def other_network(path: Path, kind: Any) -> str:
    """That the file's network is none of `ARCHITECTURES`, without a way out."""
    return f"{path} holds a {shown(kind)} network, and of GGUF files {', '.join(ARCHITECTURES)} are run natively"


def _refuse_unknown(own: Mapping[str, Any], fields: Mapping[str, str], kind: str, path: Path) -> None:
    for key in NEEDED:
        if key not in own:
            raise BadCheckpoint(f"{path} has no {kind}.{key}; {gguf.AGAIN}")
    for key, value in own.items():
        if key in NEUTRAL and value not in (NEUTRAL[key], None):
            raise BadCheckpoint(f"{path} has {kind}.{key} {shown(value)}, which is not run here; choose another model")
        if isinstance(value, list):
            raise BadCheckpoint(
                f"{path} has a list for {kind}.{key}: its layers differ, which is not run here; choose another model"
            )
    known = {*fields, *NEUTRAL, *READ_ELSEWHERE, *UNNEEDED, "attention.sliding_window"}
    unknown = sorted(key for key in own if key not in known and not key.startswith("rope.scaling."))
    if unknown:
        note(f"{path}: nothing here reads {', '.join(f'{kind}.{shown(key, quoted=False)}' for key in unknown[:8])}")
    window = own.get("attention.sliding_window")
    if window and window < own["context_length"]:
        raise BadCheckpoint(
            f"{path} has {kind}.attention.sliding_window {shown(window)}, and does not say for which layers; name "
            "the folder that it was made from"
        )


def _vocabulary(file: GGUF, told: Any) -> int:
    """How many tokens there are, which all parts of the file must agree on."""
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise BadCheckpoint(f"{file.path} has no token_embd.weight; {gguf.AGAIN}")
    rows = embedding.shape[0]
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    for what, number in (
        ("its tokenizer", len(tokens) if isinstance(tokens, list) else rows),
        ("its metadata", told or rows),
    ):
        if number != rows:
            raise BadCheckpoint(
                f"{file.path}: {what} has {shown(number)} tokens and its network {rows}, so they do not belong "
                f"together; {gguf.AGAIN}"
            )
    return rows


def _rotary(file: GGUF, own: Mapping[str, Any], raw: dict[str, Any], kind: str) -> dict[str, Any]:
    """What only the Llama family's config says."""
    raw.setdefault("num_key_value_heads", raw["num_attention_heads"])
    heads, width = raw["num_attention_heads"], raw["hidden_size"]
    head_dim = raw.get("head_dim") or (width // heads if isinstance(heads, int) and heads else 0)
    for key in ("attention.value_length", "rope.dimension_count"):
        if own.get(key, head_dim) != head_dim:
            raise BadCheckpoint(
                f"{file.path} has {kind}.{key} {shown(own[key])} and heads of width {head_dim}, which is not run "
                "here; choose another model"
            )
    more: dict[str, Any] = {"head_dim": head_dim, "hidden_act": "silu"}
    if kind != "qwen2":
        more["attention_bias"] = "blk.0.attn_q.bias" in file.tensors
    if kind == "llama":
        more["mlp_bias"] = "blk.0.ffn_gate.bias" in file.tensors
    prefix = "rope.scaling."
    scaling = {key.removeprefix(prefix): value for key, value in own.items() if key.startswith(prefix)}
    return more | _stretched(file, scaling, own.get("rope.scale_linear"), raw)


def _stretched(file: GGUF, scaling: Mapping[str, Any], linear: Any, raw: Mapping[str, Any]) -> dict[str, Any]:
    """`rope_scaling`, where positions are stretched. Raises BadCheckpoint for a way that is not known here."""
    kind, factor = scaling.get("type", "none"), scaling.get("factor") or linear
    context = raw["max_position_embeddings"]
    if FREQUENCIES in file.tensors:
        if kind != "none":
            raise BadCheckpoint(f"{file.path} has {FREQUENCIES} and stretches by {shown(kind)} too; {gguf.AGAIN}")
        factors = [float(one) for one in file.values(FREQUENCIES).reshape(-1)]
        return {
            "rope_scaling": {
                "rope_type": "longrope",
                "short_factor": factors,
                "long_factor": factors,
                "attention_factor": 1.0,
                "original_max_position_embeddings": context,
            }
        }
    if kind in ("none", "linear"):
        stretched = factor not in (None, 0, 1)
        return {"rope_scaling": {"rope_type": "linear", "factor": float(factor)}} if stretched else {}
    if kind == "yarn":
        rope = {
            "rope_type": "yarn",
            "factor": scaling.get("factor"),
            "original_max_position_embeddings": scaling.get("original_context_length"),
            "attention_factor": scaling.get("attn_factor"),
            "beta_fast": scaling.get("yarn_beta_fast"),
            "beta_slow": scaling.get("yarn_beta_slow"),
        }
        if scaling.get("yarn_log_multiplier"):
            raise BadCheckpoint(f"{file.path} has rope.scaling.yarn_log_multiplier, which is not run here")
        return {"rope_scaling": {name: value for name, value in rope.items() if value is not None}}
    raise BadCheckpoint(f"{file.path} stretches its positions by {shown(kind)}, which is not run here")


def places(path: Path) -> dict[str, Place]:
    """Where in the file each published tensor is. Raises BadCheckpoint where it has one that is not known here."""
    file, raw = gguf.read(path), config(path)
    found: dict[str, Place] = {}
    for name in file.tensors:
        published = None if name == FREQUENCIES else _published(name, raw)
        if published is None and name != FREQUENCIES:
            raise BadCheckpoint(
                f"{path}: nothing here reads its tensor {shown(name)}, so it would run as another network; choose "
                "another model"
            )
        if published is not None:
            found[published[0]] = published[1]
    return found


def _published(name: str, raw: Mapping[str, Any]) -> tuple[str, Place] | None:
    is_gpt2 = raw["model_type"] == "gpt2"
    module, _, leaf = name.rpartition(".")
    if leaf not in ("weight", "bias"):
        return None
    top, block = (GPT2_TOP, GPT2_BLOCK) if is_gpt2 else (LLAMA_TOP, LLAMA_BLOCK)
    if module in top:
        return f"{top[module]}.{leaf}", Place(name)
    inner = re.fullmatch(r"blk\.(\d+)\.(\w+)", module)
    if inner is None or inner[2] not in block:
        return None
    if is_gpt2:
        is_matrix = leaf == "weight" and "norm" not in inner[2]
        return f"transformer.h.{inner[1]}.{block[inner[2]]}.{leaf}", Place(name, transposed=is_matrix)
    heads = {"attn_q": raw["num_attention_heads"], "attn_k": raw["num_key_value_heads"]}.get(inner[2], 0)
    reordered = heads if raw["model_type"] == "llama" else 0
    return f"model.layers.{inner[1]}.{block[inner[2]]}.{leaf}", Place(name, heads=reordered)


def rows_in_order(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Rows of a Llama's queries or keys as Hugging Face has them: the first of all pairs of a head, then the second.

    The converter writes the two of each pair beside each other (its `permute`); this undoes it, for whatever a row is.
    """
    if not heads:
        return rows
    rest = rows.shape[1:]
    return rows.reshape(heads, len(rows) // heads // 2, 2, *rest).swapaxes(1, 2).reshape(len(rows), *rest)


def rows_as_stored(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """The inverse of `rows_in_order`."""
    if not heads:
        return rows
    rest = rows.shape[1:]
    return rows.reshape(heads, 2, len(rows) // heads // 2, *rest).swapaxes(1, 2).reshape(len(rows), *rest)


def stored_name(published: str, kind: str) -> tuple[str, str]:
    """What a published tensor of this `model_type` is called in a file: its name there, and that of its module alone.

    `model.layers.3.mlp.up_proj.weight` is `blk.3.ffn_up.weight`, of the module `ffn_up`.
    """
    top, block = (GPT2_TOP, GPT2_BLOCK) if kind == "gpt2" else (LLAMA_TOP, LLAMA_BLOCK)
    module, _, leaf = published.rpartition(".")
    if there := next((name for name, of in top.items() if of == module), None):
        return f"{there}.{leaf}", there
    found = re.fullmatch(r"(?:transformer\.h|model\.layers)\.(\d+)\.(.+)", module)
    assert found is not None
    there = next(name for name, of in block.items() if of == found[2])
    return f"blk.{found[1]}.{there}.{leaf}", there


def values(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every tensor by its published name, in float32, as a Hugging Face folder would have it. Raises BadCheckpoint."""
    file = gguf.read(path)
    found: dict[str, NDArray[np.float32]] = {}
    for name, place in places(path).items():
        stored = file.values(place.name)
        if place.heads and len(stored) % (2 * place.heads):
            raise BadCheckpoint(
                f"{path}: {place.name} has {len(stored)} rows, which its {place.heads} heads do not divide into "
                f"pairs; {gguf.AGAIN}"
            )
        stored = rows_in_order(stored, place.heads)
        found[name] = stored.T if place.transposed else stored
    return found

"""The GPT-2 and Llama-family folder layouts: `config.json` and weights <-> `models.gpt.GPT`.

The published names and shapes are those of transformers' `GPT2LMHeadModel`, `LlamaForCausalLM`,
`MistralForCausalLM`, `Qwen2ForCausalLM` and `Qwen3ForCausalLM`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genarium.checkpoints.layouts.gpt_config import (
    ARCHITECTURES,
    MODEL_TYPES,
    layout_of,
    query_scale,
    read_config,
    write_config,
)
from genarium.checkpoints.layouts.gpt_names import UNNEEDED, published_names, top_names, with_prefix
from genarium.checkpoints.store import adapters, find
from genarium.checkpoints.store import folder as folders
from genarium.checkpoints.store.tensors import Stored
from genarium.models.gpt import GPT, GPTConfig

__all__ = ["ARCHITECTURES", "MODEL_TYPES", "layout_of", "load", "query_scale", "read_config", "save", "write_config"]


def load(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> GPT:
    """The network in a checkpoint folder, in evaluation mode.

    Raises BadCheckpoint where a part is missing, damaged, of another shape, not a number, or not known here.
    """
    raw = folders.read_config(path)
    config = read_config(raw, str(path))
    model_type = raw["model_type"]
    stored = tensors(path, config, model_type)
    return network(path, stored, replace(config, tie_embeddings=_ties(stored, config, model_type)), raw, dtype, device)


def network(
    path: Path, stored: Stored, config: GPTConfig, raw: Mapping[str, Any], dtype: torch.dtype, device: str
) -> GPT:
    """The network of these tensors, which it takes all of; `raw` is config.json. Raises BadCheckpoint."""
    model_type = raw["model_type"]
    if adapters.is_adapter(path):  # it may bring new tokens
        config = replace(config, vocab_size=len(stored[f"{top_names(model_type)['embedding']}.weight"]))
    with torch.device("meta"):
        model = GPT(config)
    tied = {"head.weight": "embedding.weight"} if config.tie_embeddings else {}

    def fetch(name: str) -> Tensor:
        tensor = _fetch(stored, name, model_type, str(path))
        if ".attention.qkv." not in name or (scale := query_scale(raw, int(name.split(".")[1]), config)) == 1:
            return tensor
        tensor = tensor.clone()
        tensor[: config.d_model] *= scale
        return tensor

    folders.fill(model, fetch, path, dtype, device, tied=tied)
    stored.refuse_left_over(path, UNNEEDED.get(model_type, ()))
    if config.positions == "rotary":  # not stored: made again, outside the meta device
        model.rotary_cos, model.rotary_sin = (t.to(device) for t in model.rotary_of(model.rotary_cos.shape[1]))
    return model.requires_grad_(False).eval()


def tensors(path: Path, config: GPTConfig, model_type: str) -> Stored:
    """The tensors by their names without the network's prefix; of an adapter, its base's with the adapter merged."""
    prefix = "transformer." if model_type == "gpt2" else "model."
    if not adapters.is_adapter(path):
        return folders.read_tensors(path).renamed(lambda name: name.removeprefix(prefix), path)
    base = tensors(find.base_of(path), config, model_type)
    out = adapters.merged(path, base, prefix, is_transposed=lambda name: model_type == "gpt2" and name.startswith("h."))
    head, embedding = (f"{top_names(model_type)[part]}.weight" for part in ("head", "embedding"))
    if config.tie_embeddings and head not in out and embedding in base and out[embedding] is not base[embedding]:
        out[head] = base[embedding]  # an adapted embedding is the head's no more
    return out


def _ties(stored: Stored, config: GPTConfig, model_type: str) -> bool:
    """Whether head and embedding are one matrix: where the config says so, and no head of its own is stored.

    As transformers has it, a stored head that differs counts more than the config, and one of the two is enough.
    """
    top = top_names(model_type)
    head, embedding = f"{top['head']}.weight", f"{top['embedding']}.weight"
    if not config.tie_embeddings or head not in stored:
        return config.tie_embeddings
    if embedding not in stored:
        dict.__setitem__(stored, embedding, stored[head])
        return True
    return torch.equal(stored[head], stored[embedding])


def save(
    model: GPT,
    path: Path,
    *,
    dtype: torch.dtype | None = None,
    extra: Mapping[str, Any] | None = None,
    more: Mapping[str, Tensor] | None = None,
) -> None:
    """Write `config.json` and `model.safetensors` in the layout other libraries open.

    `extra` is added to the config (token ids, say), `more` to the tensors. Raises BadCheckpoint where no published
    layout fits the config.
    """
    kind = layout_of(model.config)
    weights = next(model.parameters()).dtype if dtype is None else dtype
    published: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if name == "head.weight" and model.config.tie_embeddings:
            continue
        published.update(_publish(name, tensor.detach().to("cpu", weights), kind, model.config))
    config = write_config(model.config, kind) | {"dtype": str(weights).removeprefix("torch.")} | dict(extra or {})
    for name, tensor in (more or {}).items():
        published[name] = tensor.detach().to("cpu", weights).contiguous()
    folders.write(path, config, published)


def _fetch(stored: Mapping[str, Tensor], name: str, model_type: str, where: str) -> Tensor:
    names, transposed = published_names(name, model_type)
    tensor = folders.stacked(stored, names, where, grouped=True)
    return tensor.t().contiguous() if transposed and tensor.dim() == 2 else tensor


def _publish(name: str, tensor: Tensor, kind: str, config: GPTConfig) -> dict[str, Tensor]:
    names, transposed = published_names(name, kind)
    names = [with_prefix(part, kind) for part in names]
    if len(names) == 1:
        return {names[0]: tensor.t().contiguous() if transposed else tensor.contiguous()}
    if len(names) == 3:
        sizes = [n * config.head_dim for n in (config.n_heads, config.n_kv_heads, config.n_kv_heads)]
    else:
        sizes = [config.d_ff, config.d_ff]
    return {part: piece.contiguous() for part, piece in zip(names, tensor.split(sizes), strict=True)}

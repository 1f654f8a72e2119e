"""Adapters in PEFT's folder layout: a base checkpoint by reference, and what was learned beside it.

`adapter_config.json` names the base and the scale, `adapter_model.safetensors` holds the low-rank matrices
(LoRA, Hu et al. 2021, arXiv:2106.09685) and whole new modules, by the names they have in transformers' network
after `base_model.model.`. Genarium adds `config.json`: the base's, with the label names, and under `base_sha256`
which weights the adapter was trained over.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genarium.checkpoints.fields import shown
from genarium.checkpoints.fields.adapter import WAY_OUT, LoraFields
from genarium.checkpoints.store.tensors import Stored
from genarium.errors import BadCheckpoint, first_line
from genarium.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."


def is_adapter(path: Path) -> bool:
    return (path / CONFIG).is_file()


def read_config(path: Path) -> LoraFields:
    """`adapter_config.json`. Raises BadCheckpoint where it is damaged or of a kind not known here."""
    raw = _read_json(path / CONFIG)
    if (kind := raw.get("peft_type")) != "LORA":
        raise BadCheckpoint(
            f"{path} is an adapter with peft_type {shown(kind)}, and only LoRA is opened here; {WAY_OUT}"
        )
    config = LoraFields.read(raw, str(path))
    if not config.base_model_name_or_path:
        raise BadCheckpoint(
            f"{path / CONFIG} does not say what it is an adapter of; put that under base_model_name_or_path"
        )
    return config


def _read_json(file: Path) -> dict[str, Any]:
    from genarium.checkpoints.store.folder import read_json  # which asks here whether a folder is an adapter

    return read_json(file)


def base_sha256(path: Path) -> dict[str, str]:
    """The weights it was trained over, file by file; empty where another program wrote the adapter.

    Raises BadCheckpoint.
    """
    named = _read_json(path / "config.json").get("base_sha256") if (path / "config.json").is_file() else None
    if named is None:
        return {}
    if not isinstance(named, dict) or any(Path(name).name != name for name in named):
        raise BadCheckpoint(f"{path / 'config.json'} has base_sha256 {shown(named)}; fine-tune again")
    return {str(name): str(value) for name, value in named.items()}


def merged(
    path: Path,
    base: Mapping[str, Tensor],
    prefix: str,
    *,
    is_transposed: Callable[[str], bool] = lambda name: False,
) -> Stored:
    """The base's tensors with the adapter's put in, as the network with PEFT's layers computes.

    W + scale · B A for low-rank matrices, and whole modules and biases in place of the base's. `prefix` (`bert.`) is
    what the names in `base` lack; `is_transposed` tells which of its matrices are stored as (in, out), as GPT-2's are.
    What comes out is torch's or numpy's, as the base's tensors are. Raises BadCheckpoint where the adapter is damaged,
    of another base, or has a tensor that nothing here reads.
    """
    library = _library(base)
    config, stored, out = read_config(path), _tensors(path, library), Stored(base)
    adapted: dict[str, str] = {}
    for key in stored:
        name = key.removeprefix(PREFIX).removeprefix(prefix)
        module, _, part = name.partition(".lora_")
        if not part:  # a bias, or a module of its own
            out[name.replace(".base_layer.", ".").replace(".modules_to_save.default.", ".")] = _float(stored[key])
        elif part in ("A.weight", "embedding_A"):
            adapted[module] = key.partition(".lora_")[0]
    for module, whole in adapted.items():
        _merge(out, module, whole, stored, config, path, is_transposed(f"{module}.weight"))
    stored.refuse_left_over(path)
    if not all(library.isfinite(tensor).all() for name, tensor in out.items() if tensor is not base.get(name)):
        raise BadCheckpoint(f"{path} holds values that are not numbers; download the folder again")
    return out


def _library(tensors: Mapping[str, Any]) -> Any:
    """torch or numpy, whichever holds these; where a name is the same in both, it means the same."""
    if all(isinstance(tensor, np.ndarray) for tensor in tensors.values()):
        return np
    import torch

    return torch


def _float(tensor: Any) -> Any:
    return tensor.astype(np.float32) if isinstance(tensor, np.ndarray) else tensor.float()


def _tensors(path: Path, library: Any) -> Stored:
    from safetensors import SafetensorError

    if not (path / WEIGHTS).is_file():
        from genarium.checkpoints.store.folder import refuse_pickles

        refuse_pickles(path, WEIGHTS)
    try:
        if library is np:
            from genarium.checkpoints.store.arrays import read_file

            return Stored(read_file(path / WEIGHTS))
        from safetensors.torch import load_file

        return Stored(load_file(path / WEIGHTS))
    except (SafetensorError, OSError, ValueError) as error:
        raise BadCheckpoint(
            f"{path / WEIGHTS} is damaged or missing ({first_line(error)}); download the folder again"
        ) from None


def _merge(
    out: Stored, module: str, whole: str, stored: Stored, config: LoraFields, path: Path, transposed: bool
) -> None:
    """Put one layer's matrices into `out`; `whole` is its name in the adapter's file."""
    target, bias = f"{module}.weight", f"{module}.bias"
    down, up = stored.get(f"{whole}.lora_A.weight"), stored.get(f"{whole}.lora_B.weight")
    embeds = down is None
    if embeds:  # an embedding's rows are its inputs
        down, up = stored.get(f"{whole}.lora_embedding_A"), stored.get(f"{whole}.lora_embedding_B")
    flipped = transposed or embeds
    weight = _float(out[target]) if target in out else None
    weight = weight.T if weight is not None and flipped else weight
    if weight is None or down is None or up is None or not _fits(weight, down, up):
        raise BadCheckpoint(
            f"{path}: {whole}.lora_A.weight does not fit its base {config.base_model_name_or_path}; it was trained "
            "over another one, so put that one's name under base_model_name_or_path"
        )
    scale = _scale(config, whole.removeprefix(PREFIX), down.shape[0])
    if not embeds:
        weight = _without_beginning(weight, config.init_lora_weights, down.shape[0], scale)
    weight = weight + scale * (_float(up) @ _float(down))
    if config.use_dora:
        magnitude = stored.get(f"{whole}.lora_magnitude_vector")
        if magnitude is None or embeds or magnitude.shape != weight.shape[:1]:
            raise BadCheckpoint(
                f"{path}: {whole} has no lora_magnitude_vector of its length, as use_dora needs; {WAY_OUT}"
            )
        norms = _library({"": weight}).linalg.norm(weight, axis=1, keepdims=True)
        weight = _float(magnitude)[:, None] / norms * weight
    out[target] = _laid_out(weight.T) if flipped else weight
    shift = stored.get(f"{whole}.lora_B.bias")
    if shift is not None:
        if bias not in out or shift.shape != out[bias].shape:
            raise BadCheckpoint(f"{path}: {whole}.lora_B.bias is of a layer whose base has no such bias; {WAY_OUT}")
        out[bias] = _float(out[bias]) + scale * _float(shift)


def _laid_out(tensor: Any) -> Any:
    return np.ascontiguousarray(tensor) if isinstance(tensor, np.ndarray) else tensor.contiguous()


def _fits(weight: Any, down: Any, up: Any) -> bool:
    """Whether (rank, in) and (out, rank) are of a matrix (out, in)."""
    if not weight.ndim == down.ndim == up.ndim == 2 or any("complex" in str(one.dtype) for one in (down, up)):
        return False
    return weight.shape == (up.shape[0], down.shape[1]) and up.shape[1] == down.shape[0]


def _scale(config: LoraFields, module: str, rank: int) -> float:
    """What the product of this module's matrices is multiplied by."""
    patterns = config.alpha_pattern or {}
    fits = (alpha for name, alpha in patterns.items() if re.match(rf"(.*\.)?({name})$", module))
    alpha = next(fits, config.lora_alpha)
    return alpha / (math.sqrt(rank) if config.use_rslora else rank)


def _without_beginning(weight: Any, begun: bool | str, rank: int, scale: float) -> Any:
    """The base's matrix (out, in) as training began with it: without what the adapter began with.

    PiSSA (Meng et al. 2024, arXiv:2404.02948) begins with the largest singular values, OLoRA (Büyükakyüz 2024,
    arXiv:2406.01775) with the first part of a QR decomposition, times the scale; the base keeps the rest.
    """
    linalg = _library({"": weight}).linalg
    if begun == "pissa":
        u, s, v = linalg.svd(weight, full_matrices=False)
        return weight - u[:, :rank] * s[:rank] @ v[:rank]
    if begun == "olora":
        q, r = linalg.qr(weight)
        return weight - scale * (q[:, :rank] @ r[:rank])
    return weight


def names(path: Path) -> list[str]:
    """What the tensors of the adapter are called, without `base_model.model.`. Raises BadCheckpoint."""
    from genarium.checkpoints.store.folder import tensor_names  # which asks here whether a folder is an adapter

    return sorted(name.removeprefix(PREFIX) for name in tensor_names(path))


def matrices(path: Path) -> dict[str, Tensor]:
    """A and B of a plain adapter by PEFT's names, in float32, the scale in B: W + B A is what it makes of W.

    Raises BadCheckpoint.
    """
    import torch

    config, found = read_config(path), _tensors(path, torch)
    made = {name: tensor.float() for name, tensor in found.items()}
    for name in [name for name in made if name.endswith(".lora_B.weight")]:
        layer = name.removeprefix(PREFIX).partition(".lora_")[0]
        made[name] = made[name] * _scale(config, layer, made[name].shape[1])
    return made


def write(
    path: Path,
    *,
    base: str,
    base_sha256: Mapping[str, str],
    config: Mapping[str, Any],
    task_type: str,
    rank: int,
    alpha: float,
    target_modules: list[str] | str,
    modules_to_save: list[str],
    tensors: Mapping[str, Tensor],
    fan_in_fan_out: bool = False,
) -> None:
    """Write an adapter folder; each file appears whole or not at all. `tensors` carry PEFT's names.

    `fan_in_fan_out` says that the base stores its matrices as (in, out), as GPT-2's are.
    """
    from safetensors.torch import save

    described = {
        "peft_type": "LORA",
        "task_type": task_type,
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": target_modules,
        "modules_to_save": modules_to_save,
        "inference_mode": True,
    } | ({"fan_in_fan_out": True} if fan_in_fan_out else {})
    path.mkdir(parents=True, exist_ok=True)
    write_atomically(path / WEIGHTS, save(dict(tensors), metadata={"format": "pt"}))
    write_atomically(path / CONFIG, json.dumps(described, indent=2).encode() + b"\n")
    # How a base's scores are calibrated says nothing of what was learned beside it.
    whole = {name: value for name, value in config.items() if name != "score_calibration"}
    whole |= {"base_sha256": dict(base_sha256)}
    write_atomically(path / "config.json", json.dumps(whole, indent=2).encode() + b"\n")

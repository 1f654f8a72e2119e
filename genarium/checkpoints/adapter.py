"""Adapters in PEFT's folder layout: a base checkpoint by reference, and what was learned beside it.

`adapter_config.json` names the base and the scale, `adapter_model.safetensors` holds the low-rank matrices
(LoRA, Hu et al. 2021, arXiv:2106.09685) and whole new modules, by the names they have in transformers' network
behind `base_model.model.`. Genarium adds `config.json`: the base's, with the label names, and under `base_sha256`
which weights the adapter was trained over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.errors import BadCheckpoint
from genarium.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
# What changes how a low-rank matrix is applied, and is not known here; empty or false in a plain LoRA.
UNKNOWN = ("use_dora", "fan_in_fan_out", "rank_pattern", "alpha_pattern", "layer_replication", "target_parameters")


def is_adapter(path: Path) -> bool:
    return (path / CONFIG).is_file()


def read_config(path: Path) -> dict[str, Any]:
    """`adapter_config.json`. Raises BadCheckpoint where it is damaged or of a kind not known here."""
    file = path / CONFIG
    try:
        config = json.loads(file.read_text("utf-8"))
        kind, base = config["peft_type"], config["base_model_name_or_path"]
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise BadCheckpoint(
            f"{file} can't be read as an adapter's config ({error}); download the folder again"
        ) from None
    if kind != "LORA" or any(config.get(name) for name in UNKNOWN):
        what = next((name for name in UNKNOWN if config.get(name)), f"peft_type {kind}")
        raise BadCheckpoint(
            f"{path} is an adapter with {what}, and only plain LoRA is opened here; merge it into its base with peft "
            "(merge_and_unload) and name the merged folder"
        )
    if not base or not isinstance(base, str):
        raise BadCheckpoint(f"{file} does not say what it is an adapter of; put that under base_model_name_or_path")
    return config


def base_sha256(path: Path) -> dict[str, str]:
    """The weights it was trained over, file by file; empty where another program wrote the adapter."""
    try:
        named = json.loads((path / "config.json").read_text("utf-8")).get("base_sha256", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return {str(name): str(value) for name, value in named.items() if Path(name).name == name}


def merged(path: Path, base: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The base's tensors with the adapter's put in: W + scale · B A, and whole modules in place of the base's.

    `prefix` (`bert.`) is what the names in `base` lack. Raises BadCheckpoint where the adapter is damaged or of
    another base.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = read_config(path)
    try:
        stored = load_file(path / WEIGHTS)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadCheckpoint(f"{path / WEIGHTS} is damaged or missing ({error}); download the folder again") from None
    out = dict(base)
    for key, tensor in stored.items():
        name = key.removeprefix(PREFIX).removeprefix(prefix)
        if name.endswith(".lora_B.weight"):
            continue
        if not name.endswith(".lora_A.weight"):
            if "lora_" in name:
                raise BadCheckpoint(f"{path}: {key} is not of a plain LoRA; merge it with peft (merge_and_unload)")
            out[name] = tensor.float()
            continue
        target = name.replace(".lora_A.weight", ".weight")
        up = stored.get(key.replace(".lora_A.", ".lora_B."))
        if target not in base or up is None or base[target].shape != (up.shape[0], tensor.shape[1]):
            raise BadCheckpoint(
                f"{path}: {key} does not fit its base {config['base_model_name_or_path']}; it was trained over "
                "another one, so put that one's name under base_model_name_or_path"
            )
        rank = tensor.shape[0]
        scale = config.get("lora_alpha", rank) / (math.sqrt(rank) if config.get("use_rslora") else rank)
        out[target] = base[target].float() + scale * (up.float() @ tensor.float())
    if not all(torch.isfinite(out[name]).all() for name in out.keys() - base.keys()):
        raise BadCheckpoint(f"{path} holds values that are not numbers; download the folder again")
    return out


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
) -> None:
    """Write an adapter folder; each file appears whole or not at all. `tensors` carry PEFT's names."""
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
    }
    path.mkdir(parents=True, exist_ok=True)
    write_atomically(path / WEIGHTS, save(dict(tensors), metadata={"format": "pt"}))
    write_atomically(path / CONFIG, json.dumps(described, indent=2).encode() + b"\n")
    whole = dict(config) | {"base_sha256": dict(base_sha256)}
    write_atomically(path / "config.json", json.dumps(whole, indent=2).encode() + b"\n")

"""A `planner/` folder <-> `models.plan.Planner`: Genarium's own, a `config.json` and safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from genarium.checkpoints.store import folder as folders
from genarium.errors import BadCheckpoint
from genarium.models.moving_plan import MovingPlanWords
from genarium.models.plan import Planner, PlannerConfig, PlanWords, Words

KIND = "GenariumPlanner"


def is_planner(path: Path) -> bool:
    return folders.is_of(path / "config.json", KIND)


def load(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Planner:
    """The planner in a folder, in evaluation mode. Raises BadCheckpoint."""
    config = read_config(folders.read_json(path / "config.json"), str(path))
    with torch.device("meta"):
        model = Planner(config)
    stored = folders.read_tensors(path)
    folders.fill(model, lambda name: folders.require(stored, name, path), path, dtype, device)
    return model.requires_grad_(False).eval()


def save(model: Planner, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    folders.write(path, {"_class_name": KIND} | asdict(model.config), folders.tensors_of(model, dtype))


def read_config(raw: Mapping[str, Any], where: str) -> PlannerConfig:
    """Raises BadCheckpoint where the config isn't a planner's, or its numbers don't fit each other."""
    if raw.get("_class_name") != KIND:
        raise BadCheckpoint(f"{where} does not hold a {KIND}")
    words = read_words(raw.get("words"), where)
    sizes: dict[str, Any] = {
        field.name: raw.get(field.name) for field in fields(PlannerConfig) if field.name != "words"
    }
    if not all(isinstance(size, int) and size > 0 for size in sizes.values()) or sizes["d_model"] % sizes["n_heads"]:
        raise BadCheckpoint(f"{where}: the sizes {sizes} are no network's; get the folder again")
    return PlannerConfig(words, **sizes)


def read_words(raw: Any, where: str) -> Words:
    """What plans can say, from JSON: of clips where it has motions. Raises BadCheckpoint."""
    kind = MovingPlanWords if isinstance(raw, Mapping) and "motions" in raw else PlanWords
    if not isinstance(raw, Mapping) or set(raw) != {field.name for field in fields(kind)}:
        raise BadCheckpoint(f"{where}: config.json does not say what plans are made of; get the folder again")
    read: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
    if not all(_is_list(value) if isinstance(value, tuple) else _is_size(value) for value in read.values()):
        raise BadCheckpoint(f"{where}: config.json's words of plans are damaged; get the folder again")
    words = kind(**read)
    if isinstance(words, MovingPlanWords) and not _fits(words):
        raise BadCheckpoint(f"{where}: things of {words.thing} cells don't fit an atlas {words.side} cells wide")
    return words


def _is_list(value: tuple[Any, ...]) -> bool:
    return bool(value) and all(isinstance(word, str) for word in value)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and 0 < value <= 64


def _fits(words: MovingPlanWords) -> bool:
    return words.side % words.thing == 0 and words.most % (words.side // words.thing) == 0

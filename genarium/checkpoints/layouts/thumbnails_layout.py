"""Diffusion of thumbnails: Genarium's own `transformer/`, and a `planner/` where it draws by plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.checkpoints.layouts import Layout

if TYPE_CHECKING:
    from genarium.models.thumbnails import ThumbnailDiffusion, ThumbnailsConfig


def read_config(path: Path) -> ThumbnailsConfig:
    from genarium.checkpoints.layouts import thumbnails

    return thumbnails.read_folder(path)


def load(path: Path, **how: Any) -> ThumbnailDiffusion:
    from genarium.checkpoints.layouts import thumbnails

    return thumbnails.load_folder(path, **how)


def save(model: ThumbnailDiffusion, path: Path, **how: Any) -> dict[str, list[str]]:
    from genarium.checkpoints.layouts import thumbnails

    return thumbnails.save_folder(model, path, **how)


LAYOUT = Layout("image", ("GenariumThumbnails",), load, read_config, save)

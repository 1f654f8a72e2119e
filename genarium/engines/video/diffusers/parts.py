"""The parts of a video pipeline on a CPU: read when they compute where memory is short, each as it runs fastest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from genarium.checkpoints.layouts.pipeline import Pipeline
from genarium.engines.cpu.upcast import use_float32_products
from genarium.engines.diffusers import loading
from genarium.engines.diffusers.configs import DENOISERS
from genarium.engines.diffusers.turns import Turns, empty

EXACT = ("timestep", "image_rotary_emb", "video_coords")
"""Arguments of denoisers that say when and where: half precision has too few digits for them."""


def by_turns(
    folder: Pipeline, name: str, turning: Sequence[str], dtypes: dict[str, torch.dtype], *, stream: bool
) -> tuple[Turns, dict[str, nn.Module]]:
    """The parts `turning`, which hold their weights one at a time; with `stream`, of denoisers one layer at a time."""
    turns, made = Turns(), dict[str, nn.Module]()
    for one in turning:
        part, path, dtype = folder.parts[one], folder.path / one, dtypes[one]
        if stream and one in DENOISERS:
            made[one] = loading.streamed(part, path, dtype)
            turns.let_go_for(one, made[one])
            continue

        def load(one: str = one, dtype: torch.dtype = dtype) -> nn.Module:
            network = loading.network(folder, one, name, dtype)
            loading.require_finite_part(one, network, folder.path)
            _lay_out_inside(one, network, dtype)
            return network

        kind = loading.class_of(*folder.classes[one], name)
        made[one] = turns.part(one, empty(kind, path, part.config, dtype), load)
    return turns, made


def lay_out(pipeline: Any, dtype: torch.dtype, turns: Turns | None) -> None:
    """Every network as it runs fastest, those of `turns` when they are read; the denoisers compute in `dtype`."""
    for name, part in pipeline.components.items():
        if not isinstance(part, nn.Module):
            continue
        if turns is None or name not in turns.names:
            _lay_out_inside(name, part, dtype)
        if name in DENOISERS and dtype != torch.float32:
            loading.compute_in(part, dtype, EXACT)
    if turns is not None:
        turns.let_go_for("vae", pipeline.vae)


def _lay_out_inside(name: str, network: nn.Module, dtype: torch.dtype) -> None:
    use_float32_products(network)
    if name in DENOISERS:
        loading.lay_out_network(network, dtype)

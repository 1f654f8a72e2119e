"""How an image fits into memory, from configs and headers, before any weights are read."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genarium.checkpoints.layouts.pipeline import Pipeline
from genarium.engines.diffusers.configs import decoder_of, denoiser_of
from genarium.engines.diffusers.work import DECODER_COPIES, DECODER_WIDTH, Work
from genarium.engines.drawing import Size
from genarium.engines.image.diffusers.configs import pixels_a_latent

# Memory beside the weights in copies of the widest feature map: a lower bound (docs/images.md has it beside the peak).
DENOISER_COPIES, DENOISER_WIDTH = 24, 1024
RESULT_BYTES = 24


@dataclass(frozen=True)
class MemoryPlan:
    """How an image fits into memory: `stream` reads the denoiser's layers from disk as they are needed."""

    tiled: bool
    stream: bool
    bytes: int


def work(folder: Pipeline, size: Size, guidance: float | None, dtype: torch.dtype) -> Work:
    width, height = size
    vae = decoder_of(folder)
    bytes_each = torch.finfo(dtype).bits // 8
    channels = int((denoiser_of(folder).get("block_out_channels") or [DENOISER_WIDTH])[0])
    guided = 2 if (guidance or 0) > 1 else 1
    denoising = guided * width * height // pixels_a_latent(folder) ** 2 * channels * bytes_each * DENOISER_COPIES
    a_pixel = int((vae.get("block_out_channels") or [DECODER_WIDTH])[0]) * bytes_each * DECODER_COPIES
    side = vae.get("sample_size") or 512
    tile = max(side) if isinstance(side, list) else side
    whole, tiles = (area * a_pixel + width * height * RESULT_BYTES for area in (width * height, tile * tile))
    return Work(denoising, whole, tiles)

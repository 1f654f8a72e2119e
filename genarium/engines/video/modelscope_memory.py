"""What a clip of ModelScope's takes in memory, from configs and headers, before any weights are read."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from genarium.checkpoints.layouts.modelscope import ModelScopeConfig
from genarium.engines.drawing import Size

# Copies of the widest feature map at once beside the weights: a clip's in the denoiser, a frame's in the decoder.
DENOISER_COPIES, DECODER_COPIES = 14, 6
DENOISER_LAID_OUT, DECODER_LAID_OUT = 1.2, 4
"""Times the weights in float32 that the networks take as they are laid out (`engines/cpu/clips.py`)."""
LOOKED = 4 * 77 * 2
"""Bytes a place of the widest layer, a head and a word, and as many in all narrower layers together."""


def peak(
    config: ModelScopeConfig,
    weights: Mapping[str, int],
    size: Size,
    frames: int,
    *,
    rows: int,
    clips: int,
    dtype: torch.dtype,
    explain: bool,
) -> int:
    """Bytes of `clips` of so many `frames`, the denoiser seeing `rows` of one at once; `weights` are those of parts."""
    each, (width, height) = torch.finfo(dtype).bits // 8, size
    unet, vae = config.unet, config.autoencoder
    places = width * height // vae.factor**2 * frames
    more = (DENOISER_LAID_OUT, DECODER_LAID_OUT) if dtype == torch.float32 else (1, 1)
    denoising = int(weights["unet"] * more[0]) + rows * places * unet.block_out_channels[0] * each * DENOISER_COPIES
    if explain:
        denoising += places * unet.heads[0] * (2 * unet.layers_per_block + 1) * LOOKED
    frame = width * height * (vae.block_out_channels[0] * each * DECODER_COPIES + 3 * frames)
    drawing = weights["vae"] * more[1] + frame
    return max(weights["text_encoder"], denoising + (drawing if clips > 1 else 0), drawing)

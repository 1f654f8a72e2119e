"""How a video fits into memory, from configs and headers, before any weights are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from genarium.checkpoints.layouts.pipeline import Pipeline
from genarium.engines.diffusers.configs import DENOISERS, decoder_of, denoiser_of, setting
from genarium.engines.diffusers.work import DECODER_COPIES, DECODER_WIDTH, Work
from genarium.engines.drawing import Size
from genarium.engines.video.diffusers.families import VideoFamily

# Copies of the widest feature map that are there at once: lower bounds.
DENOISER_COPIES, WIDTH = 10, 1024
TILE = 256
TILE_FRAMES = 16
RESULT_BYTES = 28
"""A pixel of the result: three colours in float32, twice, and as bytes."""


@dataclass(frozen=True)
class VideoPlan:
    """How a video fits into memory: decoded in tiles, parts in `turns`, denoisers in a `stream` from disk."""

    tiled: bool
    turns: bool
    stream: bool
    bytes: int


def plan(
    weights: Mapping[str, int], turning: Sequence[str], streamed: Sequence[str], work: Work, *, tiled: bool, there: int
) -> VideoPlan:
    """How a video fits on a CPU into `there` bytes, by the `weights` of every part.

    The parts `turning` can be read one after another, and of those `streamed` the layers.
    """
    decoding = work.tiles if tiled else work.whole
    together = sum(weights.values()) + max(work.denoising, decoding)
    if together <= there:
        return VideoPlan(tiled, False, False, together)
    kept = sum(size for name, size in weights.items() if name not in turning)
    each = [weights[name] + (work.denoising if name in DENOISERS else 0) for name in turning]
    turns = kept + max([*each, work.denoising, decoding])
    if turns <= there or not streamed:
        return VideoPlan(tiled, True, False, turns)
    read = [weights[name] for name in turning if name not in streamed]
    return VideoPlan(tiled, True, True, kept + max([*read, work.denoising, decoding]))


def work(
    folder: Pipeline,
    family: VideoFamily,
    size: Size,
    frames: int,
    scales: tuple[int, int],
    *,
    guided: bool,
    dtype: torch.dtype,
) -> Work:
    width, height = size
    pixels, frames_each = scales
    network, vae = denoiser_of(folder), decoder_of(folder)
    latents = (1 + (frames - 1) // frames_each) * (width // pixels) * (height // pixels)
    if widths := network.get("block_out_channels"):
        across, places = int(widths[0]), latents
    else:
        heads, head = setting(network, "num_attention_heads"), setting(network, "attention_head_dim")
        across = int(heads) * int(head) if heads and head else WIDTH
        patch = setting(network, "patch_size") or 1
        p = int(patch[-1] if isinstance(patch, list | tuple) else patch)
        places = latents // p**2
    bytes_each = torch.finfo(dtype).bits // 8
    denoising = (2 if guided else 1) * places * across * bytes_each * DENOISER_COPIES
    channels = int((vae.get("block_out_channels") or [setting(vae, "base_dim") or DECODER_WIDTH])[0])
    each = min(frames, family.at_once or frames)
    result = frames * width * height * RESULT_BYTES
    a_pixel = channels * 4 * DECODER_COPIES
    tile = min(width * height, TILE * TILE) * min(each, TILE_FRAMES)
    return Work(denoising, each * width * height * a_pixel + result, tile * a_pixel + result)

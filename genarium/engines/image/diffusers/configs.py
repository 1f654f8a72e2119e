"""What the configs of a pipeline's folder say before any weights are read: its sizes, and what it starts from."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import Any

from genarium.checkpoints.layouts.pipeline import Pipeline
from genarium.engines.diffusers.configs import decoder_of, denoiser_of, setting
from genarium.engines.drawing import Size
from genarium.engines.image.diffusers.families import Family
from genarium.errors import BadCheckpoint

OLD_SIDE, OLD_VERSION = 64, (0, 9, 0)
"""U-Nets that an older diffusers wrote name another side than they were trained on; the library draws this one."""


@dataclass(frozen=True)
class Modes:
    """Which pipeline class draws from words, from an image, and inside a mask; None where the network can't."""

    text: str | None
    init: str | None
    mask: str | None


def pixels_a_latent(folder: Pipeline) -> int:
    """Along a side; 1 where the network draws pixels."""
    config = decoder_of(folder)
    if not config:
        return 1
    if halvings := setting(config, "temperal_downsample"):
        return int(2 ** len(halvings))
    channels = setting(config, "block_out_channels") or setting(config, "encoder_block_out_channels") or ()
    if not channels:
        raise BadCheckpoint(f"{folder.path}: its decoder's config.json has no block_out_channels; download it again")
    return int(2 ** (len(channels) - 1))


def channels(folder: Pipeline) -> int:
    """Of what is denoised: latents, or the colours of pixels."""
    return int(setting(decoder_of(folder), "latent_channels") or 3) if decoder_of(folder) else 3


def multiple(folder: Pipeline, family: Family) -> int:
    """Of what both sides of an image are multiples."""
    pack = family.pack or int(setting(denoiser_of(folder), "patch_size") or 1)
    return lcm(pixels_a_latent(folder) * pack, family.multiple)


def usual_size(folder: Pipeline, family: Family) -> Size:
    """Width and height in pixels that the network was trained on."""
    config = denoiser_of(folder)
    if family.side is not None:
        return family.side, family.side
    side = setting(config, "sample_size") or family.latents
    height, width = side if isinstance(side, list | tuple) else (side, side)
    if family.text == "StableDiffusionPipeline" and _version(config) < OLD_VERSION and isinstance(side, int):
        height = width = max(side, OLD_SIDE)
    scale = pixels_a_latent(folder)
    return int(width) * scale, int(height) * scale


def modes(folder: Pipeline, family: Family, name: str) -> Modes:
    """What the network can start from, by the channels that it reads. Raises BadCheckpoint where that is nothing."""
    reads = setting(denoiser_of(folder), "in_channels")
    latent = setting(decoder_of(folder), "latent_channels")
    if "unet" not in folder.configs or latent is None:
        packed = latent and family.name == "FLUX.1"
        if packed and reads != latent * 4:
            raise BadCheckpoint(
                f"{name} is a {folder.kind} whose transformer reads {reads} channels and not {latent * 4}; "
                "it is made for control or for inpainting, so its model_index.json should name that pipeline"
            )
        return Modes(family.text, family.init, family.mask)
    if family.name == "InstructPix2Pix":
        if reads == 2 * latent:
            return Modes(None, family.init, None)
    elif reads == 2 * latent + 1 and family.mask:  # latents, the mask, and the latents of what is kept
        return Modes(None, None, family.mask)
    elif reads == latent:
        # A refiner has one of two text encoders, and reads a score of beauty that there is of images alone.
        refiner = family.name == "Stable Diffusion XL" and "text_encoder" not in folder.configs
        mask = None if family.masks_by_channels else family.mask
        return Modes(None if refiner else family.text, family.init, mask)
    raise BadCheckpoint(
        f"{name} is a {folder.kind} whose U-Net reads {reads} channels, and its latents have {latent}; what else "
        "it reads is not known here (a control image, depth, or another image); name a folder that draws from words"
    )


def _version(config: dict[str, Any]) -> tuple[int, ...]:
    """The diffusers that wrote the config; the newest where that is not said."""
    found = [int(piece) for piece in str(config.get("_diffusers_version", "")).split(".") if piece.isdigit()]
    return tuple(found[:3]) or (999,)

"""What the configs of a video pipeline's folder say before any weights are read: sizes, frames, what it starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from math import lcm
from typing import Any

from genarium.checkpoints.layouts.pipeline import Pipeline
from genarium.engines.diffusers.configs import decoder_of, denoiser_of, setting
from genarium.engines.drawing import Size
from genarium.engines.video.diffusers.families import VideoFamily
from genarium.errors import BadCheckpoint

MOST_FRAMES = 1_025
"""Of networks that know no most: memory sets the bound before."""
COGVIDEOX_15 = (1360, 768), 16.0
"""The size and speed of CogVideoX 1.5, whose config names the largest grid of its positions for a size."""
WAN_EXPANDED = (1280, 704), 121, 24.0
"""The size, frames and speed of Wan 2.2 5B, which its pipeline's call does not know of."""
Scale = Callable[[dict[str, Any]], int]


@dataclass(frozen=True)
class Modes:
    """Which pipeline class makes a video from words and from a first picture; None where the network can't.

    `last` says whether it takes a last picture beside a first one, `needs_last` whether it always does.
    """

    text: str | None
    init: str | None
    last: bool = False
    needs_last: bool = False


def _halvings(config: dict[str, Any]) -> int:
    return int(2 ** (len(setting(config, "block_out_channels") or (0,)) - 1))


def _ltx(ratio: str, patch: str) -> Scale:
    def scale(config: dict[str, Any]) -> int:
        said = setting(config, ratio)
        return int(said or setting(config, patch) * 2 ** sum(setting(config, "spatio_temporal_scaling")))

    return scale


def _said(name: str) -> Scale:
    return lambda config: int(setting(config, name))


# Class of an autoencoder -> pixels a latent along a side, frames a latent.
AUTOENCODERS: dict[str, tuple[Scale, Scale]] = {
    "AutoencoderKL": (_halvings, lambda config: 1),
    "AutoencoderKLTemporalDecoder": (_halvings, lambda config: 1),
    "AutoencoderKLCogVideoX": (_halvings, lambda config: int(setting(config, "temporal_compression_ratio"))),
    "AutoencoderKLHunyuanVideo": (_said("spatial_compression_ratio"), _said("temporal_compression_ratio")),
    "AutoencoderKLLTXVideo": (
        _ltx("spatial_compression_ratio", "patch_size"),
        _ltx("temporal_compression_ratio", "patch_size_t"),
    ),
    "AutoencoderKLMochi": (lambda config: 8, lambda config: 6),  # which its pipeline holds
    "AutoencoderKLWan": (_said("scale_factor_spatial"), _said("scale_factor_temporal")),
}


def scales(folder: Pipeline, name: str) -> tuple[int, int]:
    """Pixels a latent along a side, and frames a latent. Raises BadCheckpoint."""
    config = decoder_of(folder)
    found = AUTOENCODERS.get(str(config.get("_class_name")))
    if found is None:
        raise BadCheckpoint(
            f"{name}: its autoencoder is a {config.get('_class_name')}, and a {folder.kind} is run with "
            f"{', '.join(AUTOENCODERS)}"
        )
    try:
        return found[0](config), found[1](config)
    except (TypeError, ValueError):
        raise BadCheckpoint(f"{folder.path}: vae/config.json has values of another kind; download it again") from None


def multiple(folder: Pipeline, family: VideoFamily, name: str) -> int:
    """Of what both sides of a video are multiples."""
    config = denoiser_of(folder)
    patch = setting(config, "patch_size") or 1
    pack = int(patch[-1] if isinstance(patch, list | tuple) else patch)
    if str(config.get("_class_name")) == "UNetSpatioTemporalConditionModel":
        pack = _halvings(config)  # it joins what it has halved to what it has not
    return lcm(scales(folder, name)[0] * pack, family.multiple)


def usual(folder: Pipeline, family: VideoFamily, kind: Any, name: str) -> tuple[Size, int, float]:
    """Width and height in pixels, frames, and frames a second that the network was trained on."""
    config, call = denoiser_of(folder), signature(kind.__call__).parameters
    if folder.values.get("expand_timesteps"):
        return WAN_EXPANDED
    pixels, frames_each = scales(folder, name)
    called: list[Any] = [call[side].default if side in call else None for side in ("width", "height")]
    named = (setting(config, "sample_width"), setting(config, "sample_height"))
    side = setting(config, "sample_size")
    size = family.size or (512, 512)
    if all(isinstance(one, int) for one in called):
        size = int(called[0]), int(called[1])
    elif all(named):
        size = int(named[0]) * pixels, int(named[1]) * pixels
    elif isinstance(side, int):
        size = side * pixels, side * pixels
    count = setting(config, "sample_frames") or setting(config, "num_frames") or call["num_frames"].default
    step = frames_each * (2 if family.pairs else 1)
    frames = 1 + (int(count) - 1) // step * step
    if family.name == "CogVideoX" and setting(config, "patch_size_t") is not None:
        return COGVIDEOX_15[0], frames, COGVIDEOX_15[1]
    return size, frames, family.fps


def most_frames(folder: Pipeline, frames_each: int) -> int:
    """As many as the network has positions for."""
    adapter = folder.configs.get("motion_adapter") or denoiser_of(folder)
    if positions := setting(adapter, "motion_max_seq_length"):
        return int(positions)
    if positions := setting(denoiser_of(folder), "rope_max_seq_len"):
        return min(MOST_FRAMES, 1 + (int(positions) - 1) * frames_each)
    return MOST_FRAMES


def is_fixed(folder: Pipeline) -> bool:
    """Whether its positions are learned, so that other sizes and frames would be placed by chance."""
    return bool(setting(denoiser_of(folder), "use_learned_positional_embeddings"))


def modes(folder: Pipeline, family: VideoFamily, name: str) -> Modes:
    """What the network can start from, by the channels that it reads. Raises BadCheckpoint where that is nothing."""
    network, decoder = denoiser_of(folder), decoder_of(folder)
    reads = setting(network, "in_channels")
    latent = setting(decoder, "z_dim") or setting(decoder, "latent_channels")
    if "transformer_2" in folder.configs and folder.values.get("boundary_ratio") is None:
        raise BadCheckpoint(
            f"{name}: model_index.json has no boundary_ratio, which says when its transformer_2 computes; "
            "download the folder again"
        )
    if setting(network, "image_dim") is not None and "image_encoder" not in folder.configs:
        raise BadCheckpoint(f"{name} reads a first picture and has no image_encoder; download the folder again")
    expanded = bool(folder.values.get("expand_timesteps"))
    if latent and reads == latent and family.text:
        init = family.init if family.pictures == "among" or expanded else None
        return Modes(family.text, init, last=family.text == family.init)
    if latent and reads == 2 * latent and family.pictures == "beside":
        return Modes(None, family.init)
    if latent and reads == 2 * latent + 4 and family.pictures == "masked":
        pair = setting(network, "pos_embed_seq_len") is not None
        return Modes(None, family.init, last=pair or setting(network, "image_dim") is None, needs_last=pair)
    raise BadCheckpoint(
        f"{name} is a {folder.kind} whose network reads {reads} channels, and its latents have {latent}; what else it "
        "reads is not known here (a control video, a mask); name a folder that starts from words or a picture"
    )

"""Every kind of folder that the table of docs/images.md has a row for, and the size that its images are drawn at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.image_models import BETAS
from tests.pipelines import dit, noise


def _instruct(folder: Path) -> Path:
    from diffusers import EulerAncestralDiscreteScheduler

    scheduler = EulerAncestralDiscreteScheduler(**BETAS)
    return noise.stable_diffusion(folder, "StableDiffusionInstructPix2PixPipeline", scheduler=scheduler, in_channels=8)


FOLDERS: dict[str, Callable[[Path], Path]] = {
    "Stable Diffusion 1": noise.stable_diffusion,
    "Stable Diffusion 2, v-prediction": lambda folder: noise.stable_diffusion(
        folder, scheduler=_zero_snr(), use_linear_projection=True
    ),
    "Stable Diffusion inpainting": lambda folder: noise.stable_diffusion(
        folder, "StableDiffusionInpaintPipeline", in_channels=9
    ),
    "InstructPix2Pix": _instruct,
    "Stable Diffusion XL": lambda folder: noise.stable_diffusion_xl(folder, force_zeros_for_empty_prompt=False),
    "Stable Diffusion XL refiner": lambda folder: noise.stable_diffusion_xl(
        folder,
        "StableDiffusionXLImg2ImgPipeline",
        refiner=True,
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
    ),
    "Stable Diffusion XL inpainting": lambda folder: noise.stable_diffusion_xl(
        folder, "StableDiffusionXLInpaintPipeline", channels=9
    ),
    "Latent Consistency": noise.latent_consistency,
    "Stable Diffusion 3": dit.stable_diffusion_3,
    "FLUX.1 dev": dit.flux,
    "FLUX.1 schnell": lambda folder: dit.flux(folder, dynamic=False, guidance=False),
    "FLUX.1 Fill": lambda folder: dit.flux(folder, "FluxFillPipeline", channels=16 + 16 + 256),
    "Chroma": dit.chroma,
    "PixArt-α": dit.pixart,
    "PixArt-Σ": lambda folder: dit.pixart(folder, "PixArtSigmaPipeline"),
    "Sana": dit.sana,
    "AuraFlow": dit.auraflow,
    "Lumina-Next": dit.lumina,
    "Lumina-Image 2": dit.lumina_2,
    "HunyuanDiT": dit.hunyuan,
    "Qwen-Image": dit.qwen_image,
    "Z-Image": dit.z_image,
    "Kandinsky 2.2": noise.kandinsky,
    "DeepFloyd IF, stage I": noise.deepfloyd,
}
SIDES = {"PixArt-α": 256, "PixArt-Σ": 256}
"""Pixels along a side; 64 where nothing is said."""


def _zero_snr() -> object:
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        **BETAS,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
    )

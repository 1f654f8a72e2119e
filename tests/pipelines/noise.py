"""Pipelines that take noise away by a U-Net: Stable Diffusion 1, 2 and XL, LCM, Kandinsky 2.2, DeepFloyd IF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.image_models import BETAS
from tests.pipelines.parts import (
    WIDTH,
    autoencoder,
    clip,
    clip_images,
    clip_tokenizer,
    clip_vision,
    lively,
    pndm,
    save,
    t5,
    t5_tokenizer,
)


def unet(**more: Any) -> nn.Module:
    from diffusers import UNet2DConditionModel

    shape: dict[str, Any] = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "cross_attention_dim": WIDTH,
        "attention_head_dim": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    return UNet2DConditionModel(**{**shape, **more})


def stable_diffusion(
    folder: Path, kind: str = "StableDiffusionPipeline", *, scheduler: Any = None, seed: int = 0, **of_unet: Any
) -> Path:
    """CompVis/stable-diffusion-v1-4 in small, or one of its relatives by their classes and channels."""
    import diffusers

    tokenizer, size = clip_tokenizer(folder / "tokenizer")
    torch.manual_seed(seed)
    parts = {"unet": unet(**of_unet), "vae": autoencoder(), "text_encoder": clip(size)}
    lively(parts["unet"], parts["vae"].decoder)
    return save(
        getattr(diffusers, kind)(
            **parts,
            tokenizer=tokenizer,
            scheduler=scheduler or pndm(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ),
        folder,
    )


def stable_diffusion_xl(
    folder: Path,
    kind: str = "StableDiffusionXLPipeline",
    *,
    refiner: bool = False,
    channels: int = 4,
    scheduler: Any = None,
    seed: int = 0,
    **values: Any,
) -> Path:
    """stabilityai/stable-diffusion-xl-base-1.0 in small, or its refiner."""
    import diffusers

    tokenizer, size = clip_tokenizer(folder / "tokenizer_2")
    torch.manual_seed(seed)
    first = clip(size)
    network = unet(
        in_channels=channels,
        cross_attention_dim=WIDTH if refiner else 2 * WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=WIDTH + 8 * (5 if refiner else 6),
        use_linear_projection=True,
        transformer_layers_per_block=(1, 1),
        attention_head_dim=(2, 4),
    )
    decoder = autoencoder(force_upcast=True)
    lively(network, decoder.decoder)
    pipeline = getattr(diffusers, kind)(
        unet=network,
        vae=decoder,
        text_encoder=None if refiner else first,
        tokenizer=None if refiner else tokenizer,
        text_encoder_2=clip(size, "CLIPTextModelWithProjection"),
        tokenizer_2=tokenizer,
        scheduler=scheduler or diffusers.EulerDiscreteScheduler(**BETAS, steps_offset=1, timestep_spacing="leading"),
        **values,
    )
    if refiner:
        pipeline._optional_components = ["text_encoder", "tokenizer"]
    return save(pipeline, folder)


def latent_consistency(folder: Path, *, seed: int = 0) -> Path:
    """SimianLuo/LCM_Dreamshaper_v7 in small."""
    from diffusers import LCMScheduler

    scheduler = LCMScheduler(**BETAS, clip_sample=False, set_alpha_to_one=False)
    return stable_diffusion(
        folder, "LatentConsistencyModelPipeline", scheduler=scheduler, seed=seed, time_cond_proj_dim=32
    )


def deepfloyd(folder: Path, *, seed: int = 0) -> Path:
    """DeepFloyd/IF-I-M-v1.0 in small: images of 64 pixels, without latents."""
    from diffusers import DDPMScheduler, IFPipeline

    tokenizer = t5_tokenizer(77)
    torch.manual_seed(seed)
    network = unet(
        sample_size=64,
        in_channels=3,
        out_channels=6,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        encoder_hid_dim=WIDTH,
        attention_head_dim=8,
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
    )
    lively(network)
    scheduler = DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        thresholding=True,
        dynamic_thresholding_ratio=0.95,
        sample_max_value=1.5,
        variance_type="learned_range",
    )
    pipeline = IFPipeline(
        unet=network,
        text_encoder=t5(tokenizer),
        tokenizer=tokenizer,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )
    return save(pipeline, folder)


def kandinsky(folder: Path, *, seed: int = 0) -> Path:
    """Kandinsky 2.2 in small, prior and decoder in one folder."""
    from diffusers import DDPMScheduler, KandinskyV22CombinedPipeline, PriorTransformer, UnCLIPScheduler, VQModel

    tokenizer, size = clip_tokenizer(folder / "prior_tokenizer")
    torch.manual_seed(seed)
    network = unet(
        out_channels=8,
        block_out_channels=(32, 32),
        addition_embed_type="image",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="image_proj",
        resnet_time_scale_shift="scale_shift",
    )
    movq = VQModel(
        block_out_channels=(32,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 3 + ("AttnDownEncoderBlock2D",),
        up_block_types=("AttnUpDecoderBlock2D",) + ("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=32,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
    )
    prior = PriorTransformer(num_attention_heads=2, attention_head_dim=12, embedding_dim=WIDTH, num_layers=1)
    with torch.no_grad():
        prior.clip_std.fill_(1)
    lively(network, movq.decoder, prior)
    noise = DDPMScheduler(beta_start=0.00085, beta_end=0.012, clip_sample=False, variance_type="learned_range")
    pipeline = KandinskyV22CombinedPipeline(
        unet=network,
        movq=movq,
        scheduler=noise,
        prior_prior=prior,
        prior_image_encoder=clip_vision(),
        prior_text_encoder=clip(size, "CLIPTextModelWithProjection"),
        prior_tokenizer=tokenizer,
        prior_scheduler=UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=10.0
        ),
        prior_image_processor=clip_images(),
    )
    return save(pipeline, folder)

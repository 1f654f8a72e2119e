"""Video pipelines in miniature: the published layouts and classes, random weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.image_models import BETAS
from tests.pipelines.parts import (
    WIDTH,
    autoencoder,
    causal,
    clip,
    clip_images,
    clip_tokenizer,
    clip_vision,
    flow_euler,
    gemma_tokenizer,
    lively,
    save,
    t5,
    t5_tokenizer,
)


def ltx(folder: Path, kind: str = "LTXPipeline") -> Path:
    """Lightricks/LTX-Video in small: 32 pixels and 8 frames a latent."""
    import diffusers

    words = t5_tokenizer()
    torch.manual_seed(0)
    network = diffusers.LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, num_attention_heads=4, attention_head_dim=8, cross_attention_dim=32,
        num_layers=1, caption_channels=WIDTH,
    )  # fmt: skip
    decoder = diffusers.AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1,) * 4,
        patch_size=4,
        patch_size_t=1,
    )
    lively(network, decoder.decoder)
    pipeline = getattr(diffusers, kind)(
        transformer=network, vae=decoder, text_encoder=t5(words), tokenizer=words, scheduler=flow_euler()
    )
    return save(pipeline, folder)


def wan(
    folder: Path,
    kind: str = "WanPipeline",
    *,
    channels: int = 16,
    networks: int = 1,
    image_dim: int | None = None,
    pair: bool = False,
    **values: Any,
) -> Path:
    """Wan-AI/Wan2.1-T2V-1.3B-Diffusers and its kin in small: 8 pixels and 4 frames a latent."""
    import diffusers

    words = t5_tokenizer()
    torch.manual_seed(0)
    shape = {"rope_max_seq_len": 32, "num_layers": 1, "ffn_dim": 32, "text_dim": WIDTH, "freq_dim": 32}
    family = "SkyReelsV2" if kind.startswith("SkyReels") else "Wan"
    made = [
        getattr(diffusers, f"{family}Transformer3DModel")(
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=channels,
            out_channels=16,
            image_dim=image_dim,
            pos_embed_seq_len=34 if pair else None,
            **shape,
        )
        for _ in range(networks)
    ]
    decoder = diffusers.AutoencoderKLWan(base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    lively(*made, decoder.decoder, by=2.0)
    if image_dim is not None:
        values |= {"image_encoder": clip_vision(), "image_processor": clip_images()}
    if networks == 2:
        values |= {"transformer_2": made[1]}
    scheduler = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    pipeline = getattr(diffusers, kind)(
        transformer=made[0],
        vae=decoder,
        text_encoder=t5(words, "UMT5"),
        tokenizer=words,
        scheduler=scheduler,
        **values,
    )
    return save(pipeline, folder)


def cogvideox(folder: Path, kind: str = "CogVideoXPipeline", *, dpm: bool = False, **more: Any) -> Path:
    """THUDM/CogVideoX-2b and its kin in small: 8 pixels and 4 frames a latent."""
    import diffusers

    words = t5_tokenizer()
    torch.manual_seed(0)
    shape: dict[str, Any] = {"in_channels": 4, "sample_width": 4, "sample_height": 4, "sample_frames": 9}
    network = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, out_channels=4, time_embed_dim=2, text_embed_dim=WIDTH,
        num_layers=1, **(shape | more),
    )  # fmt: skip
    decoder = diffusers.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    lively(network, decoder.decoder)
    scheduler = getattr(diffusers, f"CogVideoX{'DPM' if dpm else 'DDIM'}Scheduler")()
    pipeline = getattr(diffusers, kind)(
        transformer=network, vae=decoder, text_encoder=t5(words), tokenizer=words, scheduler=scheduler
    )
    return save(pipeline, folder)


def animatediff(folder: Path, *, apart: bool = False) -> Path:
    """Stable Diffusion with a motion adapter (guoyww/animatediff-motion-adapter-v1-5-2), saved as one pipeline.

    `apart`: put together by hand of the two folders.
    """
    import diffusers

    tokenizer, size = clip_tokenizer(folder / "tokenizer")
    torch.manual_seed(0)
    shape: dict[str, Any] = {"block_out_channels": (8, 16)}
    unet = diffusers.UNet2DConditionModel(
        sample_size=8, layers_per_block=1, norm_num_groups=4, cross_attention_dim=WIDTH, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **shape,
    )  # fmt: skip
    motion: Any = diffusers.MotionAdapter(
        motion_layers_per_block=1, motion_norm_num_groups=4, motion_num_attention_heads=4, **shape
    )
    decoder: Any = autoencoder()
    lively(unet, motion, decoder.decoder)
    scheduler = diffusers.DDIMScheduler(**{**BETAS, "beta_schedule": "linear"}, clip_sample=False)
    pipeline = diffusers.AnimateDiffPipeline(
        unet=unet,
        motion_adapter=motion,
        vae=decoder,
        text_encoder=clip(size),
        tokenizer=tokenizer,
        scheduler=scheduler,
    )
    save(pipeline, folder)
    if apart:
        shutil.rmtree(folder / "unet")
        unet.save_pretrained(folder / "unet")
        index = folder / "model_index.json"
        index.write_text(index.read_text().replace("UNetMotionModel", "UNet2DConditionModel"))
    return folder


def stable_video_diffusion(folder: Path) -> Path:
    """stabilityai/stable-video-diffusion-img2vid in small."""
    import diffusers
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    unet = diffusers.UNetSpatioTemporalConditionModel(
        sample_size=8,
        in_channels=8,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        num_attention_heads=8,
        num_frames=5,
        addition_time_embed_dim=32,
        projection_class_embeddings_input_dim=96,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    )
    decoder = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4
    )
    shape = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    sees = CLIPVisionModelWithProjection(
        CLIPVisionConfig(image_size=224, patch_size=112, projection_dim=WIDTH, **shape)
    )
    lively(unet, decoder.decoder, by=1.2)
    scheduler = diffusers.EulerDiscreteScheduler(
        **BETAS,
        prediction_type="v_prediction",
        sigma_max=700.0,
        sigma_min=0.002,
        steps_offset=1,
        timestep_spacing="leading",
        timestep_type="continuous",
        use_karras_sigmas=True,
    )
    pipeline = diffusers.StableVideoDiffusionPipeline(
        unet=unet, vae=decoder, image_encoder=sees, feature_extractor=clip_images(), scheduler=scheduler
    )
    return save(pipeline, folder)


def hunyuan_video(folder: Path) -> Path:
    """hunyuanvideo-community/HunyuanVideo in small: 8 pixels and 4 frames a latent."""
    import diffusers
    from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE

    tokenizer_2, size = clip_tokenizer(folder / "tokenizer_2")
    tokenizer = gemma_tokenizer()
    tokenizer.add_tokens(sorted(set(DEFAULT_PROMPT_TEMPLATE["template"].replace("{}", " ").split())))
    torch.manual_seed(0)
    network = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=1,
        num_single_layers=1, num_refiner_layers=1, patch_size=1, patch_size_t=1, guidance_embeds=True,
        text_embed_dim=WIDTH, pooled_projection_dim=WIDTH, rope_axes_dim=(2, 4, 4),
    )  # fmt: skip
    decoder = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
    )
    lively(network, decoder.decoder)
    pipeline = diffusers.HunyuanVideoPipeline(
        transformer=network,
        vae=decoder,
        text_encoder=causal(tokenizer, "LlamaConfig", "LlamaModel"),
        tokenizer=tokenizer,
        text_encoder_2=clip(size),
        tokenizer_2=tokenizer_2,
        scheduler=flow_euler(shift=7.0),
    )
    return save(pipeline, folder)


def mochi(folder: Path) -> Path:
    """genmo/mochi-1-preview in small: 8 pixels and 6 frames a latent."""
    import diffusers

    words = t5_tokenizer()
    torch.manual_seed(0)
    network = diffusers.MochiTransformer3DModel(
        num_attention_heads=2, attention_head_dim=8, num_layers=1, pooled_projection_dim=16, in_channels=12,
        text_embed_dim=WIDTH, time_embed_dim=4,
    )  # fmt: skip
    decoder = diffusers.AutoencoderKLMochi(
        encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        layers_per_block=(1, 1, 1, 1, 1),
    )
    lively(network, decoder.decoder)
    pipeline = diffusers.MochiPipeline(
        transformer=network,
        vae=decoder,
        text_encoder=t5(words),
        tokenizer=words,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
    )
    return save(pipeline, folder)


SKYREELS = "SkyReelsV2ImageToVideoPipeline"
FOLDERS: dict[str, Callable[[Path], Path]] = {
    "LTX-Video": ltx,
    "LTX-Video 0.9.5": lambda folder: ltx(folder, "LTXConditionPipeline"),
    "Wan 2.1": wan,
    "Wan 2.1 from a picture": lambda folder: wan(folder, "WanImageToVideoPipeline", channels=36, image_dim=WIDTH),
    "Wan 2.1 first to last": lambda folder: wan(
        folder, "WanImageToVideoPipeline", channels=36, image_dim=WIDTH, pair=True
    ),
    "Wan 2.2 14B": lambda folder: wan(folder, networks=2, boundary_ratio=0.875),
    "Wan 2.2 14B from a picture": lambda folder: wan(
        folder, "WanImageToVideoPipeline", channels=36, networks=2, boundary_ratio=0.9
    ),
    "Wan 2.2 5B": lambda folder: wan(folder, expand_timesteps=True),
    "SkyReels 2": lambda folder: wan(folder, "SkyReelsV2Pipeline"),
    "SkyReels 2 from a picture": lambda folder: wan(folder, SKYREELS, channels=36, image_dim=WIDTH),
    "CogVideoX 2B": cogvideox,
    "CogVideoX 5B": lambda folder: cogvideox(folder, dpm=True, use_rotary_positional_embeddings=True),
    "CogVideoX 5B from a picture": lambda folder: cogvideox(
        folder,
        "CogVideoXImageToVideoPipeline",
        dpm=True,
        in_channels=8,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=True,
    ),
    "CogVideoX 1.5": lambda folder: cogvideox(
        folder, dpm=True, use_rotary_positional_embeddings=True, patch_size_t=2, patch_bias=False
    ),
    "HunyuanVideo": hunyuan_video,
    "Mochi": mochi,
    "AnimateDiff": animatediff,
    "AnimateDiff apart": lambda folder: animatediff(folder, apart=True),
    "Stable Video Diffusion": stable_video_diffusion,
}

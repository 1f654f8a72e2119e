"""Pipelines that denoise by a transformer: SD3, FLUX, PixArt, Sana, AuraFlow, Lumina, HunyuanDiT, Qwen, Z-Image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.pipelines.parts import (
    WIDTH,
    autoencoder,
    bert,
    bert_tokenizer,
    causal,
    clip,
    clip_tokenizer,
    flow_euler,
    gemma_tokenizer,
    lively,
    qwen_tokenizer,
    save,
    t5,
    t5_tokenizer,
)

FLUX_VAE = {"shift_factor": 0.1159, "scaling_factor": 0.3611, "use_quant_conv": False, "use_post_quant_conv": False}


def stable_diffusion_3(folder: Path, *, t5_encoder: bool = True, scheduler: Any = None, seed: int = 0) -> Path:
    """stabilityai/stable-diffusion-3-medium-diffusers in small."""
    import diffusers

    tokenizer, size = clip_tokenizer(folder / "tokenizer")
    words = t5_tokenizer()
    torch.manual_seed(seed)
    network = diffusers.SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=32,
        pooled_projection_dim=2 * WIDTH,
        out_channels=16,
        pos_embed_max_size=16,
    )
    decoder = autoencoder(16, **FLUX_VAE)
    reads = t5(words)
    with torch.no_grad():  # both CLIPs beside one another are as wide as T5
        reads = _widened(reads, 2 * WIDTH)
    lively(network, decoder.decoder)
    pipeline = diffusers.StableDiffusion3Pipeline(
        transformer=network,
        vae=decoder,
        text_encoder=clip(size, "CLIPTextModelWithProjection"),
        tokenizer=tokenizer,
        text_encoder_2=clip(size, "CLIPTextModelWithProjection"),
        tokenizer_2=tokenizer,
        text_encoder_3=reads if t5_encoder else None,
        tokenizer_3=words if t5_encoder else None,
        scheduler=scheduler or flow_euler(),
    )
    return save(pipeline, folder)


def _widened(encoder: Any, width: int) -> Any:
    config = type(encoder.config)(**{**encoder.config.to_dict(), "d_model": width})
    return type(encoder)(config)


def flux(
    folder: Path,
    kind: str = "FluxPipeline",
    *,
    dynamic: bool = True,
    guidance: bool = True,
    channels: int = 16,
    seed: int = 0,
) -> Path:
    """black-forest-labs/FLUX.1-dev in small; schnell is without dynamic shifting and guidance."""
    import diffusers

    tokenizer, size = clip_tokenizer(folder / "tokenizer")
    words = t5_tokenizer()
    torch.manual_seed(seed)
    network = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=channels,
        out_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=guidance,
    )
    decoder = autoencoder(4, **FLUX_VAE)
    lively(decoder.decoder, network)
    more = {} if kind == "FluxFillPipeline" else {"image_encoder": None, "feature_extractor": None}
    pipeline = getattr(diffusers, kind)(
        transformer=network,
        vae=decoder,
        text_encoder=clip(size),
        tokenizer=tokenizer,
        text_encoder_2=t5(words),
        tokenizer_2=words,
        scheduler=flow_euler(use_dynamic_shifting=dynamic),
        **more,
    )
    return save(pipeline, folder)


def chroma(folder: Path, *, seed: int = 0) -> Path:
    """lodestones/Chroma1-HD in small."""
    import diffusers

    words = t5_tokenizer()
    torch.manual_seed(seed)
    network = diffusers.ChromaTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
        approximator_hidden_dim=32,
        approximator_layers=1,
        approximator_num_channels=16,
    )
    decoder = autoencoder(4, **FLUX_VAE)
    lively(decoder.decoder, network)
    pipeline = diffusers.ChromaPipeline(
        transformer=network, vae=decoder, text_encoder=t5(words), tokenizer=words, scheduler=flow_euler()
    )
    return save(pipeline, folder)


def pixart(folder: Path, kind: str = "PixArtAlphaPipeline", *, sample_size: int = 32, seed: int = 0) -> Path:
    """PixArt-alpha/PixArt-XL-2-512x512 in small, or PixArt-Sigma."""
    import diffusers

    words = t5_tokenizer()
    torch.manual_seed(seed)
    network = diffusers.PixArtTransformer2DModel(
        sample_size=sample_size,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        caption_channels=WIDTH,
        in_channels=4,
        cross_attention_dim=24,
        out_channels=8,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
        use_additional_conditions=False,
    )
    decoder = autoencoder()
    lively(decoder.decoder, network)
    pipeline = getattr(diffusers, kind)(
        transformer=network,
        vae=decoder,
        text_encoder=t5(words),
        tokenizer=words,
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    )
    return save(pipeline, folder)


def sana(folder: Path, *, scheduler: Any = None, seed: int = 0) -> Path:
    """Efficient-Large-Model/Sana_1600M_1024px_diffusers in small: images of 16 latents, 4 pixels a latent."""
    import diffusers

    words = gemma_tokenizer()
    torch.manual_seed(seed)
    network = diffusers.SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=WIDTH,
        sample_size=16,
    )
    decoder = diffusers.AutoencoderDC(
        in_channels=3,
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        encoder_qkv_multiscales=((), (), (5,)),
        decoder_qkv_multiscales=((), (), (5,)),
        encoder_layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(1, 1, 1),
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )
    lively(decoder.decoder, network)
    own = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    pipeline = diffusers.SanaPipeline(
        transformer=network,
        vae=decoder,
        text_encoder=causal(words, "Gemma2Config", "Gemma2Model"),
        tokenizer=words,
        scheduler=scheduler or diffusers.DPMSolverMultistepScheduler(**own),
    )
    return save(pipeline, folder)


def auraflow(folder: Path, *, seed: int = 0) -> Path:
    """fal/AuraFlow in small."""
    import diffusers

    words = t5_tokenizer()
    torch.manual_seed(seed)
    network = diffusers.AuraFlowTransformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=WIDTH,
        out_channels=4,
        pos_embed_max_size=256,
    )
    decoder = autoencoder()
    lively(decoder.decoder)
    lively(network, by=2.5)
    pipeline = diffusers.AuraFlowPipeline(
        transformer=network, vae=decoder, text_encoder=t5(words, "UMT5"), tokenizer=words, scheduler=flow_euler()
    )
    return save(pipeline, folder)


def lumina(folder: Path, *, seed: int = 0) -> Path:
    """Alpha-VLLM/Lumina-Next-SFT-diffusers in small."""
    import diffusers

    words = gemma_tokenizer()
    torch.manual_seed(seed)
    network = diffusers.LuminaNextDiT2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        hidden_size=16,
        num_layers=2,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=16,
        norm_eps=1e-5,
        learn_sigma=True,
        qk_norm=True,
        cross_attention_dim=WIDTH,
        scaling_factor=1.0,
    )
    decoder = autoencoder()
    lively(decoder.decoder, network)
    pipeline = diffusers.LuminaPipeline(
        transformer=network,
        vae=decoder,
        text_encoder=causal(words, "GemmaConfig", "GemmaModel"),
        tokenizer=words,
        scheduler=flow_euler(),
    )
    return save(pipeline, folder)


def lumina_2(folder: Path, *, seed: int = 0) -> Path:
    """Alpha-VLLM/Lumina-Image-2.0 in small."""
    import diffusers

    words = gemma_tokenizer()
    torch.manual_seed(seed)
    network = diffusers.Lumina2Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        hidden_size=16,
        num_layers=2,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=16,
        norm_eps=1e-5,
        scaling_factor=1.0,
        axes_dim_rope=(4, 2, 2),
        cap_feat_dim=WIDTH,
    )
    decoder = autoencoder(4, **FLUX_VAE)
    lively(decoder.decoder)
    lively(network, by=2.5)
    pipeline = diffusers.Lumina2Pipeline(
        transformer=network,
        vae=decoder,
        text_encoder=causal(words, "Gemma2Config", "Gemma2Model"),
        tokenizer=words,
        scheduler=flow_euler(),
    )
    return save(pipeline, folder)


def hunyuan(folder: Path, *, seed: int = 0) -> Path:
    """Tencent-Hunyuan/HunyuanDiT-v1.2-Diffusers in small."""
    import diffusers

    first, second = bert_tokenizer(), t5_tokenizer(256)
    torch.manual_seed(seed)
    network = diffusers.HunyuanDiT2DModel(
        sample_size=8,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        in_channels=4,
        cross_attention_dim=WIDTH,
        cross_attention_dim_t5=WIDTH,
        pooled_projection_dim=16,
        hidden_size=24,
        activation_fn="gelu-approximate",
    )
    decoder = autoencoder()
    lively(decoder.decoder, network)
    pipeline = diffusers.HunyuanDiTPipeline(
        transformer=network,
        vae=decoder,
        text_encoder=bert(first),
        tokenizer=first,
        text_encoder_2=t5(second),
        tokenizer_2=second,
        scheduler=diffusers.DDPMScheduler(
            beta_start=0.00085, beta_end=0.03, beta_schedule="scaled_linear", prediction_type="v_prediction",
            steps_offset=1, clip_sample=False,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    return save(pipeline, folder)


def qwen_image(folder: Path, *, seed: int = 0) -> Path:
    """Qwen/Qwen-Image in small."""
    import diffusers
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    words = qwen_tokenizer()
    torch.manual_seed(seed)
    network = diffusers.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=WIDTH,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    decoder = diffusers.AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[1.5, 0.8, 1.1, 1.0],
    )
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": WIDTH,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "vocab_size": len(words),
            "rope_scaling": {"mrope_section": [2, 3, 3], "rope_type": "default", "type": "default"},
            "rope_theta": 1000000.0,
        },
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": WIDTH
        },
        vision_end_token_id=1,
        vision_start_token_id=2,
        vision_token_id=3,
    )  # fmt: skip
    lively(decoder.decoder)
    lively(network, by=2.5)
    pipeline = diffusers.QwenImagePipeline(
        transformer=network,
        vae=decoder,
        text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=words,
        scheduler=flow_euler(shift=1.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=0.9, shift_terminal=0.02),
    )
    return save(pipeline, folder)


def z_image(folder: Path, *, seed: int = 0) -> Path:
    """Tongyi-MAI/Z-Image-Turbo in small."""
    import diffusers

    words = qwen_tokenizer()
    torch.manual_seed(seed)
    network = diffusers.ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        norm_eps=1e-5,
        qk_norm=True,
        cap_feat_dim=WIDTH,
        rope_theta=256.0,
        t_scale=1000.0,
        axes_dims=(8, 4, 4),
        axes_lens=(1024, 32, 32),
    )
    with torch.no_grad():  # left as they lay in memory
        network.x_pad_token.fill_(1)
        network.cap_pad_token.fill_(1)
    decoder = autoencoder(4, **FLUX_VAE)
    lively(network, decoder.decoder)
    pipeline = diffusers.ZImagePipeline(
        transformer=network,
        vae=decoder,
        text_encoder=causal(words, "Qwen3Config", "Qwen3Model"),
        tokenizer=words,
        scheduler=flow_euler(),
    )
    return save(pipeline, folder)

"""Stable Diffusion folders in miniature: the published layout and classes, random weights."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from genarium.engines.image.protocol import ImageRequest

WORDS = ("flying", "bird", "batman", "with", "colorful", "sky", "a", "blue", "red", "night", "cat", "dog")
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def image_request(prompt: str, seeds: tuple[int, ...] = (1,), **given: Any) -> ImageRequest:
    """A request with these fields and options; None is not given."""
    return changed(ImageRequest(prompt, seeds), **given)


def changed(request: ImageRequest, **given: Any) -> ImageRequest:
    """The request with other fields and options."""
    own = {field.name for field in fields(ImageRequest)}
    options = {name: value for name, value in given.items() if name not in own and value is not None}
    return replace(request, options={**request.options, **options}, **{k: v for k, v in given.items() if k in own})


def write_tokenizer(folder: Path, context: int = 77) -> int:
    """CLIP's tokenizer over bytes and a few words; gives its size."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    merges, whole = [], []
    for word in WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            if (pieces[0], pieces[1]) not in merges:
                merges.append((pieces[0], pieces[1]))
                whole.append(pieces[0] + pieces[1])
            pieces = [pieces[0] + pieces[1], *pieces[2:]]
    names = [*letters, *(letter + "</w>" for letter in letters), *whole, "<|startoftext|>", "<|endoftext|>"]
    vocab = {name: number for number, name in enumerate(dict.fromkeys(names))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocab), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), "utf-8")
    CLIPTokenizer.from_pretrained(folder, model_max_length=context).save_pretrained(folder)
    return len(vocab)


def stable_diffusion(
    folder: Path,
    *,
    seed: int = 0,
    unet_channels: tuple[int, ...] = (16, 32),
    sample_size: int = 8,
    in_channels: int = 4,
    safety_checker: bool = False,
    dtype: torch.dtype = torch.float32,
    variant: str | None = None,
) -> Path:
    """CompVis/stable-diffusion-v1-4 in small; pictures of `sample_size` times 8 pixels."""
    from diffusers import PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTokenizer

    vocab = write_tokenizer(folder / "tokenizer")
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=in_channels,
        block_out_channels=unet_channels,
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=32,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    vae, text_encoder = decoder_and_text_encoder(sample_size * 8, vocab)
    with torch.no_grad():  # the usual starting weights leave every picture grey
        for parameter in (*vae.decoder.parameters(), *unet.parameters()):
            if parameter.ndim > 1:
                parameter.mul_(1.5)
    pipeline = StableDiffusionPipeline(
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=PNDMScheduler(**BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1),
        requires_safety_checker=safety_checker,
        **_safety(safety_checker),
    )
    pipeline.to(dtype=dtype).save_pretrained(folder, safe_serialization=True, variant=variant)
    return folder


def decoder_and_text_encoder(sample_size: int, vocab: int, **changed: Any) -> tuple[Any, Any]:
    """An autoencoder of pictures and CLIP's text encoder, in small; `changed` is of the latter's config."""
    from diffusers import AutoencoderKL
    from transformers import CLIPTextConfig, CLIPTextModel

    vae = AutoencoderKL(
        sample_size=sample_size,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    config = CLIPTextConfig(
        vocab_size=vocab,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=vocab - 2,
        eos_token_id=vocab - 1,
        pad_token_id=vocab - 1,
        **changed,
    )
    return vae, CLIPTextModel(config)


def _safety(wanted: bool) -> dict[str, Any]:
    if not wanted:
        return {"safety_checker": None, "feature_extractor": None}
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPVisionConfig

    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision.to_dict(), projection_dim=8))
    extractor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return {"safety_checker": checker, "feature_extractor": extractor}

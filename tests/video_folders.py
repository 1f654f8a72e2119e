"""ModelScope's text-to-video folder in miniature: the published layout and classes, random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.image_models import BETAS, decoder_and_text_encoder, write_tokenizer

UNET: dict[str, Any] = {
    "sample_size": 4,
    "block_out_channels": (32, 64),
    "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
    "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
}


def unet(**changed: Any) -> Any:
    """diffusers' own, no layer of which is idle: published weights start from zeros and are trained."""
    from diffusers import UNet3DConditionModel

    made = UNet3DConditionModel(**{**UNET, **changed}).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "temp_convs" in name and ".conv4." in name:
                parameter.normal_(std=0.05)
    return made


def modelscope(
    folder: Path, *, seed: int = 0, dtype: torch.dtype = torch.float32, variant: str | None = None, **changed: Any
) -> Path:
    """damo-vilab/text-to-video-ms-1.7b in small; frames of `sample_size` times 8 pixels."""
    from diffusers import DDIMScheduler, TextToVideoSDPipeline
    from transformers import CLIPTokenizer

    vocab = write_tokenizer(folder / "tokenizer")
    torch.manual_seed(seed)
    network = unet(**changed)
    vae, text_encoder = decoder_and_text_encoder(32, vocab, hidden_act="gelu")
    with torch.no_grad():  # the usual starting weights leave every frame grey
        for parameter in vae.decoder.parameters():
            if parameter.ndim > 1:
                parameter.mul_(1.5)
    pipeline = TextToVideoSDPipeline(
        unet=network,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=DDIMScheduler(**BETAS, clip_sample=False, set_alpha_to_one=False, steps_offset=1),
    )
    pipeline.to(dtype=dtype).save_pretrained(folder, variant=variant)
    return folder

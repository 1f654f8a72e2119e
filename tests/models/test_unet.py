"""The native U-Net gives diffusers' outputs, from diffusers' own folders, and writes folders diffusers opens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel

from genarium.checkpoints.layouts import latent_diffusion as layout
from genarium.errors import BadCheckpoint

LIKE_SD1 = {
    "sample_size": 8,
    "block_out_channels": (32, 64),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 2,
    "cross_attention_dim": 24,
    "attention_head_dim": 4,
}
KINDS = {
    "sd 1": LIKE_SD1,
    "sd 2": LIKE_SD1 | {"attention_head_dim": [2, 4], "use_linear_projection": True},
    "one level": LIKE_SD1
    | {
        "block_out_channels": (32,),
        "down_block_types": ("CrossAttnDownBlock2D",),
        "up_block_types": ("CrossAttnUpBlock2D",),
        "in_channels": 8,
        "out_channels": 8,
    },
    "three levels, uneven": LIKE_SD1
    | {
        "block_out_channels": (32, 64, 96),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "norm_num_groups": 16,
        "flip_sin_to_cos": False,
        "freq_shift": 1,
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(8, 8), (12, 4), (6, 10)], ids=str)
def test_outputs_are_those_of_diffusers(kind: str, size: tuple[int, int], tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = UNet2DConditionModel(**KINDS[kind]).eval()
    theirs.save_pretrained(tmp_path)
    ours = layout.load_unet(tmp_path)
    x = torch.randn(2, ours.config.in_channels, *size)
    t, words = torch.tensor([3.0, 871.0]), torch.randn(2, 7, 24)
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    with torch.inference_mode():
        expected = theirs(x, t, words).sample
        torch.testing.assert_close(ours(x, t, words), expected, atol=1e-5, rtol=1e-5)
        expected = theirs(x, t, words, encoder_attention_mask=mask).sample
        torch.testing.assert_close(ours(x, t, words, mask), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_diffusers_opens_what_is_written(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    UNet2DConditionModel(**KINDS[kind]).save_pretrained(tmp_path / "theirs")
    ours = layout.load_unet(tmp_path / "theirs")
    layout.save_unet(ours, tmp_path / "ours")
    theirs, report = UNet2DConditionModel.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values())
    x, t, words = torch.randn(1, ours.config.in_channels, 8, 8), torch.tensor([50]), torch.randn(1, 3, 24)
    with torch.inference_mode():
        torch.testing.assert_close(theirs.eval()(x, t, words).sample, ours(x, t, words), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"class_embed_type": "timestep"}, "class_embed_type"),
        ({"down_block_types": ("AttnDownBlock2D", "DownBlock2D")}, "down_block_types.0 'AttnDownBlock2D'"),
        ({"up_block_types": ("UpBlock2D", "UpBlock2D")}, "does not know these blocks"),
        ({"time_embedding_dim": 8}, "time_embedding_dim 8, and only None"),
        ({"block_out_channels": (16,)}, "1 block_out_channels for 2 down_block_types"),
        ({"resnet_time_scale_shift": "scale_shift"}, "resnet_time_scale_shift"),
    ],
)
def test_a_network_it_can_not_be_is_refused(changed: dict[str, object], said: str) -> None:
    raw = {**UNet2DConditionModel(**LIKE_SD1).config, **changed}
    with pytest.raises(BadCheckpoint, match=said):
        layout.read_unet_config(raw, "unet")

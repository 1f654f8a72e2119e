"""The native U-Net of clips gives the outputs of diffusers' UNet3DConditionModel, from diffusers' own folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from genarium.checkpoints.layouts import modelscope as layout
from genarium.errors import BadCheckpoint
from genarium.models import unet3d
from tests.video_folders import UNET, modelscope, unet

KINDS: dict[str, dict[str, Any]] = {
    "two levels": {},
    "as published": {
        "block_out_channels": (32, 64, 96, 96),
        "down_block_types": ("CrossAttnDownBlock3D",) * 3 + ("DownBlock3D",),
        "up_block_types": ("UpBlock3D",) + ("CrossAttnUpBlock3D",) * 3,
        "layers_per_block": 2,
        "attention_head_dim": 16,
        "norm_num_groups": 32,
        "norm_eps": 1e-4,
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3, 8, 8), (5, 6, 10), (1, 8, 16)], ids=str)
def test_outputs_are_those_of_diffusers(
    kind: str, shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    theirs = unet(**KINDS[kind])
    modelscope(tmp_path, **KINDS[kind])
    theirs.save_pretrained(tmp_path / "unet")
    ours = layout.load_unet(layout.read_config(tmp_path))
    x, t, words = torch.randn(2, 4, *shape), torch.tensor([3.0, 871.0]), torch.randn(2, 7, 32)
    with torch.inference_mode():
        expected = theirs(x, t, words).sample
        torch.testing.assert_close(ours(x, t, words), expected, atol=1e-5, rtol=1e-5)
        monkeypatch.setattr(unet3d, "SLICE", 70)
        torch.testing.assert_close(ours(x, t, words), expected, atol=1e-5, rtol=1e-5)


def test_what_comes_before_the_words_is_computed_once_for_several(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = layout.load_unet(layout.read_config(modelscope(tmp_path)))
    x, t, words = torch.randn(2, 4, 3, 4, 4), torch.tensor([3.0, 871.0]), torch.randn(4, 7, 32)
    with torch.inference_mode():
        both = ours(torch.cat([x, x]), torch.cat([t, t]), words)
        torch.testing.assert_close(ours(x, t, words), both, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"down_block_types": ("DownBlockMotion", "DownBlock3D")}, "down_block_types.0 'DownBlockMotion'"),
        ({"up_block_types": ("UpBlock3D", "UpBlock3D")}, "does not know these blocks"),
        ({"block_out_channels": (32,)}, "1 block_out_channels for 2 down_block_types"),
        ({"block_out_channels": (32, 60)}, "no whole number of heads"),
        ({"attention_head_dim": (8, 8)}, "attention_head_dim"),
        ({"time_cond_proj_dim": 8}, "time_cond_proj_dim 8, and only None"),
        ({"norm_num_groups": None}, "norm_num_groups"),
    ],
)
def test_a_network_it_can_not_be_is_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(BadCheckpoint, match=said):
        layout.read_unet_config({**UNET, **changed}, "unet")

"""The native autoencoder gives diffusers' outputs and opens old folders; the divergence is what sampling measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch.distributions import Normal, kl_divergence

from genarium.checkpoints.layouts import latent_diffusion as layout
from genarium.models.vae import VAE, Gaussian, VAEConfig

LIKE_SD1 = {
    "block_out_channels": (16, 32, 32),
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 8,
    "sample_size": 32,
}
KINDS = {
    "sd 1": LIKE_SD1,
    "no attention, no 1x1 convolutions": LIKE_SD1
    | {
        "mid_block_add_attention": False,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "latent_channels": 8,
        "scaling_factor": 0.7,
        "shift_factor": 0.1,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_diffusers_both_ways(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = AutoencoderKL(**KINDS[kind]).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    ours = layout.load_autoencoder(tmp_path / "theirs")
    images = torch.randn(2, 3, 24, 32).clamp(-1, 1)
    with torch.inference_mode():
        expected, found = theirs.encode(images).latent_dist, ours.encode(images)
        torch.testing.assert_close(found.mean, expected.mean, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.log_variance, expected.logvar, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.divergence(), expected.kl(), atol=1e-3, rtol=1e-5)
        torch.testing.assert_close(ours.decode(found.mean), theirs.decode(expected.mean).sample, atol=1e-5, rtol=1e-5)
    layout.save_autoencoder(ours, tmp_path / "ours")
    opened, report = AutoencoderKL.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values())
    assert (opened.config.scaling_factor, opened.config.shift_factor or 0) == (
        ours.config.scaling_factor,
        ours.config.shift_factor,
    )
    with torch.inference_mode():
        torch.testing.assert_close(opened.eval().decode(found.mean).sample, ours.decode(found.mean))


def test_a_folder_with_the_old_names_of_attention_is_read(tmp_path: Path) -> None:
    """As in CompVis/stable-diffusion-v1-4: query, key, value, proj_attn."""
    torch.manual_seed(0)
    theirs = AutoencoderKL(**LIKE_SD1).eval()
    theirs.save_pretrained(tmp_path)
    file = tmp_path / layout.WEIGHTS
    new_to_old = {new: old for old, new in layout.OLD_ATTENTION.items()}
    renamed = {}
    for name, tensor in load_file(file).items():
        stem, found, leaf = name.partition("attentions.0.")
        module, _, kind = leaf.rpartition(".")
        renamed[f"{stem}{found}{new_to_old.get(module, module)}.{kind}" if found else name] = tensor
    assert any("proj_attn" in name for name in renamed)
    save_file(renamed, file)
    latents = torch.randn(1, 4, 3, 3)
    with torch.inference_mode():
        found = layout.load_autoencoder(tmp_path).decode(latents)
        torch.testing.assert_close(found, theirs.decode(latents).sample, atol=1e-5, rtol=1e-5)
    assert json.loads((tmp_path / "config.json").read_text())["_class_name"] == "AutoencoderKL"


def test_divergence_is_that_of_torch() -> None:
    torch.manual_seed(0)
    found = Gaussian(torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2))
    expected = kl_divergence(Normal(found.mean, (0.5 * found.log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(found.divergence(), expected.sum(dim=(1, 2, 3)))


def test_a_vector_vae_keeps_the_shape_of_its_images() -> None:
    model = VAE(VAEConfig(channels=1, size=16, widths=(8, 16), latent=5))
    images = torch.randn(3, 1, 16, 16)
    assert model.encode(images).mean.shape == (3, 5)
    assert model.decode(model.encode(images).sample()).shape == images.shape

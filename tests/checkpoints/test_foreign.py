"""Files and folders that are no checkpoint folder are named for what they are, with the way to make them one."""

from __future__ import annotations

from pathlib import Path

import pytest

from genarium.checkpoints.store.foreign import describe_file
from genarium.engines import registry
from genarium.errors import BadCheckpoint


def save(file: Path, *names: str) -> Path:
    import torch
    from safetensors.torch import save_file

    save_file({name: torch.zeros(1) for name in names}, file)
    return file


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (
            "cond_stage_model.transformer.text_model.embeddings.weight",
            "is a Stable Diffusion in one file; turn it into",
        ),
        ("conditioner.embedders.1.model.ln_final.weight", "StableDiffusionXLPipeline.from_single_file"),
        ("conditioner.embedders.0.model.ln_final.weight", "is a Stable Diffusion XL refiner in one file"),
        ("model.diffusion_model.joint_blocks.0.x", "is a Stable Diffusion 3 in one file"),
        ("double_blocks.0.img_attn.qkv.weight", "is a FLUX transformer in one file"),
        ("lora_unet_down_blocks_0.lora_up.weight", "is a LoRA; put it into its base"),
        ("unet.down_blocks.0.to_q.lora_A.weight", "is a LoRA; put it into its base"),
        ("control_model.input_blocks.0.weight", "is a ControlNet, which makes no pictures by itself"),
        ("first_stage_model.decoder.conv_in.weight", "is an autoencoder, which makes no pictures by itself"),
        ("weight", "is a file of weights; name the checkpoint's folder"),
    ],
)
def test_a_single_file_is_named(tmp_path: Path, tensor: str, says: str) -> None:
    file = save(tmp_path / "model.safetensors", tensor)
    with pytest.raises(BadCheckpoint) as refused:
        registry.open_image(str(file))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x08" + b"\0" * 7 + b"[" * 8, b"\xff" * 7 + b"\x7f{}"])
def test_damaged_headers_end_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    assert describe_file(file).startswith("is a file of weights")


@pytest.mark.parametrize(
    ("config", "files", "says"),
    [
        ('{"_class_name": "ControlNetModel"}', (), "is a ControlNet (ControlNetModel)"),
        ('{"_class_name": "UNet2DConditionModel"}', (), "is one part of a pipeline (UNet2DConditionModel)"),
        (None, ("pytorch_lora_weights.safetensors",), "is a LoRA; put it into its base"),
        (None, ("sd.safetensors",), "holds sd.safetensors, which is a Stable Diffusion in one file"),
    ],
)
def test_a_folder_that_is_no_pipeline_is_named(
    tmp_path: Path, config: str | None, files: tuple[str, ...], says: str
) -> None:
    if config:
        (tmp_path / "config.json").write_text(config)
    for name in files:
        save(tmp_path / name, "cond_stage_model.x")
    with pytest.raises(BadCheckpoint) as refused:
        registry.open_image(str(tmp_path))
    assert says in str(refused.value)

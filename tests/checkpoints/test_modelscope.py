"""ModelScope's folder is read whole, in every form it is published in, or refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from genarium.checkpoints.layouts import modelscope as layout
from genarium.errors import BadCheckpoint
from tests.video_folders import modelscope

PROMPT = "a red bird,  FLYING at night; it's 42 degrees! café 狐 " * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modelscope(tmp_path_factory.mktemp("modelscope"))


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def weights(path: Path) -> dict[str, torch.Tensor]:
    config = layout.read_config(path)
    parts = layout.load_unet(config), layout.load_autoencoder(config), layout.load_text_encoder(config)
    return {f"{i}.{name}": tensor for i, part in enumerate(parts) for name, tensor in part.state_dict().items()}


def test_prompts_are_read_as_by_transformers(copied: Path) -> None:
    from transformers import CLIPTextModel, CLIPTokenizer

    theirs, text = (
        CLIPTokenizer.from_pretrained(copied / "tokenizer"),
        CLIPTextModel.from_pretrained(copied / "text_encoder"),
    )
    asked = theirs([PROMPT, "cat", ""], padding="max_length", max_length=77, truncation=True, return_tensors="pt")
    for written in ("tokenizer.json", ""):
        if not written:  # as the folder was first published
            (copied / "tokenizer" / "tokenizer.json").unlink()
        config = layout.read_config(copied)
        ids = torch.tensor([row.ids for row in layout.load_tokenizer(config).encode_batch([PROMPT, "cat", ""])])
        assert torch.equal(ids, asked.input_ids)
    with torch.inference_mode():
        torch.testing.assert_close(
            layout.load_text_encoder(config).states(ids), text(ids).last_hidden_state, atol=1e-5, rtol=1e-5
        )


def test_weights_are_the_same_in_every_form(folder: Path, copied: Path, tmp_path: Path) -> None:
    plain = weights(folder)
    for file in copied.glob("*/*.safetensors"):
        state = load_file(file)
        if file.parent.name == "text_encoder":  # as transformers 4 wrote them
            state = {f"text_model.{name.removeprefix('text_model.')}": one for name, one in state.items()}
            state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
        torch.save(state, file.with_name(f"{'pytorch_model' if 'text' in file.parent.name else file.stem}.bin"))
        torch.save({name: one.half() for name, one in state.items()}, file.with_name(f"{file.stem}.fp16.bin"))
        file.unlink()
    as_pickled = weights(copied)
    half = weights(modelscope(tmp_path / "half", dtype=torch.float16, variant="fp16"))
    assert plain.keys() == as_pickled.keys() == half.keys()
    for name, tensor in plain.items():
        assert torch.equal(tensor, as_pickled[name]), name
        torch.testing.assert_close(half[name], tensor, atol=1e-3, rtol=1e-3)


def changed_json(file: Path, **changed: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))


def test_what_does_not_fit_is_refused_by_name(copied: Path) -> None:
    file = copied / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    save_file(state | {"down_blocks.9.weight": torch.zeros(1)}, file)
    with pytest.raises(BadCheckpoint, match=r"down_blocks\.9\.weight"):
        layout.load_unet(layout.read_config(copied))
    name = "mid_block.temp_convs.0.conv4.3.weight"
    save_file({key: one for key, one in state.items() if key != name}, file)
    with pytest.raises(BadCheckpoint, match=f"lack {name}"):
        layout.load_unet(layout.read_config(copied))
    changed_json(copied / "unet" / "config.json", cross_attention_dim=24)
    with pytest.raises(BadCheckpoint, match="24 numbers wide, and its text_encoder gives 32"):
        layout.read_config(copied)
    changed_json(copied / "model_index.json", safety_checker=["diffusers", "Checker"], text_encoder=[None, None])
    with pytest.raises(BadCheckpoint, match="text_encoder is missing"):
        layout.read_config(copied)

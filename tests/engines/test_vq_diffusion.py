"""A VQ-Diffusion folder of the published layout makes pictures, and diffusers' frozen pipeline hasn't changed."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Transformer2DModel, VQDiffusionPipeline, VQDiffusionScheduler, VQModel
from diffusers.pipelines.deprecated.vq_diffusion.pipeline_vq_diffusion import LearnedClassifierFreeSamplingEmbeddings
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from genarium.engines import open_image
from genarium.engines.image import ImageRequest, Picture, settle
from genarium.engines.vq_diffusion import VQDiffusionImage
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import Event, listening
from tests.dalle_folders import wave

REQUEST = ImageRequest("a bat", seeds=(1, 2), steps=4)
LENGTH = 8
EMPTY = "learned_classifier_free_sampling_embeddings"

# Mean, spread and three pixels of seed 1's picture, recorded with diffusers 0.42.1 and torch 2.13.0.
FINGERPRINT = [127.764, 114.896, 252, 234, 0, 242, 0, 255, 0, 255, 0]


def write_folder(path: Path, *, safe: bool) -> Path:
    """As microsoft/vq-diffusion-ithq, tiny, with the config of 2022 (no norm_type) and weights from a formula."""
    tokenizer = path / "tokenizer"
    tokenizer.mkdir(parents=True)
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    words = [*letters, *(letter + "</w>" for letter in letters), "ba", "bat</w>", "<|startoftext|>", "<|endoftext|>"]
    (tokenizer / "vocab.json").write_text(json.dumps({word: place for place, word in enumerate(words)}), "utf-8")
    (tokenizer / "merges.txt").write_text("#version: 0.2\nb a\nba t</w>\n", "utf-8")
    text = CLIPTextConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=LENGTH, bos_token_id=len(words) - 2, eos_token_id=len(words) - 1,
    )  # fmt: skip
    parts = {
        "vqvae": VQModel(
            block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=8, num_vq_embeddings=24, vq_embed_dim=8,
            norm_num_groups=8,
        ),
        "text_encoder": CLIPTextModel(text),
        "transformer": Transformer2DModel(
            num_attention_heads=2, attention_head_dim=16, num_layers=2, num_vector_embeds=25, sample_size=6,
            num_embeds_ada_norm=10, norm_type="ada_norm", cross_attention_dim=32, attention_bias=True,
            activation_fn="geglu-approximate",
        ),
        "learned_classifier_free_sampling_embeddings": LearnedClassifierFreeSamplingEmbeddings(True, 32, LENGTH),
    }  # fmt: skip
    for module in parts.values():
        for key, (name, parameter) in enumerate(module.named_parameters()):
            one = 1.0 if parameter.dim() == 1 and name.endswith("weight") else 0.0
            fan_in = parameter[0].numel() if parameter.dim() > 1 and "embed" not in name else 1
            # Small biases: as large as what they are added to, they would say more than the prompt does.
            scale = 0.1 if parameter.dim() == 1 else (3 / fan_in) ** 0.5
            parameter.data = wave(tuple(parameter.shape), key) * scale + one
    pipeline = VQDiffusionPipeline(
        **parts,
        tokenizer=CLIPTokenizer.from_pretrained(tokenizer, model_max_length=LENGTH, pad_token="<|endoftext|>"),
        scheduler=VQDiffusionScheduler(num_vec_classes=25, num_train_timesteps=10),
    )
    pipeline.save_pretrained(path, safe_serialization=safe)
    if not safe:  # transformers writes nothing else any more
        state = parts["text_encoder"].state_dict()
        torch.save(state, path / "text_encoder" / "pytorch_model.bin")
        (path / "text_encoder" / "model.safetensors").unlink(missing_ok=True)
    config = json.loads((path / "transformer" / "config.json").read_text("utf-8"))
    del config["norm_type"]
    (path / "transformer" / "config.json").write_text(json.dumps(config), "utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("vq"), safe=True)


@pytest.fixture(scope="module")
def engine(folder: Path) -> VQDiffusionImage:
    return VQDiffusionImage(folder, dtype="float32", device="cpu")


def make(engine: VQDiffusionImage, request: ImageRequest) -> list[Picture]:
    return list(engine.generate(settle(request, engine)))


def test_open_image_opens_it(folder: Path) -> None:
    opened = open_image(str(folder))
    assert isinstance(opened, VQDiffusionImage)
    assert opened.limits.size == (12, 12)
    assert opened.limits.steps == 10


def test_the_librarys_pipeline_gives_what_it_gave(engine: VQDiffusionImage) -> None:
    pixels = make(engine, replace(REQUEST, seeds=(1,), steps=10))[0].pixels.astype(float)
    found = [pixels.mean(), pixels.std(), *pixels[::5, 3].ravel()]
    np.testing.assert_allclose(found, FINGERPRINT, atol=1.0)


def test_pictures_equal_the_librarys(folder: Path, engine: VQDiffusionImage) -> None:
    parts = {}
    for part, kind in (("transformer", Transformer2DModel), (EMPTY, LearnedClassifierFreeSamplingEmbeddings)):
        config = json.loads((folder / part / "config.json").read_text("utf-8"))
        parts[part] = kind.from_config(config | ({"norm_type": "ada_norm"} if part == "transformer" else {})).eval()
        parts[part].load_state_dict(load_file(folder / part / "diffusion_pytorch_model.safetensors"))
    pipeline = VQDiffusionPipeline(
        **parts,
        vqvae=VQModel.from_pretrained(folder / "vqvae"),
        text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=VQDiffusionScheduler.from_pretrained(folder / "scheduler"),
    )
    pipeline.set_progress_bar_config(disable=True)
    for picture in make(engine, replace(REQUEST, guidance=3.0, truncation=0.8)):
        theirs = pipeline(
            "a bat", num_inference_steps=4, guidance_scale=3.0, truncation_rate=0.8,
            generator=torch.Generator().manual_seed(picture.seed),
        ).images[0]  # fmt: skip
        np.testing.assert_array_equal(picture.pixels, np.asarray(theirs))


def test_options_change_the_picture_and_a_seed_is_its_own(engine: VQDiffusionImage) -> None:
    first, second = make(engine, REQUEST)
    assert not np.array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(make(engine, replace(REQUEST, seeds=(2,)))[0].pixels, second.pixels)
    for change in ({"steps": 9}, {"guidance": 1.0}, {"truncation": 0.1}, {"prompt": "fly"}):
        assert not np.array_equal(make(engine, replace(REQUEST, **change))[0].pixels, first.pixels), change


def test_state_dicts_as_published_make_the_same_picture(engine: VQDiffusionImage, tmp_path: Path) -> None:
    path = write_folder(tmp_path / "published", safe=False)
    assert not list(path.rglob("*.safetensors"))
    found = make(VQDiffusionImage(path, dtype="float32", device="cpu"), REQUEST)
    for one, other in zip(found, make(engine, REQUEST), strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("part", ["text_encoder/pytorch_model.bin", "transformer/diffusion_pytorch_model.bin"])
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path: Path, part: str) -> None:
    path, ran = write_folder(tmp_path / "evil", safe=False), tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(ran),)

    torch.save({"weight": Evil()}, path / part)
    with pytest.raises(BadCheckpoint, match="asks for more than tensors"):
        make(VQDiffusionImage(path, device="cpu"), REQUEST)
    assert not ran.exists()


def test_bfloat16_runs_on_a_cpu_with_previews(folder: Path) -> None:
    told: list[Event] = []
    with listening(told.append):
        make(VQDiffusionImage(folder, dtype="bfloat16", device="cpu"), replace(REQUEST, seeds=(1,)))
    steps = [event for event in told if event.stage == "denoising"]
    assert [event.done for event in steps] == [1, 2, 3, 4]
    assert [event.preview.shape for event in steps if event.preview is not None] == [(12, 12, 3)] * 3


def test_what_it_cant_do_is_refused(folder: Path, engine: VQDiffusionImage, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at most 10 steps, got 11"):
        settle(replace(REQUEST, steps=11), engine)
    with pytest.raises(BadInput, match="makes pictures of 12x12 only"):
        settle(replace(REQUEST, size=(64, 64)), engine)
    path = tmp_path / "part"
    shutil.copytree(folder, path)
    shutil.rmtree(path / "learned_classifier_free_sampling_embeddings")
    with pytest.raises(BadCheckpoint, match="parts missing: learned_classifier_free_sampling_embeddings"):
        VQDiffusionImage(path)

"""A VQ-Diffusion folder of the published layout makes pictures, and diffusers' frozen pipeline hasn't changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Transformer2DModel, VQDiffusionPipeline, VQDiffusionScheduler, VQModel
from diffusers.pipelines.deprecated.vq_diffusion.pipeline_vq_diffusion import LearnedClassifierFreeSamplingEmbeddings
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer

from genarium.engines.image.protocol import GeneratedImage, ImageRequest, settle
from genarium.engines.image.vq_diffusion import VQDiffusionImage
from genarium.engines.registry import open_image
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import Event, listening
from tests.image_models import changed, image_request
from tests.vq_folders import write_folder

REQUEST = image_request("a bat", (1, 2), steps=4)
LENGTH = 8
EMPTY = "learned_classifier_free_sampling_embeddings"

# Mean, spread and three pixels of seed 1's picture, recorded with diffusers 0.42.1 and torch 2.13.0.
FINGERPRINT = [127.764, 114.896, 252, 234, 0, 242, 0, 255, 0, 255, 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("vq"), safe=True)


@pytest.fixture(scope="module")
def engine(folder: Path) -> VQDiffusionImage:
    return VQDiffusionImage(folder, dtype="float32", device="cpu")


def make(engine: VQDiffusionImage, request: ImageRequest) -> list[GeneratedImage]:
    return list(engine.generate(settle(request, engine)))


def test_open_image_opens_it(folder: Path) -> None:
    opened = open_image(str(folder))
    assert isinstance(opened, VQDiffusionImage)
    assert opened.limits.size == (12, 12)
    assert opened.limits.options["steps"] == 10


def test_the_librarys_pipeline_gives_what_it_gave(engine: VQDiffusionImage) -> None:
    pixels = make(engine, changed(REQUEST, seeds=(1,), steps=10))[0].pixels.astype(float)
    found = [pixels.mean(), pixels.std(), *pixels[::5, 3].ravel()]
    np.testing.assert_allclose(found, FINGERPRINT, atol=1.0)


def test_images_equal_the_librarys(folder: Path, engine: VQDiffusionImage) -> None:
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
    for image in make(engine, changed(REQUEST, guidance=3.0, truncation=0.8)):
        theirs = pipeline(
            "a bat", num_inference_steps=4, guidance_scale=3.0, truncation_rate=0.8,
            generator=torch.Generator().manual_seed(image.seed),
        ).images[0]  # fmt: skip
        np.testing.assert_array_equal(image.pixels, np.asarray(theirs))


def test_options_change_the_image_and_a_seed_is_its_own(engine: VQDiffusionImage) -> None:
    first, second = make(engine, REQUEST)
    assert not np.array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(make(engine, changed(REQUEST, seeds=(2,)))[0].pixels, second.pixels)
    for change in ({"steps": 9}, {"guidance": 1.0}, {"truncation": 0.1}, {"prompt": "fly"}):
        assert not np.array_equal(make(engine, changed(REQUEST, **change))[0].pixels, first.pixels), change


def test_state_dicts_as_published_make_the_same_image(engine: VQDiffusionImage, tmp_path: Path) -> None:
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
        make(VQDiffusionImage(folder, dtype="bfloat16", device="cpu"), changed(REQUEST, seeds=(1,)))
    steps = [event for event in told if event.stage == "denoising"]
    assert [event.done for event in steps] == [1, 2, 3, 4]
    assert [event.preview.shape for event in steps if event.preview is not None] == [(12, 12, 3)] * 3


def test_what_it_cant_do_is_refused(folder: Path, engine: VQDiffusionImage, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at most 10 steps, got 11"):
        settle(changed(REQUEST, steps=11), engine)
    with pytest.raises(BadInput, match="makes pictures of 12x12 only"):
        settle(changed(REQUEST, size=(64, 64)), engine)
    path = tmp_path / "part"
    shutil.copytree(folder, path)
    shutil.rmtree(path / "learned_classifier_free_sampling_embeddings")
    with pytest.raises(BadCheckpoint, match="parts missing: learned_classifier_free_sampling_embeddings"):
        VQDiffusionImage(path)

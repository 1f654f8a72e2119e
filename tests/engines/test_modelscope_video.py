"""ModelScope's clips are diffusers' own, from the same folder and noise; a killed run ends in the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genarium import rows
from genarium.engines import registry
from genarium.engines.video import modelscope_memory
from genarium.engines.video.modelscope import ModelScopeVideo
from genarium.engines.video.protocol import VideoRequest, settle
from genarium.errors import BadInput
from genarium.models import unet3d
from genarium.progress import Event, listening
from tests.video_folders import modelscope as write_folder

PROMPT, NEGATIVE = "a flying red bird", "night"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("modelscope"))


@pytest.fixture
def engine(folder: Path) -> ModelScopeVideo:
    opened = registry.open_video(str(folder))
    assert isinstance(opened, ModelScopeVideo)
    return opened


def asked(engine: ModelScopeVideo, seeds: tuple[int, ...] = (1,), **given: Any) -> VideoRequest:
    own = {name: given.pop(name) for name in ("size", "init", "explain", "strict", "prompt") if name in given}
    prompt = own.pop("prompt", PROMPT)
    return settle(VideoRequest(prompt, seeds, negative_prompt=NEGATIVE, frames=3, options=given, **own), engine)


def theirs(folder: Path, kind: str = "TextToVideoSDPipeline", **given: Any) -> np.ndarray:
    """The same by diffusers with DPM-Solver++, as the seed's program has it: (F, H, W, 3) uint8."""
    import diffusers

    pipeline = getattr(diffusers, kind).from_pretrained(folder)
    pipeline.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(PROMPT, negative_prompt=NEGATIVE, generator=torch.Generator().manual_seed(1), **given).frames[0]
    return np.round(made * 255).astype(np.uint8)


def close(ours: np.ndarray, other: np.ndarray) -> None:
    assert ours.shape == other.shape
    assert ours.std() > 5  # of pictures, not of grey
    assert np.abs(ours.astype(int) - other).max() <= 1


@pytest.mark.parametrize(
    "given", [{"num_inference_steps": 5}, {"num_inference_steps": 4, "width": 48, "height": 40}], ids=str
)
def test_frames_are_those_of_diffusers(folder: Path, engine: ModelScopeVideo, given: dict[str, int]) -> None:
    size = (given["width"], given["height"]) if "width" in given else None
    request = asked(engine, steps=given["num_inference_steps"], size=size)
    (made,) = engine.generate(request)
    close(made.frames, theirs(folder, num_frames=3, guidance_scale=9.0, **given))
    assert (made.row, made.seed, made.fps) == (0, 1, 8.0)


def test_one_that_starts_from_a_picture_is_theirs_of_that_picture_standing_still(
    folder: Path, engine: ModelScopeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
    from diffusers.pipelines.deprecated.text_to_video_synthesis import pipeline_text_to_video_synth_img2img as library

    def noise_of(shape: torch.Size, generator: torch.Generator, **_: Any) -> torch.Tensor:
        F, Z, h, w = shape  # drawn in another order than they draw that of a clip from words
        return torch.randn((Z, F, h, w), generator=generator).transpose(0, 1)

    monkeypatch.setattr(library, "randn_tensor", noise_of)
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mean)
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    (made,) = engine.generate(asked(engine, init=Image.fromarray(noise), steps=4, strength=0.5))
    expected = theirs(
        folder,
        "VideoToVideoSDPipeline",
        video=[Image.fromarray(noise)] * 3,
        strength=0.5,
        num_inference_steps=4,
        guidance_scale=9.0,
    )
    close(made.frames, expected)


class Killed(BaseException):
    pass


def killing(after: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ends the work, as a kill would, at the so many-th call of the denoiser; gives the calls that were made."""
    calls: list[int] = []
    plain = unet3d.UNet3D.forward

    def forward(self: unet3d.UNet3D, *args: Any) -> Any:
        if len(calls) == after:
            raise Killed
        calls.append(1)
        return plain(self, *args)

    monkeypatch.setattr(unet3d.UNet3D, "forward", forward)
    return calls


@pytest.mark.parametrize("sampler", ["dpm++2m", "ddpm", "heun"])
def test_a_killed_run_continues_to_the_same_bytes(
    engine: ModelScopeVideo, sampler: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(engine, seeds=(1, 2), steps=4, sampler=sampler)
    whole = [made.frames for made in engine.generate(request)]
    with monkeypatch.context() as patched, rows.keeping("abc"):
        killing(6, patched)
        with pytest.raises(Killed):
            list(engine.generate(request))
    told: list[Event] = []
    with rows.keeping("abc") as opened, listening(told.append):
        calls = killing(100, monkeypatch)
        again = [made.frames for made in engine.generate(request)]
        opened.forget()
    assert len(calls) == (14 if sampler == "heun" else 8) - 6
    assert all(np.array_equal(a, b) for a, b in zip(again, whole, strict=True))
    assert any("were done before this run was stopped" in str(event.preview) for event in told)
    assert not list(home.glob("partial/*"))


def test_clips_do_not_depend_on_each_other_nor_on_slices(
    engine: ModelScopeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    with listening(told.append):
        both = list(engine.generate(asked(engine, seeds=(1, 2), steps=2)))
    (alone,) = engine.generate(asked(engine, seeds=(2,), steps=2))
    assert np.array_equal(both[1].frames, alone.frames)
    assert not np.array_equal(both[0].frames, both[1].frames)
    previews = [event.preview for event in told if event.stage == "denoising"]
    assert len(previews) == 4
    assert previews[0].shape == (4, 4, 3)
    monkeypatch.setattr(unet3d, "SLICE", 16)
    (sliced,) = engine.generate(asked(engine, seeds=(2,), steps=2))
    close(sliced.frames, alone.frames)


def test_each_frame_says_what_it_looked_at(engine: ModelScopeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = next(engine.generate(asked(engine, steps=2)))
    monkeypatch.setattr(unet3d, "SLICE", 16)  # a frame at a time
    made = next(engine.generate(asked(engine, steps=2, explain=True)))
    close(made.frames, plain.frames)
    assert made.explained is not None
    assert [maps.words for maps in made.explained] == [PROMPT.split()] * 3
    found = np.stack([maps.maps for maps in made.explained])
    assert found.shape == (3, 4, 4, 4)
    assert not np.allclose(found[0], found[1])  # frames look at different things
    monkeypatch.setattr(unet3d, "SLICE", 4096)
    whole = next(engine.generate(asked(engine, steps=2, explain=True))).explained
    assert whole is not None
    np.testing.assert_allclose(np.stack([maps.maps for maps in whole]), found, atol=1e-5)
    alone = next(engine.generate(replace(asked(engine, steps=2, explain=True, guidance=1.5), negative_prompt="")))
    assert alone.explained is not None


def test_in_bfloat16_frames_look_the_same(folder: Path, engine: ModelScopeVideo) -> None:
    half = ModelScopeVideo(folder, dtype="bfloat16")
    (made,), (plain,) = half.generate(asked(half, steps=4)), engine.generate(asked(engine, steps=4))
    assert half.memory(asked(half)) < engine.memory(asked(engine))
    difference = np.abs(made.frames.astype(int) - plain.frames)
    assert 0 < difference.mean() < 8


def test_what_can_not_be_is_refused_by_name(engine: ModelScopeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    still = Image.new("RGB", (8, 8))
    with pytest.raises(BadInput, match="can't end on a picture; leave out last"):
        settle(VideoRequest(PROMPT, (1,), init=still, last=still), engine)
    with pytest.raises(BadInput, match="1 to 240 frames, got 10000"):
        settle(VideoRequest(PROMPT, (1,), frames=10_000), engine)
    with pytest.raises(BadInput, match="strict"):
        next(engine.generate(asked(engine, prompt="cat " * 90, strict=True, steps=2)))
    monkeypatch.setattr(modelscope_memory, "DENOISER_COPIES", 10**9)
    with pytest.raises(BadInput, match="GiB of memory"):
        settle(VideoRequest(PROMPT, (1,)), engine)


def test_it_is_told_how_long_the_others_take(engine: ModelScopeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    from genarium.engines.video import recorded

    monkeypatch.setattr(recorded, "WORTH_TELLING", 0.0)
    told: list[Event] = []
    with listening(told.append):
        next(engine.generate(asked(engine, steps=5)))
    notes = [event.preview for event in told if event.stage == "note"]
    assert sum("a step takes" in note and "3 more take about" in note for note in notes) == 1

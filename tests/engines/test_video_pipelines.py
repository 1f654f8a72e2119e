"""Every kind of video pipeline folder: equal to diffusers' own frames, or refused in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from genarium.checkpoints.store.find import find
from genarium.cli.models import models
from genarium.engines import registry
from genarium.engines.diffusers import memory
from genarium.engines.diffusers.configs import DENOISERS
from genarium.engines.diffusers.prompts import tell_of_cuts
from genarium.engines.video.diffusers.engine import DiffusersVideo
from genarium.engines.video.diffusers.families import FAMILIES
from genarium.engines.video.diffusers.memory import VideoPlan
from genarium.engines.video.protocol import VideoRequest, settle
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import Event, listening
from tests.image_models import stable_diffusion
from tests.pipelines import video_table, videos

Made = Callable[[str], Path]
PROMPT, NEGATIVE = "a red bird", "blue sky"
SIZES = {"LTX-Video": (64, 32), "LTX-Video 0.9.5": (64, 32)}
FRAMES = {"Mochi": 7, "AnimateDiff": 3, "AnimateDiff apart": 3, "Stable Video Diffusion": 3}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The folder of a kind, built when it is first asked for."""
    built: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in built:
            built[name] = videos.FOLDERS[name](tmp_path_factory.mktemp("video") / "folder")
        return built[name]

    return build


def picture(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 255, (4, 4, 3)).astype("uint8")
    return Image.fromarray(noise).resize((48, 48), Image.Resampling.BILINEAR)


def open_(folder: Path, name: str = "it") -> DiffusersVideo:
    return DiffusersVideo(folder, name=name, dtype="float32", device="cpu")


def asked(name: str, engine: DiffusersVideo, **given: Any) -> VideoRequest:
    """A small request of all that the folder reads, settled."""
    options = {"steps": 2} | {key: given.pop(key) for key in ("steps", "guidance", "sampler") if key in given}
    limits = engine.limits
    usual: dict[str, Any] = {
        "seeds": (3,),
        "size": None if limits.fixed else SIZES.get(name, (32, 32)),
        "frames": None if limits.fixed else FRAMES.get(name, 9),
        "negative_prompt": NEGATIVE if limits.negative else "",
        "init": None if limits.text else picture(1),
        "last": None if limits.text or not limits.last else picture(2),
    }
    return settle(VideoRequest(PROMPT, **(usual | given), options=options), engine)


def film(engine: DiffusersVideo, request: VideoRequest) -> np.ndarray:
    return next(iter(engine.generate(request))).frames


def theirs(folder: Path, request: VideoRequest, kind: str, **more: Any) -> np.ndarray:
    """What diffusers' own pipeline of that class makes of the request, (F, height, width, 3)."""
    import diffusers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    own = diffusers.DiffusionPipeline.from_pretrained(folder)
    pipeline = own if type(own).__name__ == kind else getattr(diffusers, kind)(**own.components, **more)
    if request.option("sampler") == "dpm++2m":
        pipeline.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(own.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    scale = "max_guidance_scale" if kind == "StableVideoDiffusionPipeline" else "guidance_scale"
    given: dict[str, Any] = {
        "width": request.size[0] if request.size else None,
        "height": request.size[1] if request.size else None,
        "num_frames": request.frames,
        "num_inference_steps": request.option("steps"),
        scale: request.option("guidance"),
        "generator": torch.Generator().manual_seed(request.seeds[0]),
        "output_type": "np",
    }
    if kind != "StableVideoDiffusionPipeline":
        given |= {"prompt": request.prompt, "negative_prompt": request.negative_prompt or None}
    if request.init is not None and "Condition" in kind:
        from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

        assert request.frames is not None
        first, last = LTXVideoCondition(request.init), LTXVideoCondition(request.last, frame_index=request.frames - 1)
        given["conditions"] = [first, last]
    elif request.init is not None:
        given |= {"image": request.init} | ({"last_image": request.last} if request.last is not None else {})
    if kind == "HunyuanVideoPipeline":
        del given["negative_prompt"]
    frames = pipeline(**given).frames[0]
    return np.asarray(frames * 255).round().astype(int)


@pytest.mark.parametrize("name", videos.FOLDERS)
def test_every_folder_makes_what_diffusers_makes(made: Made, name: str) -> None:
    engine = open_(made(name), name)
    request = asked(name, engine)
    found = film(engine, request)
    wanted = theirs(made(name), request, engine.modes.text or str(engine.modes.init))
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert wanted.std() > 5
    assert np.abs(wanted[0] - wanted[-1]).mean() > 1  # it moves


@pytest.mark.parametrize(
    ("name", "kind", "last", "more"),
    [
        ("LTX-Video", "LTXImageToVideoPipeline", False, {}),
        ("LTX-Video 0.9.5", "LTXConditionPipeline", True, {}),
        ("Wan 2.2 5B", "WanImageToVideoPipeline", False, {"expand_timesteps": True}),
    ],
)
def test_a_folder_that_starts_from_words_takes_a_first_picture(
    made: Made, name: str, kind: str, last: bool, more: dict[str, Any]
) -> None:
    engine = open_(made(name), name)
    request = asked(name, engine, init=picture(1), last=picture(2) if last else None)
    found, wanted = film(engine, request), theirs(made(name), request, kind, **more)
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert not np.array_equal(found, film(engine, asked(name, engine)))


def test_the_table_in_the_docs_says_so(made: Made) -> None:
    """After a change `python -m tests.pipelines.video_table` writes it anew."""
    assert video_table.written_lines()[2:] == [video_table.line(name, made(name)) for name in videos.FOLDERS]


@pytest.mark.parametrize(("name", "sampler"), [("Wan 2.1", "dpm++2m"), ("AnimateDiff", "ddim")])
def test_other_samplers_make_what_diffusers_makes_with_them(made: Made, name: str, sampler: str) -> None:
    engine = open_(made(name), name)
    request = asked(name, engine, sampler=sampler)
    found, wanted = film(engine, request), theirs(made(name), request, str(engine.modes.text))
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_every_family_has_a_folder(made: Made) -> None:
    kinds = {json.loads((made(name) / "model_index.json").read_text())["_class_name"] for name in videos.FOLDERS}
    assert all(kinds & set(family.classes) for family in FAMILIES)


def notes_of(call: Callable[[], Any]) -> list[str]:
    heard: list[Event] = []
    with listening(heard.append):
        call()
    return [str(event.preview) for event in heard if event.stage == "note"]


@pytest.mark.parametrize(
    "name",
    ["LTX-Video", "Wan 2.2 14B", "Wan 2.1 from a picture", "CogVideoX 2B", "AnimateDiff"],
)
def test_parts_that_take_turns_change_no_byte(made: Made, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_(made(name), name)
    request = asked(name, engine)
    expected, together = film(engine, request), open_(made(name), name).memory(request)
    monkeypatch.setattr(memory, "available_memory", lambda: together - 1)
    short = open_(made(name), name)
    by_turns = short.memory(request)
    assert by_turns < together
    found: list[Any] = []
    assert any("one after another" in one for one in notes_of(lambda: found.append(film(short, request))))
    assert np.array_equal(found[0], expected)
    assert short.memory(request) < by_turns  # and again
    shorter = open_(made(name), name)
    monkeypatch.setattr(shorter, "_plan", lambda request: VideoPlan(False, True, True, 0))
    assert np.array_equal(film(shorter, request), expected)
    assert any(one.device.type == "meta" for one in next(iter(denoisers(shorter))).parameters())


def denoisers(engine: DiffusersVideo) -> list[torch.nn.Module]:
    found = [getattr(engine._loaded, name, None) for name in DENOISERS]
    return [network for network in found if network is not None]


def edit(file: Path, **values: Any) -> None:
    """Set (or with ... leave out) keys of a JSON file."""
    read = json.loads(file.read_text()) | values
    file.write_text(json.dumps({key: value for key, value in read.items() if value is not ...}))


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("LTX-Video", {"size": (72, 64)}, "width must be a multiple of 32, got 72; try 64 or 96"),
        ("Wan 2.1", {"size": (64, 56)}, "height must be a multiple of 16, got 56; try 48 or 64"),
        ("Stable Video Diffusion", {"size": (36, 32)}, "width must be a multiple of 8, got 36"),
        ("Wan 2.1", {"frames": 8}, "1 to 125 frames in steps of 4, got 8; try 5 or 9"),
        ("CogVideoX 2B", {"frames": 13}, "frames in steps of 8, got 13; try 9 or 17"),
        ("Mochi", {"frames": 9}, "frames in steps of 6, got 9; try 7 or 13"),
        ("AnimateDiff", {"frames": 33}, "makes videos of 1 to 32 frames, got 33; try 32"),
        ("CogVideoX 5B from a picture", {"size": (64, 64)}, "makes videos of 32x32 only"),
        ("CogVideoX 5B from a picture", {"frames": 17}, "makes videos of 9 frames only, got 17"),
        ("HunyuanVideo", {"negative_prompt": "sky"}, "takes no negative prompt"),
        ("Stable Video Diffusion", {"negative_prompt": "sky"}, "takes no negative prompt"),
        ("Wan 2.1", {"negative_prompt": "sky", "guidance": 1.0}, "at guidance 1 it reads no negative prompt"),
        ("Stable Video Diffusion", {"sampler": "dpm++2m"}, r"runs with the samplers euler; got dpm\+\+2m"),
        ("CogVideoX 2B", {"sampler": "euler"}, "runs with the samplers own; got euler"),
        ("Wan 2.1", {"init": picture(1)}, "can't start from a picture"),
        ("Wan 2.1 from a picture", {"init": None}, "starts from a picture, which its prompt sets in motion"),
        ("Wan 2.1 from a picture", {"last": picture(2)}, "can't end on a picture"),
        ("Wan 2.1 first to last", {"last": None}, "goes from a first picture to a last one; give both"),
        ("Wan 2.2 14B from a picture", {"frames": 1}, "a first and a last picture are two frames at least, got 1"),
        ("Mochi", {"steps": 1}, "takes at least 2 steps, got 1"),
        ("LTX-Video", {"size": (32_000, 32_000)}, "GiB are free; at most .* fit in it"),
    ],
)
def test_what_a_model_does_not_do_is_refused_before_it_is_loaded(
    made: Made, name: str, given: dict[str, Any], says: str
) -> None:
    engine = open_(made(name))
    with pytest.raises(BadInput, match=says):
        asked(name, engine, **given)
    assert engine._loaded is None


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("FluxPipeline", r"makes pictures, not videos \(image is the task for those\); run here are LTX-Video"),
        ("StableAudioPipeline", "makes sound, not videos"),
        ("WanVACEPipeline", "follows a control video"),
        ("LTX2Pipeline", "makes videos with sound"),
        ("WanVideoToVideoPipeline", "changes a video that is given"),
        ("AllegroPipeline", "is not among the video pipelines that are proven here"),
        ("NobodysPipeline", "doesn't know"),
    ],
)
def test_folders_of_other_pipelines_are_refused_for_what_they_are(
    made: Made, tmp_path: Path, kind: str, says: str
) -> None:
    folder = Path(shutil.copytree(made("LTX-Video"), tmp_path / "folder"))
    edit(folder / "model_index.json", _class_name=kind)
    with pytest.raises(BadCheckpoint, match=says):
        open_(folder)


def test_a_folder_is_a_model_of_videos_or_of_pictures(made: Made, tmp_path: Path) -> None:
    folders = (str(made("LTX-Video")), str(stable_diffusion(tmp_path / "sd")), "starter/image")
    film, picture, ours = (find(reference, default="video") for reference in folders)
    opened = [[registry.can_open(one, task) for one in (film, picture, ours)] for task in ("video", "image")]
    assert opened == [[True, False, False], [False, True, True]]
    shown = [CliRunner().invoke(models, ["show", reference]).stdout for reference in folders[:2]]
    assert "LTXPipeline, for video, in" in shown[0]
    assert "StableDiffusionPipeline, for image, in" in shown[1]
    for one in (picture, ours):
        with pytest.raises(BadCheckpoint, match="makes pictures, not videos"):
            registry.open_found(one, "video")
    with pytest.raises(BadCheckpoint, match="makes videos, not pictures"):
        registry.open_found(film, "image")


@pytest.mark.parametrize(
    ("name", "part", "changed", "says"),
    [
        ("Wan 2.1", "transformer/config.json", {"in_channels": 20}, "reads 20 channels, and its latents have 16"),
        ("Wan 2.2 14B", "model_index.json", {"boundary_ratio": None}, "has no boundary_ratio"),
        ("Wan 2.1", "vae/config.json", {"_class_name": "AutoencoderDC"}, "its autoencoder is a AutoencoderDC"),
        ("LTX-Video", "vae/config.json", {"spatio_temporal_scaling": 3}, "values of another kind"),
        ("Wan 2.1", "transformer/config.json", {"quantization_config": {"quant_method": "gguf"}}, "is quantised"),
    ],
)
def test_configs_that_nobody_knows_are_refused(
    made: Made, tmp_path: Path, name: str, part: str, changed: dict[str, Any], says: str
) -> None:
    folder = Path(shutil.copytree(made(name), tmp_path / "folder"))
    edit(folder / part, **changed)
    with pytest.raises(BadCheckpoint, match=says):
        _ = open_(folder).limits


@pytest.mark.parametrize("name", ["LTX-Video", "Wan 2.1", "CogVideoX 2B", "HunyuanVideo", "Mochi"])
def test_what_is_said_to_be_cut_is_not_read_and_the_rest_is(made: Made, name: str) -> None:
    engine = open_(made(name))
    request = asked(name, engine, frames=1, guidance=1.0, negative_prompt="")
    cuts: list[str] = []

    def of(prompt: str) -> np.ndarray:
        made = film(engine, replace(request, prompt=prompt))
        tell_of_cuts(engine._pipeline_for(request), engine.family.reads, prompt, "", lambda *said: cuts.append(said[2]))
        return made

    prompt = " ".join(chr(97 + (number * number + number // 7) % 26) for number in range(700))
    whole = of(prompt)
    kept = prompt.removesuffix(cuts[0])
    assert 50 < len(kept) < len(prompt)
    assert np.array_equal(of(kept + "".join("q" if one != " " else " " for one in cuts[0])), whole)
    last = kept.rstrip()
    assert not np.array_equal(of(last[:-1] + ("y" if last[-1] != "y" else "x") + prompt[len(last) :]), whole)


def test_what_is_cut_of_a_long_prompt_is_said(made: Made) -> None:
    engine = open_(made("LTX-Video"))
    prompt = "a b c d e f g h " * 20 + "red bird"
    request = settle(VideoRequest(prompt, (1,), size=(32, 32), frames=1, options={"steps": 1}), engine)
    [said] = notes_of(lambda: film(engine, request))
    assert "longer than the 128 tokens that it reads" in said


def test_a_model_that_reads_no_prompt_says_so(made: Made) -> None:
    engine = open_(made("Stable Video Diffusion"))
    [said] = notes_of(lambda: film(engine, asked("Stable Video Diffusion", engine)))
    assert "reads no prompt" in said
    with pytest.raises(BadInput, match="reads no prompt"):
        film(engine, asked("Stable Video Diffusion", engine, strict=True))


def test_a_video_is_the_same_beside_others_and_each_step_is_told(made: Made) -> None:
    engine = open_(made("AnimateDiff"))
    heard: list[Event] = []
    with listening(heard.append):
        first, second = engine.generate(asked("AnimateDiff", engine, seeds=(1, 2)))
    assert np.array_equal(film(engine, asked("AnimateDiff", engine, seeds=(2,))), second.frames)
    assert not np.array_equal(first.frames, second.frames)
    steps = [(one.item, one.done, one.total) for one in heard if one.stage == "denoising"]
    assert steps == [(0, 1, 2), (0, 2, 2), (1, 1, 2), (1, 2, 2)]
    assert all(one.preview.shape == (4, 4, 3) for one in heard if one.stage == "denoising")


def test_the_speed_that_is_asked_for_is_told_to_models_that_read_it(made: Made) -> None:
    engine = open_(made("LTX-Video"))
    usual, slow = asked("LTX-Video", engine), asked("LTX-Video", engine, fps=8.0)
    assert not np.array_equal(film(engine, usual), film(engine, slow))
    [video] = engine.generate(slow)
    assert video.fps == 8.0


@pytest.mark.parametrize("name", ["LTX-Video", "Wan 2.2 5B", "CogVideoX 5B", "AnimateDiff"])
def test_bfloat16_is_near_float32(made: Made, name: str) -> None:
    engine = DiffusersVideo(made(name), dtype="bfloat16", device="cpu")
    request = asked(name, engine, guidance=1.0, negative_prompt="")
    error = film(engine, request).astype(float) - film(open_(made(name)), request)
    assert np.square(error).mean() < 255**2 / 10**2.5  # 25 dB, of random weights


@pytest.mark.parametrize("name", ["Wan 2.1", "CogVideoX 2B", "Stable Video Diffusion"])
def test_a_video_larger_than_memory_is_decoded_in_pieces(
    made: Made, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genarium.engines.video.diffusers.memory.TILE", 16)
    engine = open_(made(name), name)
    request = asked(name, engine)
    monkeypatch.setattr(memory, "total_memory", lambda: 1_000_000)
    found: list[Any] = []
    assert any("decoded in pieces" in one for one in notes_of(lambda: found.append(film(engine, request))))
    assert found[0].shape[1:] == (32, 32, 3)

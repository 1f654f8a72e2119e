"""Every kind of pipeline folder: equal to diffusers' own in every mode and sampler, or refused in one sentence."""

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

from genarium.engines.diffusers.prompts import tell_of_cuts
from genarium.engines.image.diffusers import DiffusersImage
from genarium.engines.image.diffusers.families import FAMILIES
from genarium.engines.image.protocol import ImageRequest, settle
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import Event, listening
from tests.image_models import changed, image_request
from tests.pipelines import noise, table
from tests.pipelines.folders import FOLDERS, SIDES

Made = Callable[[str], Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The folder of a kind, built when it is first asked for."""
    built: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in built:
            built[name] = FOLDERS[name](tmp_path_factory.mktemp("pipeline") / "folder")
        return built[name]

    return build


def open_(folder: Path, name: str = "it") -> DiffusersImage:
    return DiffusersImage(folder, name=name, dtype="float32", device="cpu")


def draw(engine: DiffusersImage, prompt: str = table.PROMPT, **asked: Any) -> np.ndarray:
    asked = {"steps": 1} | asked
    request = settle(image_request(prompt, **asked), engine)
    return next(iter(engine.generate(request))).pixels


def notes_of(call: Callable[[], Any]) -> list[str]:
    heard: list[Event] = []
    with listening(heard.append):
        call()
    return [str(event.preview) for event in heard if event.stage == "note"]


def edit(file: Path, **values: Any) -> None:
    """Set (or with ... leave out) keys of a JSON file."""
    read = json.loads(file.read_text()) | values
    file.write_text(json.dumps({key: value for key, value in read.items() if value is not ...}))


@pytest.mark.parametrize("name", FOLDERS)
def test_every_mode_and_sampler_draws_what_diffusers_draws_or_is_refused(made: Made, name: str) -> None:
    """And docs/images.md says so; after a change `python -m tests.pipelines.table` writes its table anew."""
    cells = table.row(name, made(name))
    assert table.line(name, cells) in table.written().splitlines()
    for mode in table.MODES:
        if isinstance(cells[mode], str):
            assert f"- {cells[mode]}" in table.written().splitlines()


def test_the_table_has_every_kind_and_no_other() -> None:
    rows = [line.split(" | ")[0].removeprefix("| ") for line in table.written().splitlines() if line.startswith("| ")]
    assert rows[1:] == list(FOLDERS)


def test_every_family_has_a_folder(made: Made) -> None:
    kinds = {json.loads((made(name) / "model_index.json").read_text())["_class_name"] for name in FOLDERS}
    assert all(kinds & set(family.classes) for family in FAMILIES)


class Seen(Exception):
    """What the denoiser was given, which is all that a test wants of a drawing."""


def read_of(engine: DiffusersImage, prompt: str, request: ImageRequest) -> tuple[list[torch.Tensor], str]:
    """What the denoiser is given of a prompt, and what is said to be cut of it."""
    cuts: list[str] = []
    seen: list[torch.Tensor] = []
    engine._load(engine._plan(request))
    pipeline = engine._pipeline_for(request)
    network = next(
        getattr(pipeline, name) for name in ("prior_prior", "unet", "transformer") if hasattr(pipeline, name)
    )

    def look(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
        seen.extend(one for one in tensors((args, kwargs)))
        raise Seen

    hook = network.register_forward_pre_hook(look, with_kwargs=True)
    try:
        with pytest.raises(BadCheckpoint, match="Seen"):
            engine._paint(replace(request, prompt=prompt), 0, 1)
    finally:
        hook.remove()
    tell_of_cuts(pipeline, engine.family.reads, prompt, "", lambda called, tokens, cut: cuts.append(cut))
    return seen, "".join(cuts)


def tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value.clone()]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [one for part in inner for one in tensors(part)]


def same(ones: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(one.shape == other.shape and torch.equal(one, other) for one, other in zip(ones, others, strict=True))


@pytest.mark.parametrize("name", [name for name in FOLDERS if "inpainting" not in name and "Fill" not in name])
def test_what_is_said_to_be_cut_is_not_read_and_the_rest_is(made: Made, name: str) -> None:
    engine, side = open_(made(name)), SIDES.get(name, 64)
    starts: dict[str, Any] = {} if engine.limits.text else {"init": table.start(side)}
    request = settle(image_request("a", steps=2, size=(side, side), **starts), engine)
    prompt = " ".join(chr(97 + (number * number + number // 7) % 26) for number in range(700))
    read, cut = read_of(engine, prompt, request)
    kept = prompt.removesuffix(cut)
    assert prompt.endswith(cut)
    assert 50 < len(kept) < len(prompt)
    assert same(read, read_of(engine, kept + "".join("q" if one != " " else " " for one in cut), request)[0])
    last = kept.rstrip()
    changed = last[:-1] + ("y" if last[-1] != "y" else "x") + kept[len(last) :]
    assert not same(read, read_of(engine, changed + cut, request)[0])
    assert not read_of(engine, last, request)[1]


def test_what_is_cut_is_said(made: Made) -> None:
    engine = open_(made("PixArt-α"))
    said = notes_of(lambda: draw(engine, "a b c d e f g h " * 20 + "red bird", size=(256, 256), steps=2))
    assert len(said) == 1
    assert said[0].startswith("the prompt is longer than the 120 tokens that it reads; left out: “h a b")


@pytest.mark.parametrize(
    ("name", "asked", "says"),
    [
        ("FLUX.1 dev", {"size": (72, 64)}, "width must be a multiple of 16, got 72; try 64 or 80"),
        ("Stable Diffusion 3", {"size": (64, 56)}, "height must be a multiple of 16, got 56; try 48 or 64"),
        ("Z-Image", {"size": (72, 64)}, "width must be a multiple of 16"),
        ("Qwen-Image", {"size": (72, 64)}, "width must be a multiple of 16"),
        ("PixArt-α", {"steps": 1}, "takes at least 2 steps, got 1"),
        ("Kandinsky 2.2", {"size": (72, 64)}, "width must be a multiple of 64"),
        ("DeepFloyd IF, stage I", {"size": (128, 128)}, "makes pictures of 64x64 only"),
        ("FLUX.1 dev", {"negative_prompt": "sky"}, "takes no negative prompt"),
        ("FLUX.1 schnell", {"negative_prompt": "sky"}, "takes no negative prompt"),
        ("FLUX.1 schnell", {"guidance": 15.0}, "has no guidance"),
        ("Latent Consistency", {"negative_prompt": "sky"}, "takes no negative prompt"),
        (
            "Stable Diffusion 1",
            {"negative_prompt": "sky", "guidance": 1.0},
            "at guidance 1 it reads no negative prompt",
        ),
        ("Z-Image", {"negative_prompt": "sky", "guidance": 0.0}, "at guidance 0 it reads no negative prompt"),
        ("Qwen-Image", {"guidance": 3.0}, "reads guidance beside a negative prompt alone"),
        ("FLUX.1 dev", {"sampler": "heun"}, "runs with the samplers euler; got heun"),
        ("FLUX.1 dev", {"sampler": "ddim"}, "runs with the samplers euler; got ddim"),
        ("Sana", {"sampler": "ddim"}, "runs with the samplers dpm"),
        ("Stable Diffusion 2, v-prediction", {"sampler": "heun"}, "runs with the samplers dpm"),
        ("DeepFloyd IF, stage I", {"sampler": "euler"}, "runs with the samplers dpm"),
        ("InstructPix2Pix", {"init": table.start(64), "strength": 0.5}, "is told by its prompt how far to go"),
    ],
)
def test_what_a_model_does_not_read_is_refused_before_it_is_loaded(
    made: Made, name: str, asked: dict[str, Any], says: str
) -> None:
    engine = open_(made(name))
    with pytest.raises(BadInput, match=says):
        draw(engine, **asked)
    assert engine._loaded is None


def test_an_image_to_start_from_gives_a_size_that_can_be_drawn(made: Made) -> None:
    engine = open_(made("FLUX.1 dev"))
    settled = settle(image_request("a", init=table.start(72).resize((72, 56))), engine)
    assert settled.size is not None
    assert [side % 16 for side in settled.size] == [0, 0]
    assert settled.init is not None
    assert settled.init.size == settled.size


@pytest.mark.parametrize(
    ("name", "changed", "size"),
    [
        ("Stable Diffusion 1", {"sample_size": ...}, 512),
        ("Stable Diffusion 1", {"sample_size": 32, "_diffusers_version": "0.6.0"}, 512),
        ("Stable Diffusion 1", {"sample_size": 96}, 768),
        ("Stable Diffusion XL", {"sample_size": ...}, 1024),
        ("DeepFloyd IF, stage I", {"sample_size": 32}, 32),
    ],
)
def test_the_usual_size_is_what_the_network_was_trained_on(
    made: Made, tmp_path: Path, name: str, changed: dict[str, Any], size: int
) -> None:
    folder = Path(shutil.copytree(made(name), tmp_path / "folder"))
    edit(folder / "unet" / "config.json", **changed)
    assert open_(folder).limits.size == (size, size)


def test_a_negative_prompt_of_qwen_is_compared_at_the_guidance(made: Made) -> None:
    engine = open_(made("Qwen-Image"))
    plain, compared, more = (
        draw(engine, size=(64, 64), steps=2, **asked)
        for asked in ({}, {"negative_prompt": "sky"}, {"negative_prompt": "sky", "guidance": 20.0})
    )
    assert not np.array_equal(plain, compared)
    assert not np.array_equal(compared, more)


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made("Stable Diffusion 1"), tmp_path / "sd"))


def test_channels_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    folder = noise.stable_diffusion(tmp_path / "eight", in_channels=8)
    with pytest.raises(BadCheckpoint, match="U-Net reads 8 channels, and its latents have 4"):
        open_(folder)


def test_quantised_parts_are_refused_by_name(copied: Path) -> None:
    edit(copied / "unet" / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(BadCheckpoint, match=r"unet is quantised \(bitsandbytes\)"):
        open_(copied)


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("unet", "drop", r"the weights of unet lack conv_in.bias"),
        ("unet", "add", r"the weights of unet hold, beside what a UNet2DConditionModel takes, conv_in.weight_scale"),
        ("vae", "add", r"the weights of vae hold, beside what a AutoencoderKL takes"),
        ("text_encoder", "add", r"the weights of text_encoder hold, beside what a CLIPTextModel takes"),
    ],
)
def test_every_tensor_is_taken_or_refused(copied: Path, part: str, change: str, says: str) -> None:
    from safetensors.torch import load_file, save_file

    [file] = (copied / part).glob("*.safetensors")
    weights = load_file(file)
    if change == "drop":
        del weights["conv_in.bias"]
    else:
        first = "conv_in" if part == "unet" else next(iter(weights)).removesuffix(".weight")
        weights[f"{first}.weight_scale"] = torch.ones(1)
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(BadCheckpoint, match=says):
        draw(open_(copied))


def test_one_precision_alone_is_read_where_it_is_known(copied: Path) -> None:
    expected = draw(open_(copied))
    for file in copied.glob("*/*.safetensors"):
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    assert np.array_equal(draw(open_(copied)), expected)
    for file in copied.glob("*/*.safetensors"):
        file.rename(file.with_name(file.name.replace(".fp16.", ".ema.")))
    with pytest.raises(BadCheckpoint, match="holds the variant ema alone"):
        open_(copied)


def test_what_of_the_index_is_not_used_is_said(copied: Path) -> None:
    edit(
        copied / "model_index.json",
        safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"],
        sharpness=2,
    )
    said = notes_of(lambda: draw(open_(copied)))
    assert "the folder has no safety_checker" in said[0]
    assert "sharpness in model_index.json is not known" in said[1]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("StableDiffusionUpscalePipeline", "enlarges images"),
        ("IFSuperResolutionPipeline", "enlarges images"),
        ("StableDiffusionControlNetPipeline", "draws after a control image"),
        ("WanPipeline", "makes video"),
        ("KandinskyV22Pipeline", "is one half of a pipeline"),
        ("StableAudioPipeline", "makes sound"),
        ("Kandinsky3Pipeline", "is not among the pipelines that are proven here; run here are Stable Diffusion 1"),
    ],
)
def test_folders_of_other_pipelines_are_refused_for_what_they_are(copied: Path, kind: str, says: str) -> None:
    edit(copied / "model_index.json", _class_name=kind)
    with pytest.raises(BadCheckpoint, match=says):
        open_(copied)


def test_a_part_of_another_library_is_refused(copied: Path) -> None:
    edit(copied / "model_index.json", unet=["os", "system"])
    with pytest.raises(BadCheckpoint, match="needs the class system of os, which is not run here"):
        open_(copied)


def test_what_fails_in_the_library_is_one_sentence(made: Made) -> None:
    engine = open_(made("Stable Diffusion 1"))
    request = settle(image_request("a", steps=2, sampler="ddim"), engine)
    with pytest.raises(BadCheckpoint, match=r"its StableDiffusionPipeline failed: .*cannot be larger"):
        list(engine.generate(changed(request, steps=100_000)))

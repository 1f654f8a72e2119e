"""The native image engine: a picture is its own seed's alone, starts from pictures, keeps what a mask keeps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from genarium.checkpoints.layouts import planner as planners
from genarium.checkpoints.layouts import text_to_image as layout
from genarium.checkpoints.layouts.latent_diffusion import WEIGHTS
from genarium.data.images import to_images, to_tensor
from genarium.engines.image.latent import LatentImage
from genarium.engines.image.protocol import settle
from genarium.engines.registry import open_image
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import listening
from tests.image_models import image_request
from tests.latent_models import latent_folder, planned_folder, thumbnails_folder


@pytest.fixture(scope="module", params=["latent", "thumbnails", "planned"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    write = {"latent": latent_folder, "thumbnails": thumbnails_folder, "planned": planned_folder}[request.param]
    return write(tmp_path_factory.mktemp(request.param))


def made(engine: LatentImage, **asked: object) -> list[np.ndarray]:
    request = settle(image_request(**({"prompt": "a bat", "steps": 4} | asked)), engine)
    return [image.pixels for image in engine.generate(request)]


def test_an_image_depends_on_its_own_seed_alone(folder: Path) -> None:
    engine = LatentImage(folder)
    alone = made(engine, seeds=(7,))
    several = made(engine, seeds=(5, 7, 6))
    assert alone[0].shape == (32, 32, 3)
    assert np.array_equal(alone[0], several[1])
    assert not np.array_equal(several[0], several[1])
    assert np.array_equal(made(LatentImage(folder), seeds=(7,))[0], alone[0])


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "a red balloon over the sea"},
        {"negative_prompt": "clouds and a much longer prompt than the other one, with more tokens"},
        {"guidance": 7.0},
        {"steps": 5},
        {"sampler": "heun"},
        {"sampler": "ddpm"},
    ],
    ids=str,
)
def test_every_option_changes_the_image(folder: Path, other: dict[str, object]) -> None:
    engine = LatentImage(folder)
    assert not np.array_equal(made(engine)[0], made(engine, **other)[0])


def test_a_folder_is_drawn_with_its_own_sampler(folder: Path, tmp_path: Path) -> None:
    """Folders written before they named one have their scheduler's."""
    engine = LatentImage(folder)
    assert engine.limits.samplers[0] == "euler"
    assert np.array_equal(made(engine)[0], made(engine, sampler="euler")[0])
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    index = json.loads((other / "model_index.json").read_text())
    for sampler in ("ddpm", "swim", None):
        told = {name: value for name, value in index.items() if name != "sampler"} | (
            {"sampler": sampler} if sampler else {}
        )
        (other / "model_index.json").write_text(json.dumps(told))
        if sampler == "swim":
            with pytest.raises(BadCheckpoint, match="asks for the sampler 'swim'; known are"):
                LatentImage(other)
            continue
        assert np.array_equal(made(LatentImage(other))[0], made(engine, sampler=sampler or "euler")[0])


def test_guidance_is_that_of_both_prompts_alone(folder: Path) -> None:
    """At 1 the negative prompt plays no part, and padding the shorter of two prompts changes nothing."""
    engine = LatentImage(folder)
    plain = made(engine, guidance=1.0)[0].astype(int)
    padded = made(engine, guidance=1 + 1e-6, negative_prompt="so many words that the other prompt has to be padded")[0]
    assert np.abs(plain - padded).max() <= 1


def test_latents_are_drawn_at_other_sizes_and_thumbnails_enlarged_or_refused(folder: Path) -> None:
    engine = LatentImage(folder)
    notes: list[str] = []
    with listening(lambda event: notes.append(event.preview) if event.stage == "note" else None):
        if (folder / "unet").exists():
            assert made(engine, size=(48, 20))[0].shape == (20, 48, 3)
            with pytest.raises(BadInput, match="multiple of 4, got 22"):
                made(engine, size=(22, 32))
            assert "learned at 32x32 pixels" in notes[0]
            return
        for size, instead in (((48, 20), "48x48"), ((16, 16), "32x32"), ((20, 90), "90x90")):
            with pytest.raises(BadInput, match=f"draws 32x32 pixels.* choose {instead}, or a model that draws"):
                made(engine, size=size)
        own, larger = made(engine, size=(32, 32))[0], made(engine, size=(70, 70))[0]
        enlarged = Image.fromarray(own).resize((70, 70), Image.Resampling.LANCZOS)
        assert np.array_equal(larger, np.asarray(enlarged))
        assert len(notes) == 1
        assert "draws 32x32 pixels; 70x70 is that enlarged" in notes[0]


def test_what_is_outside_of_a_mask_stays_as_it_was_in_an_enlarged_image(folder: Path) -> None:
    start = Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8))
    mask = Image.new("L", (96, 96))
    mask.paste(255, (0, 48, 96, 96))
    [pixels] = made(LatentImage(folder), size=(96, 96), init=start, mask=mask)
    assert np.array_equal(pixels[:48], np.asarray(start)[:48])
    assert not np.array_equal(pixels[48:], np.asarray(start)[48:])


def test_an_image_to_start_from_is_left_the_more_the_stronger(folder: Path) -> None:
    engine = LatentImage(folder)
    start = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    weak, strong = (made(engine, init=start, strength=s, steps=10)[0].astype(float) for s in (0.1, 1.0))
    back, prompts = engine._parts
    with torch.inference_mode():
        words = prompts.conditioning(*prompts.tokens(["a bat"]))
        again = to_images(back.from_latents(back.to_latents(to_tensor(np.asarray(start)[None])), words))[0]
    assert np.abs(weak - again).mean() < np.abs(strong - again).mean()


def test_what_a_mask_keeps_is_kept_to_the_byte(folder: Path) -> None:
    engine = LatentImage(folder)
    before = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[8:20, 4:30] = 255
    after = made(engine, init=Image.fromarray(before), mask=Image.fromarray(mask))[0]
    assert np.array_equal(after[mask == 0], before[mask == 0])
    assert not np.array_equal(after[mask == 255], before[mask == 255])


def test_what_is_not_read_of_a_prompt_is_said(tmp_path: Path) -> None:
    engine = LatentImage(latent_folder(tmp_path, context=8))
    long = "a red balloon over the sea beside two dolphins"
    for called, asked in (("prompt", {"prompt": long}), ("negative prompt", {"negative_prompt": long})):
        events: list[str] = []
        with listening(lambda event: events.append(event.preview) if isinstance(event.preview, str) else None):  # noqa: B023
            made(engine, **asked)
        [said] = [event for event in events if "left out" in event]
        assert said.startswith(f"the {called} is longer than the 8 tokens that "), said
        assert said.endswith("beside two dolphins”"), said


@pytest.mark.parametrize(("world", "told"), [("scenes", True), (None, False)])
def test_words_outside_of_a_small_world_are_named_with_who_draws_them(
    tmp_path: Path, world: str | None, told: bool
) -> None:
    engine = LatentImage(latent_folder(tmp_path, world=world), name="starter/image")
    said: list[str] = []
    with listening(lambda event: said.append(event.preview) if isinstance(event.preview, str) else None):
        made(engine, prompt="a purple unicorn and a bat at night over Paris")
        made(engine, prompt="a bat at night")
    about = [line for line in said if "composed scenes" in line]
    assert len(about) == told
    assert all("without “unicorn”, “paris”; a model of the whole world: CompVis" in line for line in about)


def test_broken_folders_are_named(folder: Path, tmp_path: Path) -> None:
    denoiser, images = ("unet", "vae") if (folder / "unet").is_dir() else ("transformer", "transformer")
    for part, said in (
        (f"{denoiser}/diffusion_pytorch_model.safetensors", "has no diffusion_pytorch_model.safetensors"),
        (f"{images}/config.json", "has no config.json"),
        ("scheduler/scheduler_config.json", "has no scheduler_config.json"),
    ):
        broken = tmp_path / part.replace("/", "-")
        shutil.copytree(folder, broken)
        (broken / part).unlink()
        with pytest.raises(BadCheckpoint, match=said):
            made(LatentImage(broken))
    broken = tmp_path / "nan"
    shutil.copytree(folder, broken)
    file = broken / denoiser / WEIGHTS
    tensors = load_file(file)
    name = {"unet": "mid_block.resnets.0.conv1.weight", "transformer": "network.blocks.1.qkv.weight"}[denoiser]
    tensors[name].flatten()[0] = float("nan")
    save_file(tensors, file)
    with pytest.raises(BadCheckpoint, match=f"{name} holds values that are not numbers"):
        made(LatentImage(broken))
    index = json.loads((folder / "model_index.json").read_text())
    assert isinstance(open_image(str(folder)), LatentImage)
    assert index["_class_name"] == layout.PIPELINE


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planned_folder(tmp_path_factory.mktemp("planned"))


def without_planner(folder: Path, target: Path) -> LatentImage:
    shutil.copytree(folder, target)
    shutil.rmtree(target / "planner")
    return LatentImage(target)


def test_what_has_a_planner_is_drawn_by_the_plan_of_its_seed(planned: Path, tmp_path: Path) -> None:
    engine, free = LatentImage(planned), without_planner(planned, tmp_path / "free")
    assert not np.array_equal(made(engine)[0], made(free)[0])
    # The same numbers by hand, at guidance 1: plan, noise and steps from one generator.
    model, prompts = engine._parts
    source = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        states, real = prompts.conditioning(*prompts.tokens(["a bat", ""])).rows(slice(1)).values()
        plan = planners.load(planned / "planner").write(states, real, source)
        noise = torch.randn(1, 4, 8, 8, generator=source)
        levels = engine.process.levels(4)
        x = engine.process.sample(
            lambda x, t: model.denoiser(x, t, states, real, plan), noise, levels, generators=[source]
        )
        expected = to_images(model.denoiser.from_latents(x, states, real, plan))[0]
    assert np.array_equal(made(engine, guidance=1.0)[0], expected)


def test_images_that_are_there_are_not_planned(planned: Path, tmp_path: Path) -> None:
    engine, free = LatentImage(planned), without_planner(planned, tmp_path / "free")
    asked = {"init": Image.new("RGB", (32, 32), "red"), "strength": 0.5}
    assert np.array_equal(made(engine, **asked)[0], made(free, **asked)[0])


@pytest.mark.parametrize(
    ("prompt", "said", "refused"),
    [
        ("a red bus at night", None, False),
        ("flying batman with colorful sky", "knows no batman, and draws a superhero for it", False),
        ("two hawks", "knows no hawk, and draws an eagle for it", False),
        ("a unicorn at night", "without “unicorn”; a model of the whole world: CompVis/", True),
        ("qwerty zxcv", "knows no word of this prompt: what it draws has nothing to do with it", True),
        ("一只飞翔的鸟", "reads English alone, and this looks like Chinese", True),
        ("ein fliegender Vogel", "reads English alone, and this looks like German", True),
    ],
)
def test_what_a_world_of_scenes_lacks_is_said_before_anything_is_loaded(
    planned: Path, prompt: str, said: str | None, refused: bool
) -> None:
    engine = LatentImage(planned)
    engine.index["world"] = "scenes"
    heard: list[str] = []
    with listening(lambda event: heard.append(f"{event.stage} {event.preview}")):
        made(engine, prompt=prompt)
        notes = [one for one in heard if one.startswith("note")]
        assert [said is not None and said in one for one in notes] == [True] * (said is not None)
        assert not notes or heard.index(notes[0]) == 0
        if refused:
            heard.clear()
            with pytest.raises(BadInput, match="strict"):
                made(engine, prompt=prompt, strict=True)
            assert not any(one.startswith("denoising") for one in heard)


def test_a_planner_of_other_words_is_refused(planned: Path, tmp_path: Path) -> None:
    shutil.copytree(planned, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "planner" / "config.json"
    config = json.loads(file.read_text())
    config["words"]["backgrounds"][0] = "Mars"
    file.write_text(json.dumps(config))
    with pytest.raises(BadCheckpoint, match="plans can't be read by its transformer"):
        made(LatentImage(tmp_path))

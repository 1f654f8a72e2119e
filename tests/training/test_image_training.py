"""Autoencoder and denoiser learn from pictures, continue where they stopped, end in the running mean of the weights."""

from __future__ import annotations

import signal
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from genarium.checkpoints.store.find import find
from genarium.conditioning.prompts import PromptEncoder
from genarium.data.images import to_images, to_tensor
from genarium.diffusion.guidance import guided
from genarium.diffusion.schedules import Levels
from genarium.engines.image.latent import LatentImage
from genarium.models.latent_diffusion import LatentDiffusion
from genarium.models.thumbnails import ThumbnailDiffusion
from genarium.models.unet import UNet, UNetConfig
from genarium.models.vae import VAE, Autoencoder, AutoencoderConfig, VAEConfig
from genarium.progress import Event, listening
from genarium.scenes import World
from genarium.training.commands.diffusion import by_plans, train_diffusion
from genarium.training.commands.planner import train_planner
from genarium.training.loop import RunningMean, fit
from genarium.training.objectives import autoencoder as autoencoder_module
from genarium.training.objectives import denoise as denoise_module
from genarium.training.objectives.autoencoder import Reconstruct
from genarium.training.objectives.denoise import PROCESS, Denoise
from genarium.training.objectives.plans import WritePlans, judge_plan, plan_of
from genarium.training.objectives.progressive_distillation import FewerSteps
from genarium.training.objectives.thumbnails import DrawPlans, DrawThumbnails
from genarium.training.settings import Settings
from genarium.training.sources.images import Images, Scenes
from tests.latent_models import planner, thumbnails

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 220)}
SETTINGS = Settings(
    learning_rate=3e-3,
    min_learning_rate=1e-4,
    warmup_steps=5,
    weight_decay=0.0,
    ema=0.9,
    checkpoint_minutes=0,
    precision="float32",
    compile="off",
)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer held-out pictures than a real run looks at."""
    monkeypatch.setattr(denoise_module, "N_VALIDATION", 32)
    monkeypatch.setattr(autoencoder_module, "N_VALIDATION", 32)


class Squares:
    """A square of one colour somewhere on grey; what is held out has numbers of its own."""

    size = 16
    identity: dict[str, Any] = {"squares": 1}  # noqa: RUF012

    def train(self, first: int, n: int) -> Images:
        images = np.full((n, self.size, self.size, 3), 128, dtype=np.uint8)
        captions = []
        for place in range(n):
            random = np.random.default_rng(first + place)
            name = list(COLOURS)[random.integers(3)]
            y, x = random.integers(0, 9, 2)
            images[place, y : y + 8, x : x + 8] = COLOURS[name]
            captions.append(f"a {name} square")
        return images, captions

    def validation(self, first: int, n: int) -> Images:
        return self.train(10**6 + first, n)


def autoencoder() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(
        AutoencoderConfig(
            latent_channels=4,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            mid_block_attention=False,
            sample_size=16,
            scaling_factor=1.5,
        )
    )


def reconstruct(folder: Path, model: VAE | Autoencoder | None = None) -> Reconstruct:
    return Reconstruct(model or autoencoder(), Squares(), batch_size=8, beta=1e-4, folder=folder, seed=0)


def denoise(folder: Path) -> Denoise:
    path = find("starter/encoder", default="encoder").path
    assert path is not None
    prompts = PromptEncoder(path, context=16)
    frozen = autoencoder().requires_grad_(False).eval()
    torch.manual_seed(1)
    config = UNetConfig(
        block_out_channels=(32,),
        attention=(True,),
        layers_per_block=1,
        heads=(2,),
        sample_size=8,
        cross_attention_dim=384,
        norm_num_groups=8,
    )
    networks = LatentDiffusion(UNet(config), frozen)
    return Denoise(networks, prompts, Squares(), batch_size=8, folder=folder, seed=0, shown=["a red square", "a cat"])


def draw_thumbnails(folder: Path) -> DrawThumbnails:
    prompts = denoise(folder).prompts
    return DrawThumbnails(
        ThumbnailDiffusion(thumbnails(16)),
        prompts,
        Squares(),
        batch_size=8,
        folder=folder,
        seed=0,
        shown=["a red square", "a cat"],
    )


def draw_plans(folder: Path) -> DrawPlans:
    plans = planner()
    return DrawPlans(
        ThumbnailDiffusion(thumbnails(32, plan=plans.config.words), plans),
        denoise(folder).prompts,
        Scenes(32, snap=4, seed=0),
        batch_size=8,
        folder=folder,
        seed=0,
        shown=["a red bird", "a cat"],
    )


@torch.no_grad()
def test_images_are_learned_by_their_own_plans_some_and_all_without_caption_left_out(tmp_path: Path) -> None:
    objective = draw_plans(tmp_path)
    words, world = objective.planner.config.words, World(32, snap=4, flip=False)
    silent = kept = left_out = 0
    for index in range(12):
        images, _, lengths, _, _, plans = objective.batch(index)
        for row in range(8):
            scene = world.scene(0, index * 8 + row)
            assert torch.equal(images[row : row + 1], to_tensor(world.image(scene)[None]))
            if lengths[row] == 2:
                silent += 1
                assert not plans[row].any()
            elif plans[row].any():
                kept += 1
                said = words.read(plans[row].tolist())
                assert said.background == scene.background
                boxes = [(thing.left * 4, thing.top * 4, (thing.left + thing.side) * 4) for thing in said.things]
                assert boxes == [thing.box[:3] for thing in scene.things]
                assert [thing.kind for thing in said.things] == [thing.kind for thing in scene.things]
            else:
                left_out += 1
    assert min(silent, left_out) >= 2
    assert kept > 60


def test_a_network_learns_to_draw_by_plans_from_one_that_drew_without(tmp_path: Path) -> None:
    objective = draw_plans(tmp_path)
    free = thumbnails(32)
    reading = by_plans(free, objective.planner.config.words)
    x, t, words = torch.randn(2, 4, 8, 8), torch.tensor([100.0, 900.0]), torch.randn(2, 5, 384)
    with torch.no_grad():
        torch.testing.assert_close(reading(x, t, words, None, objective.validation_plans[:2]), free(x, t, words))
    objective.model.load_state_dict(reading.state_dict())
    log = fit(objective, replace(SETTINGS, steps=60, evaluate_every=20), tmp_path)
    assert log[-1]["loss"] < log[0]["loss"]
    assert (tmp_path / log[-1]["sample"]).is_file()


def test_planners_learn_what_captions_ask_for(tmp_path: Path) -> None:
    model = planner()
    objective = WritePlans(model, denoise(tmp_path).prompts, Scenes(64, snap=8, seed=0), batch_size=16)
    objective.asked, objective.validation = objective.asked[:10], tuple(part[:64] for part in objective.validation)
    log = fit(objective, replace(SETTINGS, steps=40, evaluate_every=20), tmp_path)
    assert log[-1]["loss"] < log[0]["loss"] - 1
    assert ": " in log[-1]["sample"]


def test_planner_and_images_are_trained_by_command_and_gone_on_with(tmp_path: Path) -> None:
    plans, out = str(tmp_path / "plans"), str(tmp_path / "out")
    assert train_planner(out=plans, width=64, layers=1, steps=2, batch_size=4, evaluate_every=2)["loss"] > 0
    small: dict[str, Any] = {"steps": 2, "batch_size": 4, "evaluate_every": 2}
    train_diffusion(out=out, planner=plans, widths="64", layers=1, **small)
    assert LatentImage(tmp_path / "out")._parts[0].planner is not None
    train_diffusion(out=str(tmp_path / "more"), init_from=out, **small)  # by the same planner
    both = [(tmp_path / name / "planner" / "model.safetensors").read_bytes() for name in ("out", "more")]
    assert both[0] == both[1]


def test_a_plan_is_judged_as_the_image_it_is_of() -> None:
    world = World(64, snap=8, flip=False)
    scenes = [world.scene(1, number, "heldout") for number in range(60)]
    assert all(judge_plan(scene.ask, plan_of(scene, 8), 8).right for scene in scenes)
    for scene in scenes:
        less = replace(plan_of(scene, 8), things=plan_of(scene, 8).things[1:])
        assert len(scene.things) > 2 or not judge_plan(scene.ask, less, 8).right


def test_thumbnails_learn_images_and_draw_them(tmp_path: Path) -> None:
    objective = draw_thumbnails(tmp_path)
    log = fit(objective, replace(SETTINGS, steps=120, evaluate_every=20), tmp_path)
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]
    assert log[-1]["psnr"] > log[0]["psnr"] + 3
    assert (tmp_path / log[-1]["sample"]).is_file()


@torch.no_grad()
def test_the_loss_of_thumbnails_is_the_weighed_error_of_the_image_and_of_its_detail(tmp_path: Path) -> None:
    objective = draw_thumbnails(tmp_path)
    images, tokens, lengths, t, noise = objective.batch(5)
    model, expected = objective.drawing, []
    states, real = objective.prompts.conditioning(tokens, lengths).values()
    for row in range(len(t)):
        which, share = row // 2, float(t[row]) / 1000
        image = images[which : which + 1]
        latents = model.to_latents(image)
        x = (1 - share) * latents + share * noise[row : row + 1]
        said, thumbnail = model.say(x, t[row : row + 1], states[which : which + 1], real[which : which + 1])
        error, total = said - image, 0.0
        for y in range(0, 16, 4):
            for x_ in range(0, 16, 4):
                cell = image[0, :, y : y + 4, x_ : x_ + 4].flatten(1)
                weight = 1 + 2 * min(1.0, float(cell.std(dim=1, correction=0).mean()) / 0.2)
                of = error[0, :, y : y + 4, x_ : x_ + 4]
                total += weight * float((of**2 + 0.25 * (1 - share) ** 2 * of.abs()).mean())
                total += 0.1 * float(thumbnail[0, 3, y // 4, x_ // 4] - latents[0, 3, y // 4, x_ // 4]) ** 2
        expected.append(0.3 / (0.1 + share**2) * total / 16)
    assert float(objective.loss(images, tokens, lengths, t, noise)) == pytest.approx(
        sum(expected) / len(expected), rel=1e-4
    )


def test_close_ups_count_as_much_as_the_images_beside_them(tmp_path: Path) -> None:
    plain, beside = denoise(tmp_path), denoise(tmp_path)
    beside.source, beside.n_closeups = Scenes(64, snap=8, seed=0), 12
    beside.batch_size = 4
    images, _, _, t, noise, *closeups = beside.batch(3)
    assert images.shape == (4, 3, 64, 64)
    assert closeups[0].shape == (12, 3, 32, 32)
    assert noise.shape[1:] == (4, 32, 32)
    assert (len(t), closeups[4].shape) == (8, (24, 4, 16, 16))
    apart = [plain.loss(*part) for part in (beside.batch(3)[:5], closeups)]
    assert float(beside.loss(*beside.batch(3))) == pytest.approx(float(sum(apart)) / 2, rel=1e-5)


def test_images_go_to_tensors_and_back() -> None:
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    tensor = to_tensor(images)
    assert tensor.shape == (2, 3, 4, 4)
    assert (float(to_tensor(np.zeros_like(images)).min()), float(tensor.max())) == (
        -1.0,
        pytest.approx(95 / 127.5 - 1),
    )
    assert np.array_equal(to_images(tensor), images)


@pytest.mark.parametrize("kind", ["map", "vector"])
def test_images_come_back_the_better_the_longer_it_learned(kind: str, tmp_path: Path) -> None:
    model = None if kind == "map" else VAE(VAEConfig(size=16, widths=(8, 16), latent=8))
    log = fit(reconstruct(tmp_path, model), replace(SETTINGS, steps=100, evaluate_every=25), tmp_path)
    assert log[-1]["psnr"] > log[0]["psnr"] + 0.5
    assert log[-1]["loss"] < log[0]["loss"]
    for entry in log:
        assert (tmp_path / entry["sample"]).read_bytes().startswith(b"\x89PNG")


def test_a_decoder_learns_on_latents_that_stay_as_they_are(tmp_path: Path) -> None:
    model = autoencoder()
    model.freeze_encoder()
    before = deepcopy(model)
    log = fit(reconstruct(tmp_path, model), replace(SETTINGS, steps=100, evaluate_every=10), tmp_path)
    assert log[-1]["loss"] < log[0]["loss"]
    images = to_tensor(Squares().validation(0, 4)[0])
    with torch.inference_mode():
        assert torch.equal(model.encode(images).mean, before.encode(images).mean)


def test_the_denoiser_learns_and_what_it_says_is_better_than_saying_nothing(tmp_path: Path) -> None:
    objective = denoise(tmp_path)
    log = fit(objective, replace(SETTINGS, steps=60, evaluate_every=30), tmp_path)
    # Saying nothing costs the flow's own square: that of the noise, 1, and that of the latents.
    nothing = 1 + float(objective.validation.square().mean())
    assert log[-1]["loss"] < log[0]["loss"] < 1.05 * nothing
    assert log[-1]["loss"] < 0.8 * nothing
    assert (tmp_path / log[-1]["sample"]).is_file()


@pytest.mark.parametrize("family", [reconstruct, denoise, draw_thumbnails, draw_plans])
def test_stopped_and_gone_on_with_it_ends_in_the_same_weights(family: Any, tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=8, evaluate_every=8)
    whole = family(tmp_path / "whole")
    fit(whole, settings, tmp_path / "whole")

    def stop(event: Event) -> None:
        if event.stage == "training" and event.done == 5:
            signal.raise_signal(signal.SIGTERM)

    with listening(stop), pytest.raises(KeyboardInterrupt):
        fit(family(tmp_path / "cut"), settings, tmp_path / "cut")
    again = family(tmp_path / "cut")
    seen: list[int] = []
    with listening(lambda event: seen.append(event.done) if event.stage == "training" else None):
        fit(again, settings, tmp_path / "cut")
    assert seen == [6, 7, 8]
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name]), name


def fewer_steps(folder: Path, **asked: Any) -> FewerSteps:
    parts = denoise(folder)
    torch.manual_seed(2)
    for weight in parts.model.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    return FewerSteps(
        LatentDiffusion(deepcopy(parts.model), parts.networks.autoencoder),
        parts.model.requires_grad_(False).eval(),
        prompts=parts.prompts,
        source=parts.source,
        batch_size=8,
        folder=folder,
        seed=0,
        shown=parts.shown,
        **({"steps": 4, "substeps": 2, "teacher_guidance": 3.0} | asked),
    )


@torch.no_grad()
def test_a_student_equal_to_its_unguided_teacher_has_nothing_to_learn(tmp_path: Path) -> None:
    assert float(fewer_steps(tmp_path, substeps=1, teacher_guidance=1.0).evaluate()["loss"]) < 1e-10
    assert float(fewer_steps(tmp_path, substeps=1).evaluate()["loss"]) > 1e-4


@torch.no_grad()
def test_the_student_is_told_to_go_where_the_guided_teacher_arrives(tmp_path: Path) -> None:
    objective = fewer_steps(tmp_path)
    both = objective.prompts.conditioning(*objective.prompts.tokens(["a red square", ""]))
    words, none = both.rows(slice(1)), both.rows(slice(1, None))
    latents, noise = torch.randn(2, 1, 4, 8, 8).unbind()
    for level in range(4):
        fine = PROCESS.levels(8)
        x = fine.add_noise(latents, noise, 2 * level)
        first, last = 2 * level, 2 * level + 3
        two = Levels(fine.timesteps[first : last - 1], fine.signal[first:last], fine.noise[first:last], flow=True)
        arrived = PROCESS.sample(guided(objective.teacher, words, none, 3.0), x, two)
        flow = (arrived - x) / (two.noise[2] - two.noise[0])
        said = objective.model(x, torch.tensor([fine.timesteps[2 * level]]), **words)
        distance = objective._distance(latents, words, none, torch.tensor([level]), noise)
        torch.testing.assert_close(distance, (said - flow).square().mean(), rtol=1e-3, atol=1e-6)


def test_the_student_comes_nearer_to_its_teacher(tmp_path: Path) -> None:
    log = fit(fewer_steps(tmp_path), replace(SETTINGS, steps=40, evaluate_every=20), tmp_path)
    assert log[-1]["loss"] < log[0]["loss"]
    assert (tmp_path / log[-1]["sample"]).is_file()


def test_the_running_mean_is_the_papers_and_lies_in_the_model_only_while_it_is_looked_at() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    mean = RunningMean(model, 0.5)
    by_hand = model.weight.detach().clone()
    for step in range(6):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3))
        mean.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        by_hand = decay * by_hand + (1 - decay) * model.weight.detach()
    last = model.weight.detach().clone()
    with mean.in_place():
        torch.testing.assert_close(model.weight.detach(), by_hand)
    assert torch.equal(model.weight, last)
    mean.take_place()
    torch.testing.assert_close(model.weight.detach(), by_hand)


def test_no_mean_leaves_the_weights_alone() -> None:
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    mean = RunningMean(model, 0.0)
    mean.update(0)
    with mean.in_place():
        assert torch.equal(model.weight, before)
    mean.take_place()
    assert torch.equal(model.weight, before)

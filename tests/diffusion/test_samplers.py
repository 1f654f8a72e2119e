"""Samplers: the same pictures as diffusers' schedulers, and the right distribution where the best denoiser is known."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
)
from torch import Tensor

from genarium.checkpoints.layouts import scheduler as layout
from genarium.diffusion.process import Process
from genarium.diffusion.samplers import SAMPLERS, ddim, dpm_solver_2m, euler, heun, inpaint
from genarium.diffusion.schedules import DiffusionSchedule, FlowSchedule, Levels, draw_noise, generators
from genarium.diffusion.targets import target
from genarium.errors import BadCheckpoint, BadInput

SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
COSINE = {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 1000}
LINEAR = {"beta_schedule": "linear", "num_train_timesteps": 1000}
PREDICTIONS = ("epsilon", "v_prediction", "sample")
SHAPE = (2, 3, 4, 4)


def said(x: Tensor, t: Tensor | float) -> Tensor:
    """A smooth function of picture and timestep, as any network is one."""
    return torch.tanh(0.7 * x + torch.as_tensor(t).float().reshape(-1, *[1] * (x.dim() - 1)) / 1000) + 0.1 * x.flip(-1)


def noise(seed: int = 0) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def theirs(scheduler: Any, x: Tensor, steps: int, **more: Any) -> Tensor:
    """diffusers' loop; x is a picture and noise, variance 1, where diffusers scales it by its sigma."""
    scheduler.set_timesteps(steps)
    if isinstance(scheduler, EulerDiscreteScheduler | HeunDiscreteScheduler):
        x = x * (scheduler.sigmas[0] ** 2 + 1) ** 0.5
    for t in scheduler.timesteps:
        given = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(said(given, t), t, x, **more).prev_sample
    return x


def ours(scheduler: Any, x: Tensor, steps: int, **more: Any) -> Tensor:
    """The same through the scheduler's config, as read from a folder."""
    process = layout.from_config(dict(scheduler.config) | {"_class_name": type(scheduler).__name__}, "config")
    return process.sample(said, x, process.levels(steps), **more)


def assert_equal(mine: Tensor, other: Tensor) -> None:
    """To 1e-4 of the pictures' size: diffusers computes its coefficients in float32."""
    assert float((mine - other).abs().max()) < 1e-4 * max(1.0, float(other.abs().max()))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("steps", [1, 7, 20, 50])
@pytest.mark.parametrize("betas", [SD, LINEAR], ids=["sd", "linear"])
@pytest.mark.parametrize("spacing", ["linspace", "leading", "trailing"])
@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, HeunDiscreteScheduler, DPMSolverMultistepScheduler])
def test_ode_samplers_equal_diffusers(
    kind: Any, spacing: str, betas: dict[str, Any], steps: int, prediction: str
) -> None:
    config = betas | {"prediction_type": prediction, "timestep_spacing": spacing, "steps_offset": 1}
    assert_equal(ours(kind(**config), noise(), steps), theirs(kind(**config), noise(), steps))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("steps", [1, 8, 20, 50])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("to_one", [False, True])
def test_ddim_equals_diffusers(to_one: bool, clip: bool, spacing: str, steps: int, prediction: str) -> None:
    config = SD | {"prediction_type": prediction, "timestep_spacing": spacing, "clip_sample": clip}
    config |= {"set_alpha_to_one": to_one}
    assert_equal(ours(DDIMScheduler(**config), noise(), steps), theirs(DDIMScheduler(**config), noise(), steps))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_ddim_with_noise_equals_diffusers_with_a_generator_an_image(eta: float, prediction: str) -> None:
    scheduler = DDIMScheduler(**SD, prediction_type=prediction, clip_sample=False)
    levels = layout.from_config(dict(scheduler.config) | {"_class_name": "DDIMScheduler"}, "config").levels(20)
    kinds = layout.PREDICTIONS
    mine = ddim(said, noise(), levels, prediction=kinds[prediction], eta=eta, generators=generators([5, 6]))
    assert_equal(mine, theirs(scheduler, noise(), 20, eta=eta, generator=generators([5, 6])))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("betas", [SD, LINEAR, COSINE], ids=["sd", "linear", "cosine"])
@pytest.mark.parametrize("steps", [5, 50])
@pytest.mark.parametrize("clip", [False, True])
def test_ddpm_equals_diffusers_with_a_generator_an_image(
    clip: bool, steps: int, betas: dict[str, Any], prediction: str
) -> None:
    # Without clipping, an arbitrary epsilon over the cosine's last signal of 1e-5 is a picture of 1e5.
    config = betas | {"prediction_type": prediction, "clip_sample": clip}
    mine = ours(DDPMScheduler(**config), noise(), steps, generators=generators([5, 6]))
    assert_equal(mine, theirs(DDPMScheduler(**config), noise(), steps, generator=generators([5, 6])))


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, HeunDiscreteScheduler, DPMSolverMultistepScheduler])
@pytest.mark.parametrize("steps", [5, 20])
def test_karras_levels_equal_diffusers(kind: Any, steps: int) -> None:
    config = SD | {"use_karras_sigmas": True}
    assert_equal(ours(kind(**config), noise(), steps), theirs(kind(**config), noise(), steps))


@pytest.mark.parametrize("steps", [10, 20])
@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, DPMSolverMultistepScheduler])
def test_ending_above_zero_equals_diffusers(kind: Any, steps: int) -> None:
    config = SD | {"final_sigmas_type": "sigma_min"}
    mine = ours(kind(**config), noise(), steps)
    if kind is EulerDiscreteScheduler:  # whose pictures are x / signal
        mine = mine / float(DiffusionSchedule().levels(steps, final="sigma_min").signal[-1])
    assert_equal(mine, theirs(kind(**config), noise(), steps))


def test_a_terminal_snr_of_zero_equals_diffusers() -> None:
    config = SD | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    for kind in (DDIMScheduler, EulerDiscreteScheduler, DPMSolverMultistepScheduler):
        more = {"clip_sample": False} if kind is DDIMScheduler else {}
        mine, other = ours(kind(**config, **more), noise(), 10), theirs(kind(**config, **more), noise(), 10)
        # DDIM has exactly 0 there, the others 2^-24.
        assert float((mine - other).abs().max()) < 2e-3


@pytest.mark.parametrize("steps", [1, 4, 20, 50])
@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("kind", [FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler])
def test_flow_samplers_equal_diffusers(kind: Any, shift: float, steps: int) -> None:
    assert_equal(ours(kind(shift=shift), noise(), steps), theirs(kind(shift=shift), noise(), steps))


@pytest.mark.parametrize("steps", [1, 4, 20, 50])
@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("prediction", ["flow_prediction", "epsilon", "v_prediction", "sample"])
def test_dpm_solver_on_a_flow_equals_diffusers(prediction: str, shift: float, steps: int) -> None:
    """With the timesteps diffusers tells the network, which it cuts to whole numbers."""
    config = {"use_flow_sigmas": True, "flow_shift": shift, "prediction_type": prediction}
    scheduler = DPMSolverMultistepScheduler(**config)
    process = layout.from_config(dict(scheduler.config) | {"_class_name": "DPMSolverMultistepScheduler"}, "config")
    levels = process.levels(steps)
    scheduler.set_timesteps(steps)
    assert torch.allclose(torch.tensor(levels.noise), scheduler.sigmas, atol=1e-6)
    assert all(0 <= a - b < 1.001 for a, b in zip(levels.timesteps, scheduler.timesteps.tolist(), strict=True))
    if prediction == "v_prediction":
        return  # diffusers' formula for it is of schedules that preserve variance
    whole = Levels(tuple(map(float, scheduler.timesteps)), levels.signal, levels.noise, flow=True)
    assert_equal(process.sample(said, noise(), whole), theirs(scheduler, noise(), steps))


class Mixture:
    """Two Gaussians, at -1 and 2 with deviations 0.3 and 0.5, weights 0.3 and 0.7: the best denoiser in closed form."""

    def __init__(self, levels: Levels, prediction: Any) -> None:
        self.at = dict(zip(levels.timesteps, zip(levels.signal, levels.noise, strict=False), strict=False))
        self.prediction = prediction
        self.calls = 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        a, b = self.at[min(self.at, key=lambda known: abs(known - float(t[0])))]
        weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
        means, stds = torch.tensor([-1.0, 2.0], dtype=torch.float64), torch.tensor([0.3, 0.5], dtype=torch.float64)
        z = x.double()[..., None]
        variance = (a * stds) ** 2 + b**2
        share = (weights.log() - 0.5 * variance.log() - (z - a * means) ** 2 / (2 * variance)).softmax(-1)
        x0 = (share * (means + a * stds**2 / variance * (z - a * means))).sum(-1).float()
        if self.prediction == "sample":
            return x0
        return target(self.prediction, x0, (x - a * x0) / b, a, b)

    MEAN = 0.3 * -1 + 0.7 * 2
    STD = math.sqrt(0.3 * (0.3**2 + 1) + 0.7 * (0.5**2 + 4) - MEAN**2)


def off(name: str, schedule: Any, prediction: Any, steps: int) -> float:
    """How far the samples' mean and standard deviation, and the left Gaussian's share, are from the truth."""
    levels = schedule.levels(steps)
    x = torch.randn(1, 40_000, generator=torch.Generator().manual_seed(0))
    # From where the noise and a true picture would be: the schedule's own shortfall is not the sampler's.
    image = torch.where(torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.3, -1.0, 2.0)
    x = levels.add_noise(image, x)
    out = SAMPLERS[name](Mixture(levels, prediction), x, levels, prediction=prediction, generators=generators([2]))
    left = float((out < 0.2).float().mean())
    return max(abs(float(out.mean()) - Mixture.MEAN), abs(float(out.std()) - Mixture.STD), abs(left - 0.3))


@pytest.mark.parametrize("schedule", [DiffusionSchedule(), FlowSchedule(), FlowSchedule(shift=3.0)], ids=repr)
@pytest.mark.parametrize("name", list(SAMPLERS))
def test_samples_are_of_the_distribution_and_closer_in_more_steps(name: str, schedule: Any) -> None:
    few, many = (4, 40) if name != "ddpm" else (4, 100)
    prediction = "flow" if schedule.flow else "v"
    assert off(name, schedule, prediction, many) < (0.03 if name != "ddpm" else 0.04)
    assert off(name, schedule, prediction, many) < off(name, schedule, prediction, few)


def test_second_order_is_closer_in_as_many_steps() -> None:
    for schedule in (DiffusionSchedule(), FlowSchedule()):
        first = off("euler", schedule, "sample", 10)
        assert off("dpm++2m", schedule, "sample", 10) < first
        assert off("heun", schedule, "sample", 10) < first


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_every_prediction_gives_the_same_image(name: str) -> None:
    levels = DiffusionSchedule().levels(12)
    x, made = noise(), []
    for prediction in ("epsilon", "v", "flow", "sample"):
        seeded = generators([1, 2])
        made.append(
            SAMPLERS[name](Mixture(levels, prediction), x, levels, prediction=prediction, generators=seeded)  # type: ignore[arg-type]
        )
    for other in made[1:]:
        assert torch.allclose(made[0], other, atol=2e-4)


@pytest.mark.parametrize("name", list(SAMPLERS))
@pytest.mark.parametrize("schedule", [DiffusionSchedule(), FlowSchedule(shift=2.0)], ids=repr)
def test_an_image_depends_on_its_own_seed_alone(name: str, schedule: Any) -> None:
    def paint(seeds: list[int]) -> Tensor:
        sources = generators(seeds)
        x = draw_noise(sources, (3, 4, 4))
        prediction: Any = "flow" if schedule.flow else "epsilon"
        return SAMPLERS[name](said, x, schedule.levels(6), prediction=prediction, generators=sources)

    together = paint([3, 1, 4])
    assert torch.equal(together[1:2], paint([1]))
    assert torch.equal(together[:2], paint([3, 1]))
    assert not torch.equal(together[0], together[1])


def test_steps_are_told_with_the_image_so_far() -> None:
    told: list[tuple[int, int, Tensor]] = []
    out = euler(said, noise(), DiffusionSchedule().levels(5), on_step=lambda *step: told.append(step))
    assert [(step, total) for step, total, _ in told] == [(i, 5) for i in range(1, 6)]
    assert torch.equal(told[-1][2], out)  # the walk ends at the last estimate


def test_heun_asks_twice_but_for_the_last_step() -> None:
    levels = FlowSchedule().levels(6)
    best = Mixture(levels, "flow")
    heun(best, noise(), levels, prediction="flow")
    assert best.calls == 2 * 6 - 1


def test_image_to_image_keeps_as_much_of_the_image_as_strength_leaves() -> None:
    levels = DiffusionSchedule().levels(20)
    assert [len(levels.tail(strength)) for strength in (1.0, 0.5, 0.26, 0.01)] == [20, 10, 5, 1]
    image, far = noise(7), []
    for strength in (0.2, 0.6, 1.0):
        tail = levels.tail(strength)
        out = dpm_solver_2m(Mixture(tail, "epsilon"), tail.add_noise(image, noise(8)), tail)
        far.append(float((out - image).square().mean()))
    assert far[0] < far[1] < far[2]
    with pytest.raises(BadInput, match="strength"):
        levels.tail(0)


@pytest.mark.parametrize("name", ["dpm++2m", "ddim", "ddpm", "heun"])
def test_inpainting_leaves_what_is_known_and_fits_the_rest_to_it(name: str) -> None:
    levels = DiffusionSchedule().levels(20)
    known, start = torch.full(SHAPE, 0.4), noise(1)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 2:] = 1
    seen: list[Tensor] = []

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        seen.append(x)
        return Mixture(levels, "epsilon")(x, t)

    keep = inpaint(known, mask, start, levels)
    out = SAMPLERS[name](denoise, start, levels, generators=generators([1, 2]), at_level=keep)
    assert torch.equal(out[..., :2], known[..., :2])
    assert not torch.allclose(out[..., 2:], known[..., 2:], atol=0.05)
    # The last it was asked of (Heun's too: it ends on a first-order step) has the known part at that level.
    assert torch.allclose(seen[-1][..., :2], levels.add_noise(known, start, 19)[..., :2], atol=1e-6)


def test_what_can_not_be_is_refused() -> None:
    schedule = DiffusionSchedule()
    with pytest.raises(BadInput, match="steps must be from 1 to 1000"):
        schedule.levels(0)
    with pytest.raises(BadInput, match="generator for each of the 2"):
        SAMPLERS["ddpm"](said, noise(), schedule.levels(3))
    with pytest.raises(BadInput, match="predicts noise"):
        euler(said, noise(), FlowSchedule().levels(3))
    with pytest.raises(BadInput, match="sampler must be one of"):
        Process().levels(3, sampler="magic")


def test_stable_diffusion_s_scheduler_is_read_as_it_is_published(tmp_path: Path) -> None:
    published = {
        "_class_name": "PNDMScheduler", "_diffusers_version": "0.7.0.dev0", "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000,
        "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None,
        "clip_sample": False,
    }  # fmt: skip
    (tmp_path / layout.FILE).write_text(json.dumps(published))
    process = layout.read(tmp_path)
    assert process == Process(offset=1, set_alpha_to_one=False)
    # What diffusers makes of the same file for each of its schedulers.
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    classes = {
        "dpm++2m": DPMSolverMultistepScheduler, "ddim": DDIMScheduler, "ddpm": DDPMScheduler,
        "euler": EulerDiscreteScheduler, "heun": HeunDiscreteScheduler,
    }  # fmt: skip
    for name, kind in classes.items():
        more = {"generators": generators([1, 2])} if name == "ddpm" else {}
        other = {"generator": generators([1, 2])} if name == "ddpm" else {}
        mine = process.sample(said, noise(), process.levels(20, sampler=name), sampler=name, **more)
        assert_equal(mine, theirs(kind.from_pretrained(tmp_path), noise(), 20, **other))


@pytest.mark.parametrize(
    "process",
    [
        Process(FlowSchedule(shift=2.5), "flow", "euler"),
        Process(FlowSchedule(), "flow", "heun", spacing="linspace"),
        Process(FlowSchedule(shift=2.0), "sample", "dpm++2m"),
        Process(DiffusionSchedule("cosine"), "v", "ddim", spacing="trailing", clip=1.0),
        Process(DiffusionSchedule("linear", 1e-4, 0.02, zero_snr=True), "sample", "euler", karras=True, sigma_min=True),
    ],
    ids=lambda p: f"{p.sampler}-{p.prediction}",
)
def test_a_process_is_written_and_read_again(process: Process, tmp_path: Path) -> None:
    layout.write(process, tmp_path)
    assert layout.read(tmp_path) == (
        process
        if process.spacing or not process.schedule.flow
        else Process(process.schedule, process.prediction, process.sampler, "trailing")
    )


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"_class_name": "LCMScheduler"}, "LCMScheduler"),
        ({"_class_name": "DDIMScheduler", "thresholding": True}, "thresholding"),
        ({"_class_name": "DDIMScheduler", "prediction_type": "score"}, "score"),
        ({"_class_name": "DDIMScheduler", "beta_schedule": "laplace"}, "laplace"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True}, "use_dynamic_shifting"),
    ],
)
def test_a_scheduler_that_is_not_known_is_named(config: dict[str, Any], named: str) -> None:
    with pytest.raises(BadCheckpoint, match=named):
        layout.from_config(config, "config")

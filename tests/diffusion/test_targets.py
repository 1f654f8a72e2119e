"""One prediction told from another and back; weights and timesteps as their papers have them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genarium.diffusion.schedules import DiffusionSchedule, FlowSchedule, add_noise
from genarium.diffusion.targets import Prediction, convert, draw_timesteps, min_snr_weight, split, target

PREDICTIONS: tuple[Prediction, ...] = ("epsilon", "v", "flow", "sample")


@pytest.mark.parametrize(("source", "to"), list(itertools.product(PREDICTIONS, PREDICTIONS)))
@given(share=st.floats(0.05, 0.95), seed=st.integers(0, 1000))
def test_every_prediction_is_every_other(source: Prediction, to: Prediction, share: float, seed: int) -> None:
    torch.manual_seed(seed)
    x0, eps = torch.randn(2, 3, 4, 4, dtype=torch.float64), torch.randn(2, 3, 4, 4, dtype=torch.float64)
    # A schedule that keeps variance, and one that goes in a straight line.
    for signal, noise in ((math.sqrt(1 - share**2), share), (1 - share, share)):
        x = signal * x0 + noise * eps
        said = target(source, x0, eps, signal, noise)
        torch.testing.assert_close(
            convert(said, x, signal, noise, source=source, to=to), target(to, x0, eps, signal, noise)
        )
        for found, true in zip(split(source, said, x, signal, noise), (x0, eps), strict=True):
            torch.testing.assert_close(found, true)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", [DiffusionSchedule(), FlowSchedule()], ids=["diffusion", "flow"])
def test_weighted_errors_are_those_of_the_image_times_the_clamped_ratio(
    prediction: Prediction, schedule: DiffusionSchedule | FlowSchedule
) -> None:
    """Hang et al. 2023, eq. 8, from its meaning: an error in what is said, seen as one in x0, times min(SNR, gamma)."""
    torch.manual_seed(0)
    t = torch.tensor([20.0, 300.0, 700.0, 950.0])
    signal, noise = schedule.signal_noise(t)
    x0, eps = torch.randn(4, 50), torch.randn(4, 50)
    x = add_noise(schedule, x0, eps, t)
    said = target(prediction, x0, eps, signal, noise) + 0.01 * torch.randn(4, 50)
    error = (said - target(prediction, x0, eps, signal, noise)).square().mean(1)
    in_x0 = (split(prediction, said, x, signal, noise)[0] - x0).square().mean(1)
    clamped = (signal / noise).square().clamp_max(5.0)
    found = min_snr_weight(prediction, signal, noise, gamma=5.0) * error
    torch.testing.assert_close(found, clamped * in_x0, rtol=2e-3, atol=1e-9)


def test_timesteps_are_drawn_as_said() -> None:
    generator = torch.Generator().manual_seed(0)
    uniform = draw_timesteps(DiffusionSchedule(), 20_000, generator=generator)
    assert uniform.dtype == torch.int64
    assert (int(uniform.min()), int(uniform.max())) == (0, 999)
    assert float(uniform.float().mean()) == pytest.approx(499.5, abs=6)
    middle = draw_timesteps(FlowSchedule(), 20_000, how="logit_normal", mean=0.5, std=0.8, generator=generator) / 1000
    logits = torch.logit(middle)
    assert float(logits.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(logits.std()) == pytest.approx(0.8, abs=0.02)
    shifted = draw_timesteps(FlowSchedule(shift=3.0), 20_000, generator=generator) / 1000
    assert float(shifted.median()) == pytest.approx(3 * 0.5 / (1 + 2 * 0.5), abs=0.01)

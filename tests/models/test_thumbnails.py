"""Thumbnails say pictures whose mean colours are their own estimates; folders come back, or are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genarium.checkpoints.layouts import thumbnails as layout
from genarium.diffusion.process import Process
from genarium.diffusion.schedules import FlowSchedule, add_noise
from genarium.errors import BadCheckpoint
from genarium.models.thumbnails import COLOURS, DETAIL, FULL_DETAIL
from tests.latent_models import WORDS, thumbnails


def words(rows: int) -> Tensor:
    return torch.randn(rows, 5, WORDS, generator=torch.Generator().manual_seed(2))


def test_a_thumbnail_is_mean_colours_and_how_much_they_differ() -> None:
    images = torch.rand(2, 3, 8, 12) * 2 - 1
    images[1, :, :4, :4] = 0.3  # a cell without detail
    latents = thumbnails().to_latents(images)
    assert latents.shape == (2, 4, 2, 3)
    cell = images[0, :, 4:8, 8:12]
    torch.testing.assert_close(latents[0, :3, 1, 2], (cell.mean((1, 2)) - COLOURS[0]) / COLOURS[1])
    detail = min(1.0, float(cell.flatten(1).std(dim=1, correction=0).mean()) / FULL_DETAIL)
    assert float(latents[0, 3, 1, 2]) == pytest.approx((detail - DETAIL[0]) / DETAIL[1], abs=1e-5)
    assert float(latents[1, 3, 0, 0]) == pytest.approx(-DETAIL[0] / DETAIL[1], abs=1e-2)


@torch.no_grad()
def test_the_flow_it_says_leads_to_the_thumbnail_of_the_image_it_says() -> None:
    model, schedule = thumbnails().eval(), FlowSchedule()
    latents, noise = torch.randn(2, 2, 4, 8, 8).unbind()
    t = torch.tensor([120.0, 900.0])
    x = add_noise(schedule, latents, noise, t)
    images, estimate = model.say(x, t, words(2))
    assert images.shape == (2, 3, 32, 32)
    torch.testing.assert_close(x - t[:, None, None, None] / 1000 * model(x, t, words(2)), estimate)
    torch.testing.assert_close(model.to_latents(images)[:, :3], estimate[:, :3])
    last = torch.full((2,), 1000 * model.config.last)
    torch.testing.assert_close(model.from_latents(x, words(2)), model.say(x, last, words(2))[0])


@torch.no_grad()
def test_one_euler_step_arrives_at_what_was_said(tmp_path: Path) -> None:
    model, process = thumbnails().eval(), Process(FlowSchedule(), prediction="flow", sampler="euler")
    x = torch.randn(1, 4, 8, 8)
    arrived = process.sample(lambda x, t: model(x, t, words(1)), x, process.levels(1))
    torch.testing.assert_close(arrived, model.say(x, torch.tensor([1000.0]), words(1))[1], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_folder_comes_back(tmp_path: Path) -> None:
    model = thumbnails()
    layout.save(model, tmp_path)
    again = layout.load(tmp_path)
    assert again.config == model.config
    x, t = torch.randn(1, 4, 8, 8), torch.tensor([300.0])
    torch.testing.assert_close(again(x, t, words(1)), model.eval()(x, t, words(1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config.pop("factor"), "has no 'factor'"),
        (lambda config: config["network"].pop("d_ff"), "has no 'd_ff'"),
        (lambda config: config.update(factor=8), "cells of 8 pixels don't have 49 numbers"),
        (lambda config: config["network"].update(n_heads=5), "can't be shared by 5 heads"),
        (lambda config: config.update(_class_name="UNet2DConditionModel"), "does not hold a GenariumThumbnails"),
        (lambda config: config["network"].update(n_layers=3), r"lack network.blocks.2"),
    ],
)
def test_configs_that_do_not_fit_are_refused(change: object, said: str, tmp_path: Path) -> None:
    layout.save(thumbnails(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    change(config)  # type: ignore[operator]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadCheckpoint, match=said):
        layout.load(tmp_path)

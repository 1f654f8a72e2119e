"""Training of moving pictures: what is learned is what scenes are made of, and the commands carry it through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genarium.data.layers import clip, moments
from genarium.engines.video.layered import LayeredVideo, ways_of
from genarium.errors import BadInput
from genarium.models.moving_plan import parts_of
from genarium.models.thumbnails import Thumbnails
from genarium.training.commands.planner import train_planner
from genarium.training.commands.video import _begin, train_video
from genarium.training.objectives.moving_plans import moving_plan_of, moving_plan_words
from genarium.training.sources.moving import MovingScenes


def test_frames_put_together_from_an_atlas_by_its_plan_are_those_of_the_scene() -> None:
    words = moving_plan_words()
    source = MovingScenes(64, seed=3, most=words.most)
    for scene in source.scenes(0, 12, "train"):
        if scene.then:
            continue
        atlas = torch.from_numpy(source.atlas(scene).astype(np.float32) / 255).permute(2, 0, 1)
        under, layers = parts_of(atlas, words)
        plan = moving_plan_of(scene, 8)
        ways = ways_of(plan)
        made = clip(under[:3], under[:3], layers[: len(ways)], ways, moments(4), words.side)
        true = source.world.frames(scene, moments(4))
        assert np.abs((made * 255).permute(0, 2, 3, 1).numpy() - true).max() < 3


def test_backgrounds_that_come_later_are_drawn_by_themselves() -> None:
    source = MovingScenes(64, seed=3, most=4)
    turning = [number for number in range(200) if source.scenes(number, 1, "train")[0].then]
    for number in turning:
        scene, (drawn,) = source.scenes(number, 1, "train")[0], source.drawn(number, 1, "train")
        assert (drawn.things, drawn.background) == (
            ((), scene.then) if number % 2 else (scene.things, scene.background)
        )
    assert {number % 2 for number in turning} == {0, 1}


def test_a_network_of_layers_begins_with_what_one_of_pictures_knows() -> None:
    words = moving_plan_words()
    begun = _begin(words, "starter/image", 384)
    assert isinstance(begun, Thumbnails)
    with torch.no_grad():
        plan = torch.tensor([words.write(moving_plan_of(MovingScenes(64, seed=1, most=4).scenes(0, 1, "train")[0], 8))])
        told = begun.plan(plan)  # type: ignore[misc]
        images, thumbnails = begun.say(
            torch.randn(1, 5, 16, 8), torch.tensor([500.0]), torch.randn(1, 4, 384), None, plan
        )
    assert told.abs().mean() > 0.1
    assert (images.shape, thumbnails.shape) == ((1, 4, 128, 64), (1, 5, 16, 8))


def test_planner_and_clips_are_trained_by_command_and_gone_on_with(tmp_path: Path) -> None:
    plans, out = str(tmp_path / "plans"), str(tmp_path / "out")
    figures = train_planner(
        out=plans, data="moving", init_from="starter/image", steps=2, batch_size=4, evaluate_every=2
    )
    assert figures["loss"] > 0
    with pytest.raises(BadInput, match="plans pictures; name one made with"):
        train_video(planner=str(_image_planner()), out=out)
    small = {"steps": 2, "batch_size": 2, "evaluate_every": 2}
    assert train_video(planner=plans, init_from="starter/image", out=out, **small)["loss"] > 0
    assert list((tmp_path / "out" / "sheets").iterdir())
    train_video(planner=plans, init_from=out, out=str(tmp_path / "more"), **small)
    assert LayeredVideo(tmp_path / "more", device="cpu")._parts[0].planner is not None


def _image_planner() -> Path:
    from genarium.checkpoints.store import catalogue

    return catalogue.FOLDER / "image" / "planner"

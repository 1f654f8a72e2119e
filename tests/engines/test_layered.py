"""Clips in layers: each depends on its own seed alone, and moves as its plan says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genarium.checkpoints.store import catalogue
from genarium.checkpoints.store.find import find
from genarium.engines import registry
from genarium.engines.video.layered import LayeredVideo
from genarium.engines.video.protocol import VideoRequest, settle
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import Event, listening
from genarium.scenes.checker import judge
from genarium.scenes.follow import Follower
from genarium.scenes.parse import parse
from tests.latent_models import moving_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moving_folder(tmp_path_factory.mktemp("moving"))


@pytest.fixture(scope="module")
def starter() -> LayeredVideo:
    return LayeredVideo(catalogue.FOLDER / "video", name="starter/video", device="cpu")


def frames(engine: LayeredVideo, prompt: str, *seeds: int, **how: object) -> list[np.ndarray]:
    request = settle(VideoRequest(prompt, seeds, **how), engine)  # type: ignore[arg-type]
    return [made.frames for made in engine.generate(request)]


def test_a_clip_depends_on_its_own_seed_alone_and_its_pace_on_the_number_of_frames(folder: Path) -> None:
    engine = registry.open_video(str(folder))
    assert isinstance(engine, LayeredVideo)
    both = frames(engine, "a red car moving to the left", 3, 4, frames=9)
    assert not np.array_equal(*both)
    (alone,) = frames(engine, "a red car moving to the left", 4, frames=9)
    assert np.array_equal(both[1], alone)
    assert alone.shape == (9, 64, 64, 3)
    (slower,) = frames(engine, "a red car moving to the left", 4, frames=17)
    assert np.array_equal(slower[::2], alone)


def test_the_starter_moves_as_asked(starter: LayeredVideo) -> None:
    follower, right = Follower(), []
    prompts = (
        "a red car driving to the left",
        "two balloons rising at night",
        "a cat turning around in a room",
        "a bird growing",
        "a ship sailing to the right and a star falling",
        "a house from day to night",
    )
    for prompt in prompts:
        (clip,) = frames(starter, prompt, 1, frames=16)
        right.append(judge(parse(prompt, moving=True).ask, follower.follow(clip)).right)
    assert sum(right) >= 5


def test_larger_frames_show_the_same(starter: LayeredVideo) -> None:
    small, large = (
        frames(starter, "a dog moving up in a field", 5, frames=3, size=size)[0] for size in (None, (128, 128))
    )
    assert large.shape == (3, 128, 128, 3)
    shrunk = large.astype(float).reshape(3, 64, 2, 64, 2, 3).mean((2, 4))
    assert np.abs(shrunk - small).mean() < 4
    with pytest.raises(BadInput, match="larger videos of that shape by enlarging it; got 128x64: choose 128x128"):
        settle(VideoRequest("a dog", (1,), size=(128, 64)), starter)
    begun = VideoRequest("a dog", (1,), init=Image.new("RGB", (64, 64)))
    with pytest.raises(BadInput, match="can't start from a picture; leave out init"):
        settle(begun, starter)


def test_words_are_looked_at_where_their_thing_is_in_each_frame(starter: LayeredVideo) -> None:
    request = settle(VideoRequest("a red car moving to the left", (2,), frames=5, explain=True), starter)
    (made,) = starter.generate(request)
    assert made.explained is not None
    assert len(made.explained) == 5
    assert made.explained[0].words == ["a", "red", "car", "moving", "to", "the", "left"]
    first, last = made.explained[0].maps, made.explained[-1].maps
    assert first.shape == (7, 64, 64)
    assert not np.array_equal(first, last)  # what was looked at goes along


def test_previews_show_the_clip_on_its_way(folder: Path) -> None:
    events: list[Event] = []
    with listening(events.append):
        frames(LayeredVideo(folder, device="cpu"), "a cat", 1, frames=2, options={"steps": 3})
    shown = [event for event in events if event.stage == "denoising" and event.done and event.preview is not None]
    assert shown
    assert shown[0].preview.shape == (64, 64, 3)  # type: ignore[union-attr]


def test_words_of_no_moving_scene_are_told(folder: Path) -> None:
    events: list[Event] = []
    with listening(events.append):
        frames(LayeredVideo(folder, name="it", device="cpu"), "a galloping cat", 1, frames=2)
    (told,) = (event.preview for event in events if event.stage == "note")
    assert "has only seen composed scenes that move, without “galloping”" in str(told)


def test_a_folder_of_videos_makes_no_pictures_and_without_a_planner_nothing_moves(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="makes videos, not pictures"):
        registry.open_image(str(folder))
    found = find(str(folder), default="video")
    assert [task for task in ("image", "video") if registry.can_open(found, task)] == ["video"]
    for name in ("transformer/config.json", "transformer/diffusion_pytorch_model.safetensors", "model_index.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "scheduler").mkdir()
    for file in (folder / "scheduler").iterdir():
        (tmp_path / "scheduler" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(BadCheckpoint, match="has no planner"):
        frames(LayeredVideo(tmp_path, device="cpu"), "a cat", 1)
    config = json.loads((folder / "transformer" / "config.json").read_text())
    config["plan"]["thing"] = 3
    (tmp_path / "transformer" / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadCheckpoint, match="things of 3 cells"):
        LayeredVideo(tmp_path, device="cpu")

"""An engine that draws a square which moves, for tests of what is around engines: it knows no words and no weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from genarium.engines import registry
from genarium.engines.engine import Engine, model_type
from genarium.engines.video.protocol import GeneratedVideo, VideoLimits, VideoRequest
from genarium.engines.vision.word_maps import WordMaps, spans_of
from genarium.plugins import Plugin
from genarium.progress import emit

MARK = "config.json"


def moving(count: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    """Frames (count, height, width, 3) of a red square that crosses a sky of the seed's colours."""
    across, down = np.meshgrid(np.linspace(0, 60, width), np.linspace(0, 80, height))
    sky = np.stack([90 + across + seed % 7 * 10, 150 + down, 230 - across], -1).astype(np.uint8)
    frames = np.repeat(sky[None], count, 0)
    side = height // 4
    for number, frame in enumerate(frames):
        left = round((width - side) * number / max(1, count - 1))
        frame[side : 2 * side, left : left + side] = (220, 40, 30)
    return frames


class Moving:
    """Draws at any even size, 2 to 24 frames."""

    def __init__(self, name: str):
        self.name = name

    @property
    def limits(self) -> VideoLimits:
        return VideoLimits(
            size=(64, 64),
            multiple=2,
            options={"steps": 2, "guidance": 4.0, "sampler": "ddim"},
            samplers=("ddim", "euler"),
            negative=True,
            init=True,
            last=True,
            explain=True,
            frames=8,
            most_frames=24,
            first_frame=2,
            frame_step=2,
        )

    def memory(self, request: VideoRequest) -> int:
        assert request.size is not None
        assert request.frames is not None
        return 30 * request.size[0] * request.size[1] * request.frames

    def generate(self, request: VideoRequest) -> Iterator[GeneratedVideo]:
        assert request.size is not None
        assert request.frames is not None
        assert request.fps is not None
        steps = request.option("steps")
        for row, seed in enumerate(request.seeds):
            frames = moving(request.frames, *request.size, seed)
            for step in range(steps):
                emit("denoising", step + 1, steps, preview=frames[0, ::4, ::4], item=row)
            if request.init is not None:
                frames[0] = np.asarray(request.init)
            if request.last is not None:
                frames[-1] = np.asarray(request.last)
            explained = [_looked(request.prompt, number) for number in range(len(frames))] if request.explain else None
            yield GeneratedVideo(row, seed, frames, request.fps, {"seconds": 0.0}, explained)


def _looked(prompt: str, number: int) -> WordMaps:
    spans = tuple(spans_of(prompt))
    maps = np.zeros((len(spans), 8, 8), np.float32)
    maps[:, 2:4, number % 8] = 1
    return WordMaps(prompt, spans, maps)


ENGINE = Engine(
    "video",
    lambda found: model_type(found) == "moving",
    lambda found, **how: Moving(found.reference),
)


@pytest.fixture
def moving_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the engine of this module opens, in this process alone."""
    engines: Callable[[str], list[tuple[Plugin, Engine]]] = registry.engines
    plugin = Plugin("genarium.engines", "moving", "tests.moving:ENGINE")
    monkeypatch.setattr(
        registry, "engines", lambda kind: [*([(plugin, ENGINE)] if kind == "video" else []), *engines(kind)]
    )
    folder = tmp_path / "moving"
    folder.mkdir()
    (folder / MARK).write_text(json.dumps({"model_type": "moving"}))
    return folder

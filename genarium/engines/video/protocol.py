"""What an engine that makes videos is, and what it gives back."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from genarium.devices import available_memory
from genarium.engines.drawing import (
    DrawingLimits,
    Request,
    Size,
    covering,
    refuse_what_it_lacks,
    require_enlargement,
    require_fitting,
    require_memory,
    settled_options,
    usual_size,
    written,
)
from genarium.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from genarium.engines.vision.word_maps import WordMaps

ELSEWHERE = "damo-vilab/text-to-video-ms-1.7b"
"""Who makes what the starter can't."""
NOTHING_TO_EXPLAIN = "has no cross-attention from the places of its frames to words that could be explained"


@dataclass(frozen=True)
class VideoRequest(Request):
    """How to make videos: `init` (RGB) is the first picture, `last` (RGB) the last one. `fps` is frames a second."""

    frames: int | None = None
    fps: float | None = None
    last: Image | None = None


@dataclass(frozen=True)
class GeneratedVideo:
    """One finished video: `row` is its place among the seeds, `frames` (F, height, width, 3) uint8. `stats`: `seconds`.

    The frames depend on the request and this seed alone, not on the other seeds. `explained` is where the denoiser
    looked for each word of the prompt, for every frame.
    """

    row: int
    seed: int
    frames: np.ndarray
    fps: float
    stats: dict[str, float] = field(default_factory=dict)
    explained: Sequence[WordMaps] | None = None


@dataclass(frozen=True, kw_only=True)
class VideoLimits(DrawingLimits):
    """What a model of videos can do.

    `frames` are what it makes where nothing is asked, `most_frames` what it makes at most. It makes `first_frame` and
    whole steps of `frame_step` more: 1 and 4 are 1, 5, 9, …. Where `most_frames` is `first_frame` it makes that many
    only. `fps` is how fast its videos are played where nothing is asked. `last` says whether it takes a last
    picture beside a first one. One that runs `elsewhere` chooses for itself what is not asked for.
    """

    frames: int
    most_frames: int
    first_frame: int = 1
    frame_step: int = 1
    fps: float = 8.0
    last: bool = False
    elsewhere: bool = False


class VideoEngine(Protocol):
    """Makes videos. Steps are told as progress events `denoising`, with `item` the row and a small frame as preview."""

    name: str

    @property
    def limits(self) -> VideoLimits: ...

    def memory(self, request: VideoRequest) -> int:
        """The least bytes that a settled request takes beside what is loaded already, by estimate."""

    def generate(self, request: VideoRequest) -> Iterator[GeneratedVideo]:
        """A video for every seed of a settled request, as each is finished. Raises BadInput, BadCheckpoint."""


def settle(request: VideoRequest, engine: VideoEngine) -> VideoRequest:
    """The request with the model's choices filled in, `init` and `last` brought to size. Nothing is loaded for it.

    Raises BadInput where the model can't do what is asked, or there is not the memory for it.
    """
    limits, name = engine.limits, engine.name
    more = (
        ("init", request.init is not None and not limits.init, "can't start from a picture"),
        ("last", request.last is not None and not limits.last, "can't end on a picture"),
    )
    refuse_what_it_lacks(request, limits, name, unexplained=NOTHING_TO_EXPLAIN, more=more)
    if request.init is None and not limits.text:
        raise BadInput(f"{name} starts from a picture, which its prompt sets in motion; give one as init")
    if request.last is not None and request.init is None:
        raise BadInput("a last picture needs a first one; give that as init")
    if limits.elsewhere:
        init = request.init if request.size is None else covering(request.init, request.size)
        return replace(request, init=init, options=settled_options(request, limits, name))
    frames = limits.frames if request.frames is None else request.frames
    _require_frames(frames, limits, name)
    even = replace(limits, multiple=math.lcm(limits.multiple, 2))  # H.264 has one colour for each two by two pixels
    size = request.size or usual_size(request.init, even)
    if limits.enlarges:
        require_enlargement(size, limits, name, "videos", ELSEWHERE)
    require_fitting(size, even, name, "videos")
    settled = replace(
        request,
        size=size,
        frames=frames,
        fps=limits.fps if request.fps is None else request.fps,
        options=settled_options(request, limits, name),
        init=covering(request.init, size),
        last=covering(request.last, size),
    )
    needed = engine.memory(settled)
    if needed > available_memory():
        what = f"a video of {frames} frames of {written(size)}"
        require_memory(needed, what, name, _way_out(settled, engine, even))
    return settled


def _require_frames(frames: int, limits: VideoLimits, name: str) -> None:
    first, step, most = limits.first_frame, limits.frame_step, _most_frames(limits)
    if first <= frames <= most and (frames - first) % step == 0:
        return
    if first == most:
        raise BadInput(f"{name} makes videos of {first} frames only, got {frames}")
    below = first + max(0, (min(frames, most) - first) // step) * step
    near = sorted({below, min(below + step, most)} if first <= frames <= most else {below})
    steps = "" if step == 1 else f" in steps of {step}"
    raise BadInput(
        f"{name} makes videos of {first} to {most} frames{steps}, got {frames}; try {' or '.join(map(str, near))}"
    )


def _most_frames(limits: VideoLimits) -> int:
    return limits.first_frame + (limits.most_frames - limits.first_frame) // limits.frame_step * limits.frame_step


def _way_out(settled: VideoRequest, engine: VideoEngine, limits: VideoLimits) -> str:
    """What of this would fit in memory: the most frames of this size, the largest size with these frames."""
    assert settled.size is not None
    assert settled.frames is not None
    there = available_memory()
    counts = range(limits.first_frame, settled.frames, limits.frame_step)
    found = bisect_right(counts, there, key=lambda frames: engine.memory(replace(settled, frames=frames)))
    ways = [f"{counts[found - 1]} frames"] if found else []
    if not limits.fixed:
        sizes = _smaller(settled.size, limits.multiple)
        found = bisect_right(sizes, there, key=lambda size: engine.memory(replace(settled, size=size)))
        ways += [f"{written(sizes[found - 1])}"] if found else []
    return f"at most {' or '.join(ways)} fit in it" if ways else "choose a smaller model"


def _smaller(size: Size, multiple: int) -> list[Size]:
    """Sizes of about this shape that are smaller, the smallest first."""
    width, height = size
    near = [
        (step, max(multiple, round(step * height / width / multiple) * multiple))
        for step in range(multiple, width, multiple)
    ]
    return [one for one in near if one[1] <= height]

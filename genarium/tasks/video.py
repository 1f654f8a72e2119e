"""`video`: moving pictures of what a prompt says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_doc import Doc
from annotated_types import Interval, MinLen

from genarium.artefacts import Heat, Video
from genarium.artefacts.heat import WordHeat
from genarium.engines import registry
from genarium.errors import BadInput
from genarium.progress import emit
from genarium.recipe import MAX_SEED
from genarium.tasks.options import (
    DAAM,
    DrawDtype,
    Guidance,
    Sampler,
    Steps,
    Strict,
    options_of,
    read_size,
    seeds_of,
    small,
)
from genarium.tasks.task import task

if TYPE_CHECKING:
    from PIL.Image import Image

    from genarium.engines.video.protocol import GeneratedVideo, VideoLimits

MOST_FRAMES = 1024
DRAWN_FRAMES = 8
"""Rows of the figure that shows where each frame looked; the page and the maps have all frames."""


@task(starter="video", remakes=True)
def video(
    prompt: Annotated[
        str,
        Doc("what the video shows, or a file of one made before: its prompt and settings; - reads standard input"),
        MinLen(1),
    ],
    *,
    n: Annotated[int, Doc("how many videos"), Interval(ge=1, le=64)] = 1,
    frames: Annotated[
        int | None, Doc("how many pictures one after the other [default: the model's]"), Interval(ge=1, le=MOST_FRAMES)
    ] = None,
    seconds: Annotated[
        float | None,
        Doc("how long it plays, in place of frames: as many as the model makes nearest to that"),
        Interval(gt=0, le=600),
    ] = None,
    fps: Annotated[
        float | None, Doc("frames a second that it is played at [default: the model's]"), Interval(ge=1, le=120)
    ] = None,
    size: Annotated[
        str | None, Doc("WIDTHxHEIGHT in pixels, or one number for a square [default: what the model was trained on]")
    ] = None,
    steps: Steps = None,
    guidance: Guidance = None,
    negative_prompt: Annotated[str | None, Doc("what the video should not show")] = None,
    sampler: Sampler = None,
    init: Annotated[Path | None, Doc("a picture that it starts with")] = None,
    last: Annotated[Path | None, Doc("a picture that it ends with, beside init")] = None,
    explain: Annotated[
        bool, Doc("also show where each frame looked for each word; -o NAME.png, .html or .npz is then of that")
    ] = False,
    strict: Strict = False,
    dtype: DrawDtype = "auto",
    model: Annotated[str, Doc("starter, a folder or a hub id such as damo-vilab/text-to-video-ms-1.7b")] = "starter",
    seed: Annotated[
        int | None, Doc("same seed, same video; the next one drawn has the next seed"), Interval(ge=0, le=MAX_SEED)
    ] = None,
) -> Iterator[Video | Heat]:
    """Make videos of what a prompt says.

    Each is kept as an MP4 (H.264) of its own, with its recipe inside, a poster and a contact sheet beside it.
    -o NAME.mp4, .webm, .gif or .png (which moves) writes it; -o FOLDER/ writes every video and its frames.
    """
    from genarium.engines.video.protocol import VideoRequest, settle

    options = options_of(video, dict(locals()))
    engine = registry.open_video(model, dtype=dtype)
    request = settle(
        VideoRequest(
            prompt,
            seeds_of(seed, n),
            size=read_size(size),
            frames=frames if seconds is None else _frames_of(seconds, frames, fps, engine.limits, engine.name),
            fps=fps,
            negative_prompt=negative_prompt or "",
            init=_picture("init", init),
            last=_picture("last", last),
            options=options,
            explain=explain,
            strict=strict,
        ),
        engine,
    )
    negative = {"negative_prompt": request.negative_prompt} if request.negative_prompt else {}
    for done, made in enumerate(engine.generate(request), 1):
        artefact = Video(
            item=made.row,
            prompt=prompt,
            frames=made.frames,
            fps=made.fps,
            seed=made.seed,
            settings=negative | dict(request.options),
            stats=made.stats,
        )
        emit("generated", done, n, preview=small(made.frames[len(made.frames) // 2]), item=made.row)
        yield artefact
        if made.explained:
            yield _heat(made, prompt, item=n + made.row)


def _heat(made: GeneratedVideo, prompt: str, *, item: int) -> Heat:
    assert made.explained
    images = [
        WordHeat(pixels, one.maps, label=f"{place / made.fps:.2f} s")
        for place, (pixels, one) in enumerate(zip(made.frames, made.explained, strict=True))
    ]
    spans = list(made.explained[0].spans)
    return Heat(item=item, caption=prompt, spans=spans, images=images, method=DAAM, most_rows=DRAWN_FRAMES)


def _frames_of(seconds: float, frames: int | None, fps: float | None, limits: VideoLimits, name: str) -> int:
    """The count that the model makes nearest to so many seconds. Raises BadInput where it is beyond what it makes."""
    if frames is not None:
        raise BadInput("frames and seconds both say how long the video is; leave out one")
    rate = limits.fps if fps is None else fps
    first, step = limits.first_frame, limits.frame_step
    found = first + max(0, round((seconds * rate - first) / step)) * step
    if found > limits.most_frames:
        raise BadInput(
            f"{name} makes at most {limits.most_frames} frames, which are {limits.most_frames / rate:.3g} seconds at "
            f"{rate:g} a second, got {seconds:g}; ask for fewer seconds or a lower fps"
        )
    return found


def _picture(name: str, file: Path | None) -> Image | None:
    from genarium.data.images import read_image
    from genarium.data.videos import is_video

    if file is not None and is_video(file):
        raise BadInput(f"{name} is a picture, and {file.name} is a video; save the frame that is meant as a picture")
    return None if file is None else read_image(file)

"""Frames to the bytes of a video file: MP4, WebM, GIF and APNG. The same frames and tags give the same bytes.

One thread encodes, and nothing that changes from run to run is written: no time, no random identifiers.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from genarium.errors import BadInput
from genarium.extras import require

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image as Pillow

QUALITY = {"libx264": {"crf": "16", "preset": "medium"}, "libvpx-vp9": {"crf": "20", "b": "0", "cpu-used": "2"}}
"""Constant quality, at which an eye sees no loss."""
MOST_RATE = 1001
"""The largest denominator of frames a second: 23.976 is 24000/1001."""
KEYFRAME_SECONDS = 1
"""A player jumps to a keyframe: each second begins with one."""
BT709 = 1
"""Of colours, ITU-T H.273, tables 2 to 4: said in the file, so that no player has to guess it by the size."""
COLOURS, TILE = 256, 64


def mp4(frames: np.ndarray, fps: float, tags: Mapping[str, str]) -> bytes:
    """H.264 in 4:2:0 as every browser plays it, what a player needs first at the front (faststart).

    `frames` is (F, height, width, 3) uint8 with even sides. `tags` are text in the file's metadata. Raises BadInput,
    MissingPackage.
    """
    return _encoded(frames, fps, tags, "libx264", "mp4", {"movflags": "+faststart+use_metadata_tags"})


def webm(frames: np.ndarray, fps: float, tags: Mapping[str, str]) -> bytes:
    """VP9 in WebM, of frames as `mp4` takes them."""
    return _encoded(frames, fps, tags, "libvpx-vp9", "webm", {})


def gif(frames: np.ndarray, fps: float, tags: Mapping[str, str]) -> bytes:
    """A GIF that loops, in one palette of 256 colours; its comment is the tags as JSON. Durations are in 1/100 s."""
    from PIL import Image

    palette = _palette(frames)
    drawn = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    durations = [10 * hundredths for hundredths in _durations(len(frames), fps, 100)]
    comment = json.dumps(tags, ensure_ascii=False).encode()
    return _saved(drawn, "GIF", duration=durations, loop=0, comment=comment, disposal=1)


def apng(frames: np.ndarray, fps: float, tags: Mapping[str, str]) -> bytes:
    """A PNG that moves and loops, without loss; what knows none shows the first frame. Durations are in 1/1000 s."""
    from PIL import Image

    from genarium.artefacts.png import text_chunks

    drawn = [Image.fromarray(frame) for frame in frames]
    return _saved(drawn, "PNG", duration=_durations(len(frames), fps, 1000), loop=0, pnginfo=text_chunks(tags))


def written(frames: np.ndarray, fps: float, suffix: str, tags: Mapping[str, str]) -> bytes:
    """The frames as a file with this suffix, one of FORMATS."""
    return FORMATS[suffix.lower()](frames, fps, tags)


FORMATS = {".mp4": mp4, ".webm": webm, ".gif": gif, ".png": apng, ".apng": apng}


def rate_of(fps: float) -> Fraction:
    """Frames a second as video files write it."""
    return Fraction(fps).limit_denominator(MOST_RATE)


class _Buffer(io.BytesIO):
    """Bytes that stay when the library closes what it writes into."""

    def close(self) -> None:
        pass


def _encoded(
    frames: np.ndarray, fps: float, tags: Mapping[str, str], codec: str, container: str, options: dict[str, str]
) -> bytes:
    require(container.upper(), "av")
    import av

    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise BadInput(f"{container} files are of even width and height, got {width}x{height}; choose even ones")
    out, rate = _Buffer(), rate_of(fps)

    def reopened(_url: str, _flags: int, _options: Any) -> io.BytesIO:
        return io.BytesIO(out.getvalue())  # to move what is written backwards, it is read again

    options = options | {"fflags": "+bitexact"}
    with av.open(out, "w", format=container, options=options, io_open=reopened) as file:
        file.metadata.update(tags)
        stream: Any = file.add_stream(codec, rate=rate, options=QUALITY[codec])
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.thread_count, context.max_b_frames = 1, 0
        context.gop_size = max(1, round(fps * KEYFRAME_SECONDS))
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = av.video.reformatter.ColorRange.MPEG
        for frame in frames:
            pixels = av.VideoFrame.from_ndarray(frame, format="rgb24")
            file.mux(stream.encode(pixels.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")))
        file.mux(stream.encode(None))
    return out.getvalue()


def _durations(count: int, fps: float, units: int) -> list[int]:
    """How long each frame stays, in whole units of a second, so that none is late by more than half a unit."""
    ends = [round(number * units / fps) for number in range(count + 1)]
    return [max(1, end - start) for start, end in pairwise(ends)]


def _palette(frames: np.ndarray) -> Pillow.Image:
    """The colours of all frames: of small ones every pixel, of large ones evenly chosen pixels."""
    from PIL import Image

    step = max(1, max(frames.shape[1:3]) // TILE)
    chosen = frames[:, ::step, ::step]
    return Image.fromarray(chosen.reshape(-1, chosen.shape[2], 3)).quantize(COLOURS, dither=Image.Dither.NONE)


def _saved(drawn: list[Pillow.Image], form: str, **how: Any) -> bytes:
    out = io.BytesIO()
    drawn[0].save(out, form, save_all=True, append_images=drawn[1:], **how)
    return out.getvalue()


def pngs(frames: np.ndarray, tags: Mapping[str, str]) -> Iterator[bytes]:
    """Every frame as a PNG of its own."""
    from PIL import Image

    from genarium.artefacts.png import encode

    for frame in frames:
        yield encode(Image.fromarray(frame), tags)

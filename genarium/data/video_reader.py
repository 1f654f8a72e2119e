"""Decodes a video file for `videos.py`, as a process of its own: whatever is in the file harms this process alone.

    python -P video_reader.py FILE MOST LARGEST

writes one line of JSON to standard output, then the frames it names as raw RGB. MOST frames are evenly chosen, with a
longer side of LARGEST pixels at most; 0 stands for all of either. It imports nothing of Genarium, so that it starts
at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

CPU_SECONDS, MEMORY = 60, 4 * 2**30
MOST_PIXELS = 36_000_000
"""Of a frame: 8K has 33 million."""
MOST_BYTES = 2**30
"""Of all frames that are given back."""
IN_ORDER = 2_000
"""A file of at most so many frames is decoded from the beginning; in a longer one, places are jumped to."""
MOST_FORWARD = 600
"""Frames that are decoded at most from the place jumped to."""
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,asf,flv"
"""Containers: none that leads to other files or addresses, as playlists do."""
CODECS = (
    "h264,hevc,vp8,vp9,av1,libdav1d,mpeg4,mpeg2video,mpeg1video,msmpeg4v3,msmpeg4v2,h263,flv,mjpeg,theora,wmv1,wmv2,wmv3,"
    "vc1,prores,dnxhd,ffv1,rawvideo,png"
)


class Refused(Exception):
    """Why it isn't read, as the rest of a sentence that begins with the file's name."""


def main() -> None:
    file, most, largest = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    _limit()
    try:
        about, frames = read(file, most, largest)
    except Refused as error:
        about, frames = {"error": str(error)}, []
    out = sys.stdout.buffer
    out.write(json.dumps(about).encode() + b"\n")
    for frame in frames:
        out.write(frame.tobytes())


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows: the time that is waited for it is limited all the same
        return
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def read(file: Path, most: int, largest: int) -> tuple[dict[str, Any], list[Any]]:
    """What is told of the file, and the frames, (height, width, 3) uint8 each. Raises Refused."""
    import av

    options = {"format_whitelist": FORMATS, "codec_whitelist": CODECS, "protocol_whitelist": "file"}
    with file.open("rb") as opened:
        try:
            with av.open(opened, options=options, container_options=options) as container:
                stream = next(
                    (s for s in container.streams.video if not s.disposition & s.disposition.attached_pic), None
                )
                if stream is None:
                    raise Refused("has no moving pictures in it; name a video")
                return _read(container, stream, most, largest)
        except (av.error.FFmpegError, OSError, ValueError, EOFError, IndexError, ZeroDivisionError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise Refused(f"is damaged or no video that opens here ({why.lower()}); save it again as MP4") from None
        except MemoryError:
            raise Refused("asks for more memory than a video is given; make it smaller first") from None


def _read(container: Any, stream: Any, most: int, largest: int) -> tuple[dict[str, Any], list[Any]]:
    width, height = stream.codec_context.width, stream.codec_context.height
    if not 0 < width * height <= MOST_PIXELS:
        raise Refused(f"is {width}x{height} pixels; the most that is read is {MOST_PIXELS:,}, so make it smaller first")
    stream.codec_context.thread_count = 1
    size = _size(stream, width, height, largest)
    room = MOST_BYTES // (3 * size[0] * size[1])
    count, seconds = _length(container, stream)
    rate = float(stream.average_rate or stream.guessed_rate or 0) or (count / seconds if seconds else 0.0)
    if not most and count > room:
        raise Refused(
            f"has {count:,} frames of {size[0]}x{size[1]}; at most {room:,} are read, so make it shorter first"
        )
    wanted = min(most or count, room)
    chosen = (
        _in_order(container, stream, count, wanted)
        if count <= IN_ORDER
        else _jumping(container, stream, seconds, wanted)
    )
    start = float((stream.start_time or 0) * stream.time_base)
    found = [(max(0.0, round(float(frame.time or 0) - start, 6)), _pixels(frame, size)) for frame in chosen]
    if not found:
        raise Refused("has no frame that can be decoded; save or download it again")
    frames = [pixels for _, pixels in found]
    if any(frame.shape != frames[0].shape for frame in frames):
        raise Refused("changes its size while it plays; save it again in one size")
    about = {
        "width": frames[0].shape[1],
        "height": frames[0].shape[0],
        "times": [time for time, _ in found],
        "fps": rate,
        "seconds": seconds,
    }
    return about, frames


def _size(stream: Any, width: int, height: int, largest: int) -> tuple[int, int]:
    """As it is shown: pixels that are no squares made square, the longer side at most `largest`."""
    aspect = float(stream.sample_aspect_ratio or 1)
    shown = (width * aspect, float(height)) if 0.1 < aspect < 10 else (float(width), float(height))
    scale = min(1.0, largest / max(shown)) if largest else 1.0
    return max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale))


def _length(container: Any, stream: Any) -> tuple[int, float]:
    """Frames and seconds, from the packets themselves: what a file says of itself may be wrong, or missing."""
    count, first, end = 0, None, 0
    for packet in container.demux(stream):
        if packet.size:
            count += 1
        if packet.pts is not None:
            first = packet.pts if first is None else min(first, packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
    container.seek(0)
    base = float(stream.time_base or 0)
    return count, round((end - (first or 0)) * base, 6)


def _in_order(container: Any, stream: Any, count: int, wanted: int) -> Any:
    """The frames in the middle of so many equal parts."""
    places = {int((2 * part + 1) * count / (2 * wanted)) for part in range(wanted)} if wanted else set()
    for place, frame in enumerate(container.decode(stream)):
        if place in places:
            yield frame


def _jumping(container: Any, stream: Any, seconds: float, wanted: int) -> Any:
    """The same by their times: from the keyframe before each, so many frames at most are decoded."""
    start = stream.start_time or 0
    for part in range(wanted):
        target = start + round((2 * part + 1) * seconds / (2 * wanted) / stream.time_base)
        container.seek(target, stream=stream)
        last = None
        for number, frame in enumerate(container.decode(stream)):
            last = frame
            if number >= MOST_FORWARD or (frame.pts is not None and frame.pts >= target):
                break
        if last is not None:
            yield last


def _pixels(frame: Any, size: tuple[int, int]) -> Any:
    """RGB at this size, upright as its camera was held."""
    import numpy as np

    shown = frame.reformat(width=size[0], height=size[1], format="rgb24").to_ndarray()
    turns = round((frame.rotation or 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(shown, turns))


if __name__ == "__main__":
    main()

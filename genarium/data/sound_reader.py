"""Decodes a sound for `sounds.py`, as a process of its own: whatever is in the file harms this process alone.

    python -P sound_reader.py FILE RATE

writes one line of JSON to standard output, then mono float32 samples at RATE as they are decoded; a second line of JSON
goes to standard error where the file turns out to be damaged on the way. It imports nothing of Genarium, so that it
starts at once, and holds a few frames at a time: a file of hours takes no more memory than one of seconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CPU_SECONDS, MEMORY = 900, 2 * 2**30
FORMATS = (
    "wav,w64,aiff,au,caf,mp3,flac,ogg,aac,amr,ac3,ape,wv,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,asf,flv"
)
"""Containers: none that leads to other files or addresses, as playlists do."""
CODECS = (
    "mp3,mp3float,mp2,mp2float,mp1,mp1float,flac,vorbis,opus,libopus,aac,aac_fixed,aac_latm,alac,ac3,ac3_fixed,eac3,"
    "wmav1,wmav2,wmapro,wmavoice,amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,ape,wavpack,gsm,gsm_ms,adpcm_ms,"
    "adpcm_ima_wav,pcm_s8,pcm_u8,pcm_s16le,pcm_s16be,pcm_u16le,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,"
    "pcm_f32be,pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw,pcm_bluray,pcm_dvd"
)
MOST_CHANNELS = 64
MOST_RATE = 768_000
MOST_ERRORS = 100
"""Packets that can't be decoded, in a row, before the file is given up."""


class Refused(Exception):
    """Why it isn't read, as the rest of a sentence that begins with the file's name."""


def main() -> None:
    file, rate = Path(sys.argv[1]), int(sys.argv[2])
    _limit()
    out, begun = sys.stdout.buffer, False
    try:
        for part in read(file, rate):
            if not begun:
                out.write(json.dumps(part).encode() + b"\n")
                begun = True
            else:
                out.write(part.tobytes())
    except BrokenPipeError:
        return
    except Refused as error:
        if begun:
            print(json.dumps({"error": str(error)}), file=sys.stderr)
        else:
            out.write(json.dumps({"error": str(error)}).encode() + b"\n")


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows: what is waited for is limited all the same
        return
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def read(file: Path, rate: int) -> Iterator[Any]:
    """What is told of the file, then its samples. Raises Refused, amid the samples too."""
    import av

    options = {"format_whitelist": FORMATS, "codec_whitelist": CODECS, "protocol_whitelist": "file"}
    with file.open("rb") as opened:
        try:
            with av.open(opened, options=options, container_options=options) as container:
                of_file: Any = container
                stream: Any = next(iter(container.streams.audio), None)
                if stream is None:
                    what = "a video without sound" if container.streams.video else "no sound"
                    raise Refused(f"is {what}; name a file with something to hear")
                context = stream.codec_context
                if not 0 < context.channels <= MOST_CHANNELS or not 0 < context.sample_rate <= MOST_RATE:
                    raise Refused(
                        f"says that it has {context.channels} channels at {context.sample_rate} Hz, which is no sound "
                        "that is read here; save it again"
                    )
                context.thread_count = 1
                seconds = float(of_file.duration or 0) / av.time_base
                yield {"rate": context.sample_rate, "channels": context.channels, "seconds": max(0.0, seconds)}
                yield from _samples(container, stream, rate)
        except (av.error.FFmpegError, OSError, ValueError, EOFError, IndexError, ZeroDivisionError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            why = getattr(error, "strerror", None) or type(error).__name__
            raise Refused(f"is damaged or no sound that opens here ({why.lower()}); save it again as WAV") from None
        except MemoryError:
            raise Refused("asks for more memory than a sound is given; save it again") from None


def _samples(container: Any, stream: Any, rate: int) -> Iterator[Any]:
    """One channel, the mean of all, at `rate`. What can't be decoded amid a file is told at its end."""
    import av
    import numpy as np

    resampler, source, count, failed, row = None, 0, 0, 0, 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
            row = 0
        except av.error.FFmpegError:
            failed, row = failed + 1, row + 1
            if row >= MOST_ERRORS:
                break
            continue
        for frame in frames:
            mono = _mono(frame)
            if not np.isfinite(mono).all():
                raise Refused("has samples that are no numbers (NaN or infinite); save it again")
            if resampler is None or frame.sample_rate != source:
                source = frame.sample_rate
                resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
            one = av.AudioFrame.from_ndarray(mono[None], format="flt", layout="mono")
            one.sample_rate = source
            for made in resampler.resample(one):
                count += made.samples
                yield made.to_ndarray()[0]
    for made in resampler.resample(None) if resampler is not None else ():
        count += made.samples
        yield made.to_ndarray()[0]
    if not count:
        raise Refused("has no sound in it (0 samples); name another" if not failed else "is damaged; save it again")
    if failed:
        raise Refused(f"is damaged: {failed} of its packets can't be decoded, which are left out")


def _mono(frame: Any) -> Any:
    """The mean of a frame's channels, float32: whole numbers become parts of their largest."""
    import numpy as np

    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype.kind in "iu":
        if values.dtype == np.uint8:
            values = values.astype(np.int16) - 128
            return np.ascontiguousarray(values.mean(axis=0, dtype=np.float32) / 128)
        largest = float(np.iinfo(values.dtype).max) + 1
        return np.ascontiguousarray((values.mean(axis=0, dtype=np.float64) / largest).astype(np.float32))
    return np.ascontiguousarray(values.mean(axis=0, dtype=np.float64).astype(np.float32))


if __name__ == "__main__":
    main()

"""Samples to the bytes of a sound file: WAV, FLAC, MP3 and Ogg Opus. The same samples and tags give the same bytes.

WAV is written here, so that speaking needs no further package; the others by FFmpeg, on one thread, without the time.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genarium.artefacts.png import RECIPE_CHUNK
from genarium.extras import require

if TYPE_CHECKING:
    import numpy as np

TITLE = "title"
INFO = {TITLE: b"INAM", RECIPE_CHUNK: b"ICMT"}
"""Where a WAV's LIST INFO has each tag."""
PROGRAM = "Genarium"
LARGEST_WAV = 2**32 - 1
UNKNOWN = 0xFFFFFFFF
"""What a WAV that is streamed says of its length."""
FRAME = 1152
"""Samples that are handed to an encoder at once."""


def pcm16(samples: np.ndarray) -> bytes:
    """Samples in [-1, 1] as signed 16-bit little-endian; louder ones are cut off."""
    import numpy as np

    return (np.clip(samples, -1.0, 1.0) * 32767).round().astype("<i2").tobytes()


def wav(samples: np.ndarray, rate: int, tags: Mapping[str, str]) -> bytes:
    """One channel of 16 bits; the tags are a LIST INFO chunk before the samples."""
    data = pcm16(samples)
    told = b"".join(_chunk(INFO[name], text.encode() + b"\0") for name, text in tags.items() if name in INFO)
    info = _chunk(b"LIST", b"INFO" + told + _chunk(b"ISFT", PROGRAM.encode() + b"\0"))
    body = b"WAVE" + _chunk(b"fmt ", _format(rate)) + info + _chunk(b"data", data)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def wav_head(rate: int) -> bytes:
    """How a WAV begins whose length isn't known yet: players read it to the end."""
    return (
        b"RIFF" + struct.pack("<I", UNKNOWN) + b"WAVE" + _chunk(b"fmt ", _format(rate)) + b"data"
        + struct.pack("<I", UNKNOWN)
    )  # fmt: skip


def _format(rate: int) -> bytes:
    return struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wav_tags(head: bytes) -> dict[str, str]:
    """The tags in the beginning of a WAV; none where it is no such file, or damaged."""
    names = {mark: name for name, mark in INFO.items()}
    found, place = dict[str, str](), 12
    while head[:4] == b"RIFF" and place + 8 <= len(head) and head[place : place + 4] != b"data":
        size = int.from_bytes(head[place + 4 : place + 8], "little")
        if head[place : place + 4] == b"LIST" and head[place + 8 : place + 12] == b"INFO":
            place += 12
            continue  # its chunks follow one another as those outside it do
        if (name := names.get(head[place : place + 4])) is not None:
            found[name] = head[place + 8 : place + 8 + size].rstrip(b"\0").decode(errors="replace")
        place += 8 + size + size % 2
    return found


CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    ".flac": ("flac", "flac", {"compression_level": "8"}),
    ".mp3": ("mp3", "libmp3lame", {"b": "96k"}),
    ".ogg": ("ogg", "libopus", {"b": "48k"}),
    ".opus": ("ogg", "libopus", {"b": "48k"}),
}
"""Container, codec, and how it is set: at these rates an ear hears no loss of speech."""
FORMATS = (".wav", *CODECS)
AAC = {".aac": ("adts", "aac", {"b": "96k"})}
"""What is only streamed: it has no place for tags."""


class _Out(io.RawIOBase):
    """What a container writes into, and what came since it was last taken. It can't be gone back in."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self.parts.append(bytes(part))
        return len(part)

    def taken(self) -> bytes:
        parts, self.parts = self.parts, []
        return b"".join(parts)


class _Whole(io.BytesIO):
    """Bytes that stay when the library closes what it writes into."""

    def close(self) -> None:
        pass


def encoded(samples: np.ndarray, rate: int, suffix: str, tags: Mapping[str, str]) -> bytes:
    """The samples as a file with this suffix, one of FORMATS. Raises MissingPackage."""
    if suffix == ".wav":
        return wav(samples, rate, tags)
    encoder = Encoder(_Whole(), rate, suffix, tags)
    encoder.add(samples)
    encoder.end()
    return encoder.out.getvalue()


class Stream:
    """A file of `suffix` in pieces, as samples come; `.pcm` is samples alone. It has no tags. Raises MissingPackage."""

    def __init__(self, rate: int, suffix: str):
        self.rate, self.suffix = rate, suffix
        self.encoder = None if suffix in (".wav", ".pcm") else Encoder(_Out(), rate, suffix, {})

    def begin(self) -> bytes:
        return wav_head(self.rate) if self.suffix == ".wav" else b""

    def add(self, samples: np.ndarray) -> bytes:
        """What there is of the file after these."""
        if self.encoder is None:
            return pcm16(samples)
        self.encoder.add(samples)
        return self.encoder.out.taken()

    def end(self) -> bytes:
        if self.encoder is None:
            return b""
        self.encoder.end()
        return self.encoder.out.taken()


class Encoder:
    """Samples through one of FFmpeg's encoders into `out`."""

    def __init__(self, out: Any, rate: int, suffix: str, tags: Mapping[str, str]):
        container, codec, settings = (CODECS | AAC)[suffix]
        require(container.upper(), "av")
        import av

        self.out, self.rate, self.place = out, rate, 0
        self.file: Any = av.open(out, "w", format=container, options={"fflags": "+bitexact"})
        self.file.metadata.update({"encoder": PROGRAM, **tags})
        self.stream: Any = self.file.add_stream(codec, rate=rate, options=settings, layout="mono")
        self.stream.codec_context.thread_count = 1

    def add(self, samples: np.ndarray) -> None:
        shape = self.stream.codec_context.format.name
        for begin in range(0, len(samples), FRAME):
            frame = _frame(samples[begin : begin + FRAME], shape, self.rate, self.place)
            self.place += frame.samples
            self.file.mux(self.stream.encode(frame))

    def end(self) -> None:
        self.file.mux(self.stream.encode(None))
        self.file.close()


def _frame(samples: np.ndarray, shape: str, rate: int, place: int) -> Any:
    """Samples as the codec takes them, `shape` being FFmpeg's name for that."""
    import av
    import numpy as np

    if shape.startswith("s16"):
        values = np.frombuffer(pcm16(samples), "<i2")
    elif shape.startswith("s32"):
        values = np.frombuffer(pcm16(samples), "<i2").astype(np.int32) << 16
    else:
        values = np.clip(samples, -1.0, 1.0).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(values[None]), format=shape, layout="mono")
    frame.sample_rate, frame.pts = rate, place
    return frame

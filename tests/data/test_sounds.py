"""Users' sounds: what is read of them, and what becomes of those that are damaged, odd or hostile."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from genarium.artefacts import encoding, waves
from genarium.data import sounds
from genarium.errors import BadInput
from genarium.progress import Event, listening

av = pytest.importorskip("av")
RATE = 16_000


def raw(file: Path, samples: np.ndarray, rate: int, channels: int = 1) -> Path:
    """A WAV of these samples as they are."""
    kind, bits = (3, 32) if samples.dtype == np.float32 else (1, samples.dtype.itemsize * 8)
    data, size = samples.tobytes(), channels * bits // 8
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, kind, channels, rate, rate * size, size, bits)
    file.write_bytes(b"RIFF" + struct.pack("<I", 36 + len(data)) + head + b"data" + struct.pack("<I", len(data)) + data)
    return file


def tone(rate: int, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def pitch(samples: np.ndarray) -> int:
    return int(np.abs(np.fft.rfft(samples[:RATE])).argmax())


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
def test_any_rate_becomes_the_one_that_is_wanted(rate: int, tmp_path: Path) -> None:
    heard = sounds.read(raw(tmp_path / "a.wav", tone(rate), rate), RATE)
    assert heard.rate == RATE
    assert len(heard.samples) == pytest.approx(RATE, abs=40)
    assert pitch(heard.samples) == 440
    assert np.abs(heard.samples[1000:-1000]).max() == pytest.approx(0.5, abs=0.02)


def test_channels_become_their_mean(tmp_path: Path) -> None:
    eight = np.stack([tone(RATE)] * 2 + [np.zeros(RATE, np.float32)] * 6, axis=1)
    heard = sounds.read(raw(tmp_path / "a.wav", eight, RATE, 8), RATE)
    np.testing.assert_allclose(heard.samples, tone(RATE) / 4, atol=1e-4)


def test_whole_numbers_become_parts_of_their_largest(tmp_path: Path) -> None:
    for dtype, half in ((np.int16, 2**14), (np.int32, 2**30)):
        heard = sounds.read(raw(tmp_path / "a.wav", np.full(RATE, half, dtype), RATE), RATE)
        np.testing.assert_allclose(heard.samples, 0.5, atol=1e-4)
    heard = sounds.read(raw(tmp_path / "a.wav", np.full(RATE, 192, np.uint8), RATE), RATE)
    np.testing.assert_allclose(heard.samples, 0.5, atol=1e-4)


def test_pieces_together_are_the_whole(tmp_path: Path) -> None:
    file = raw(tmp_path / "a.wav", tone(RATE, 2.5), RATE)
    with sounds.pieces(file, RATE, seconds=1.0) as (about, parts):
        found = list(parts)
    assert (about.rate, about.channels, about.seconds) == (RATE, 1, 2.5)
    assert [len(part) for part in found] == [RATE, RATE, RATE // 2]
    np.testing.assert_array_equal(np.concatenate(found), sounds.read(file, RATE).samples)


def test_a_video_is_heard(tmp_path: Path) -> None:
    file = tmp_path / "a.mkv"
    with av.open(str(file), "w") as out:
        stream = out.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(48_000)[None], format="flt", layout="mono")
        frame.sample_rate = 48_000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert pitch(sounds.read(file, RATE).samples) == 440


def test_what_has_no_sound_is_refused_in_a_sentence(tmp_path: Path) -> None:
    raw(tmp_path / "nan.wav", np.array([0.0, np.nan], np.float32), RATE)
    raw(tmp_path / "none.wav", np.zeros(0, np.float32), RATE)
    (tmp_path / "silent.mp4").write_bytes(encoding.mp4(np.zeros((4, 32, 32, 3), np.uint8), 8, {}))
    (tmp_path / "text.wav").write_text("no sound at all, but words" * 50)
    (tmp_path / "empty.mp3").write_bytes(b"")
    expected = {
        "nan.wav": "no numbers",
        "none.wav": "0 samples",
        "silent.mp4": "a video without sound",
        "text.wav": "no sound that opens here",
        "empty.mp3": "no sound that opens here",
        "gone.wav": "there is no file",
    }
    for name, sentence in expected.items():
        with pytest.raises(BadInput, match=sentence):
            sounds.read(tmp_path / name, RATE, name=name)


@pytest.mark.parametrize("name", ["list.m3u8", "list.wav", "list.txt"])
def test_a_playlist_is_never_followed(name: str, tmp_path: Path) -> None:
    secret = raw(tmp_path / "secret.wav", tone(RATE), RATE)
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    (tmp_path / name).write_text(f"ffconcat version 1.0\nfile {secret}\n" if name.endswith("txt") else hls)
    with pytest.raises(BadInput, match="no sound that opens here"):
        sounds.read(tmp_path / name, RATE)


def test_a_damaged_one_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = waves.encoded(tone(24_000, 2.0), 24_000, ".mp3", {})
    (tmp_path / "cut.mp3").write_bytes(whole[: len(whole) // 2])
    assert 0.7 * RATE < len(sounds.read(tmp_path / "cut.mp3", RATE).samples) < 1.2 * RATE
    broken = bytearray(whole)
    broken[12_000:14_000] = np.random.default_rng(0).integers(0, 255, 2000, np.uint8).tobytes()
    (tmp_path / "broken.mp3").write_bytes(broken)
    told: list[Event] = []
    with listening(told.append):
        heard = sounds.read(tmp_path / "broken.mp3", RATE)
    assert len(heard.samples) > RATE // 2
    assert any("broken.mp3 is damaged" in str(event.preview) for event in told if event.stage == "note")

"""Sounds as files: what is in them is read back by FFmpeg, and the recipe by us."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genarium.artefacts import Audio, waves
from genarium.artefacts.inside import recipe_in
from genarium.ledger import Ledger
from genarium.recipe import Model, Recipe

RECIPE = Recipe.of("speak", {"text": "你好 “hello”"}, Model("starter/speech", "ab" * 32), 7)
RATE = 24_000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(30_001) / RATE)).astype(np.float32)
WORDS = [
    {"word": "Hello,", "start": 0.1, "end": 0.5},
    {"word": "world.", "start": 0.6, "end": 1.0},
    {"word": "你", "start": 1.1, "end": 1.2},
    {"word": "好", "start": 1.2, "end": 1.25, "joined": True},
]


def a_sound() -> Audio:
    return Audio(samples=TONE, rate=RATE, text="Hello,\n world. 你好", voice="one", words=WORDS, recipe=RECIPE)


def test_a_wav_is_what_everybody_reads_and_holds_its_recipe(tmp_path: Path) -> None:
    content = a_sound().content()
    with wave.open(io.BytesIO(content)) as read:
        assert (read.getnchannels(), read.getsampwidth(), read.getframerate()) == (1, 2, RATE)
        samples = np.frombuffer(read.readframes(read.getnframes()), "<i2")
    np.testing.assert_allclose(samples / 32767, TONE, atol=1e-4)
    (tmp_path / "a.wav").write_bytes(content)
    assert recipe_in(tmp_path / "a.wav") == RECIPE
    assert a_sound().content() == content


def test_what_is_no_wav_of_ours_holds_none(tmp_path: Path) -> None:
    for name, content in {"cut": a_sound().content()[:60], "other": b"RIFF\0\0\0\0AVI LIST", "empty": b""}.items():
        (tmp_path / f"{name}.wav").write_bytes(content)
        assert recipe_in(tmp_path / f"{name}.wav") is None


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".ogg", ".opus"])
def test_other_files_sound_the_same_and_hold_the_recipe(suffix: str, tmp_path: Path) -> None:
    av: Any = pytest.importorskip("av")
    content = a_sound().as_file(suffix)
    assert a_sound().as_file(suffix) == content
    (tmp_path / f"a{suffix}").write_bytes(content)
    assert recipe_in(tmp_path / f"a{suffix}") == RECIPE
    with av.open(io.BytesIO(content)) as read:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        parts = [made.to_ndarray()[0] for frame in read.decode(audio=0) for made in resampler.resample(frame)]
    heard = np.concatenate(parts)
    assert len(heard) == pytest.approx(len(TONE), abs=200)
    loudest = np.abs(np.fft.rfft(heard[:24_000] * np.hanning(24_000))).argmax()
    assert loudest == 440
    assert np.abs(heard[2000:20_000]).max() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("suffix", [".wav", ".pcm", ".flac", ".mp3", ".ogg", ".aac"])
def test_a_stream_is_a_file_in_pieces(suffix: str) -> None:
    av: Any = pytest.importorskip("av")
    stream = waves.Stream(RATE, suffix)
    pieces = [stream.begin(), stream.add(TONE[:20_000]), stream.add(TONE[20_000:]), stream.end()]
    assert pieces[1], "something comes before the end"
    content = b"".join(pieces)
    if suffix == ".pcm":
        assert content == waves.pcm16(TONE)
        return
    with av.open(io.BytesIO(content)) as read:
        count = sum(frame.samples * RATE // frame.sample_rate for frame in read.decode(audio=0))
    assert count == pytest.approx(len(TONE), abs=2400)


def test_louder_than_loudest_is_cut_off_and_no_wrap() -> None:
    assert np.frombuffer(waves.pcm16(np.array([2.0, -3.0, 0.0], np.float32)), "<i2").tolist() == [32767, -32767, 0]


def test_its_words_are_subtitles() -> None:
    assert a_sound().as_file(".srt").decode() == (
        "1\n00:00:00,100 --> 00:00:01,000\nHello, world.\n\n2\n00:00:01,100 --> 00:00:01,250\n你好\n"
    )
    assert b"00:00:01.200 --> 00:00:01.250\n\xe5\xa5\xbd\n" in a_sound().beside()["words.vtt"]
    plain = Audio(samples=TONE, rate=RATE, text="a", recipe=RECIPE)
    assert plain.as_file(".vtt").decode() == "WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.250\na\n"
    assert plain.beside() == {}


def test_it_is_kept_with_its_words_and_plays_in_a_notebook() -> None:
    sound = a_sound()
    with Ledger() as ledger:
        ledger.keep(sound, RECIPE)
    assert sound.path is not None
    assert recipe_in(sound.path) == RECIPE
    assert (sound.path.parent / "words.vtt").is_file()
    assert sound.as_html().startswith('<audio src="data:audio/wav;base64,')
    assert sound.facts() == {"text": sound.text, "voice": "one", "seconds": 1.25, "sample_rate": RATE}

"""`transcribe` and `speak --check`, with ears of the test's own; the starter itself where it is here."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genarium.artefacts import Audio, waves
from genarium.checkpoints.store import catalogue, packages
from genarium.data.edits import edits
from genarium.engines import registry
from genarium.engines.audio.hearing import RATE, Heard, Hearing, Segment, checked, resampled, spelt
from genarium.engines.audio.protocol import SpeechRequest, Spoken, Word
from genarium.errors import BadInput
from genarium.progress import Event, listening
from genarium.run import call
from genarium.tasks import transcribe as module

pytest.importorskip("av")
STARTER = catalogue.starter("transcribe")
HERE = STARTER.here
NOISE = np.random.default_rng(0).normal(0, 0.1, 40 * RATE).astype(np.float32)


class Ears:
    """Hears each second as its number in the sound; what it is asked for is kept."""

    name = "ears"

    def __init__(self) -> None:
        self.asked: list[tuple[int, Hearing]] = []

    def check(self, asked: Hearing) -> None:
        if asked.language == "xx":
            raise BadInput("no language xx")

    def hear(self, samples: np.ndarray, asked: Hearing) -> Heard:
        self.asked.append((len(samples), asked))
        count = round(len(samples) / RATE)
        if not np.abs(samples).max():
            return Heard([], "")
        segments = [
            Segment(float(n), n + 1.0, f"part {n}", [Word("part", float(n), n + 0.5)]) for n in range(0, count, 10)
        ]
        return Heard(segments, "de")


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Ears:
    made = Ears()
    found = type("Found", (), {"reference": "starter/transcribe", "path": None, "digest": "0" * 64})()
    monkeypatch.setattr("genarium.run.find", lambda reference, default: found)
    monkeypatch.setattr(registry, "open_transcriber", lambda reference, default="transcribe": made)
    return made


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    file = tmp_path / "a.wav"
    file.write_bytes(waves.wav(NOISE, RATE, {}))
    return file


def test_a_transcript_is_text_table_and_subtitles(ears: Ears, sound: Path) -> None:
    [made] = call("transcribe", [str(sound)], words=True, language="DE-at")
    assert made.text == "part 0 part 10 part 20 part 30"
    assert ears.asked == [(len(NOISE), Hearing(language="de", words=True))]
    assert made.rows[1]["words"] == [{"word": "part", "start": 10.0, "end": 10.5}]
    assert made.as_file(".srt").decode().startswith("1\n00:00:00,000 --> 00:00:01,000\npart 0\n\n2\n")
    assert made.as_file(".txt").decode() == made.text + "\n"
    assert made.facts()["languages"] == ["de"]
    assert made.path.name == "records.jsonl"


def test_a_long_sound_is_heard_in_parts_that_are_cut_where_it_is_quiet(
    ears: Ears, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WINDOW", 15.0)
    monkeypatch.setattr(module, "SEARCHED", 5.0)
    quiet = NOISE.copy()
    quiet[12 * RATE : 13 * RATE] = 0
    (tmp_path / "a.wav").write_bytes(waves.wav(quiet, RATE, {}))
    [made] = call("transcribe", [str(tmp_path / "a.wav")])
    assert sum(length for length, _ in ears.asked) == len(quiet)
    assert 12 * RATE < ears.asked[0][0] < 13 * RATE
    assert [asked.language for _, asked in ears.asked] == ["", *["de"] * (len(ears.asked) - 1)]
    starts = [row["start"] for row in made.rows]
    assert starts == sorted(starts)
    assert starts[2] == pytest.approx(ears.asked[0][0] / RATE, abs=1e-3)


def test_a_stopped_run_continues(ears: Ears, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 15.0)
    monkeypatch.setattr(module, "SEARCHED", 1.0)
    names = []
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").write_bytes(waves.wav(NOISE, RATE, {}))
        names.append(str(tmp_path / f"{name}.wav"))
    whole = call("transcribe", names)[0].rows
    count = len(ears.asked)

    class Stop(Exception):
        pass

    def stops(event: Any) -> None:
        if event.stage == "row" and event.done == 6:
            raise Stop

    with pytest.raises(Stop):
        call("transcribe", names, listener=stops)
    ears.asked.clear()
    [made] = call("transcribe", names)
    assert made.rows == whole
    assert len(ears.asked) < count


def test_one_of_several_that_cannot_be_read_has_a_row_that_says_so(ears: Ears, sound: Path) -> None:
    (sound.parent / "b.mp3").write_text("no sound")
    (sound.parent / "c.wav").write_bytes(waves.wav(NOISE[:RATE] * 0, RATE, {}))
    (sound.parent / "notes.txt").write_text("left out")
    told: list[Event] = []
    with listening(told.append):
        result = call("transcribe", [str(sound.parent)])
    rows = result[0].rows
    assert [row["number"] for row in rows] == [1, 1, 1, 1, 2, 3]
    assert "no sound that opens here" in rows[4]["error"]
    assert (rows[5]["text"], rows[5]["start"]) == ("", None)
    assert any("notes.txt" in str(event.preview) for event in told if event.stage == "note")
    with pytest.raises(BadInput, match="one file"):
        result[0].as_file(".srt")
    assert {name for name, _ in result[0].in_folder("records-1")} == {"records-1.jsonl", "a.vtt", "b.vtt", "c.vtt"}
    with pytest.raises(BadInput, match="no sound that opens here"):
        call("transcribe", [str(sound.parent / "b.mp3")])
    with pytest.raises(BadInput, match="no language xx"):
        call("transcribe", [str(sound)], language="xx")


def test_chinese_parts_have_no_space_between_them() -> None:
    from genarium.artefacts.transcript import text_of

    assert text_of([{"text": "你好。"}, {"text": "世界"}, {"text": "and"}]) == "你好。世界 and"


def test_words_are_compared_as_they_are_said() -> None:
    assert spelt("Dr. Smith paid $3.50 at 3:05 p.m.") == spelt(
        "doctor smith paid three dollars and fifty cents at three oh five PM"
    )
    assert spelt("“Well-known”, isn’t it?") == ["well", "known", "isn't", "it"]
    assert spelt("我有3本书。") == list("我有三本书")
    assert edits("a b c d".split(), "a x c".split()) == 2


def test_resampling_keeps_the_pitch_and_leaves_out_what_is_too_high() -> None:
    places = np.arange(24_000) / 24_000
    low = np.sin(2 * np.pi * 440 * places).astype(np.float32)
    high = np.sin(2 * np.pi * 10_000 * places).astype(np.float32)
    made = resampled(low + high, 24_000)
    spectrum = np.abs(np.fft.rfft(made))
    assert len(made) == RATE
    assert spectrum.argmax() == 440
    assert spectrum[5000:].max() < spectrum[440] / 50
    places = np.arange(48_000) / 48_000
    high = np.sin(2 * np.pi * 440 * places) + np.sin(2 * np.pi * 20_000 * places)
    spectrum = np.abs(np.fft.rfft(resampled(high.astype(np.float32), 48_000, 24_000)))
    assert (len(spectrum), spectrum.argmax()) == (12_001, 440)
    assert spectrum[3000:].max() < spectrum[440] / 50  # 20 kHz would be heard as 4 kHz
    assert len(resampled(low[:0], 48_000)) == 0


class Mouth:
    """Says a sentence in as many samples as it has letters; `speed` makes them fewer."""

    name, rate, voices = "mouth", RATE, ("one",)

    def voice_of(self, request: SpeechRequest) -> str:
        return "one"

    def speak(self, request: SpeechRequest) -> Iterator[Spoken]:
        for sentence in request.text.split("|"):
            samples = np.full(len(sentence), 1 / request.speed, np.float32)
            yield Spoken(samples, sentence, [Word(sentence, 0.0, 1.0)])


class Deaf(Ears):
    """Understands what is said slowly, and of the rest nothing but short sentences."""

    def hear(self, samples: np.ndarray, asked: Hearing) -> Heard:
        words = {3: "one", 9: "two three"}[len(samples)]
        return Heard([Segment(0, 1, words if samples[0] > 1 or len(samples) < 5 else "two free", [])], "en")


def test_what_is_misheard_is_said_again_more_slowly() -> None:
    rows = list(checked(Mouth(), Deaf(), SpeechRequest("one|two three")))
    assert [row for _, row in rows] == [
        {"text": "one", "heard": "one", "errors": 0, "words": 1, "again": False, "first_errors": 0},
        {"text": "two three", "heard": "two three", "errors": 0, "words": 2, "again": True, "first_errors": 1},
    ]
    assert rows[1][0].samples[0] > 1


@pytest.mark.skipif(
    HERE is None and not all(source.installed for source in STARTER.sources),
    reason="starter/transcribe is not here: genarium models pull starter/transcribe",
)
def test_the_starter_hears_nothing_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faster_whisper")
    if HERE is not None:
        monkeypatch.setenv("GENARIUM_HOME", str(HERE.parent.parent))
    packages.put_together(STARTER)
    (tmp_path / "a.wav").write_bytes(waves.wav(np.zeros(2 * RATE, np.float32), RATE, {}))
    [made] = call("transcribe", [str(tmp_path / "a.wav")])
    assert made.text == ""
    assert STARTER.damaged() == []


def test_a_sound_of_ours_is_read_back(ears: Ears, tmp_path: Path) -> None:
    av: Any = pytest.importorskip("av")
    sound = Audio(samples=NOISE[:RATE], rate=RATE, text="a")
    for suffix in (".mp3", ".ogg", ".flac"):
        with av.open(io.BytesIO(sound.as_file(suffix))) as read:
            assert read.streams.audio
        (tmp_path / f"s{suffix}").write_bytes(sound.as_file(suffix))
    assert len(call("transcribe", [str(tmp_path)])[0].by_file()) == 3

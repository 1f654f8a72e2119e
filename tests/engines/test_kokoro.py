"""Kokoro's folders spoken: voices, times of words, what is refused; the starter itself where it is here."""

from __future__ import annotations

import io
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genarium
from genarium.artefacts.inside import recipe_in
from genarium.checkpoints.layouts import kokoro as layout
from genarium.checkpoints.store import catalogue, packages
from genarium.engines.audio.kokoro import Kokoro
from genarium.engines.audio.protocol import SpeechRequest
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import Event
from genarium.run import call, prepare, run
from tests.kokoro_folders import FRAME, folder

STARTER = catalogue.starter("speech")
HERE = STARTER.here
RATE = layout.RATE


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("kokoro"))


def speak(small: Path, text: str, **asked: Any) -> Any:
    return call("speak", text, model=str(small), **asked)[0]


def test_words_have_the_times_that_the_network_says(small: Path) -> None:
    sound = speak(small, "Hello, world!")
    engine = Kokoro(small, lexicon=small)
    ids, _ = engine._ids("həlˈO, wˈɜɹld!")
    frames = [number % 5 + 1 for number in ids]
    lead = max(0, frames[0] * FRAME - round(0.08 * RATE))
    assert [word["word"] for word in sound.words] == ["Hello,", "world!"]
    begin = (sum(frames[:1]) * FRAME - lead) / RATE
    end = (sum(frames[:6]) * FRAME - lead) / RATE
    assert sound.words[0]["start"] == pytest.approx(begin, abs=1e-3)
    assert sound.words[0]["end"] == pytest.approx(end, abs=1e-3)
    assert sound.words[1]["end"] <= sound.seconds


def test_numbers_are_one_word_as_they_are_written(small: Path) -> None:
    assert [word["word"] for word in speak(small, "the $1.05 world").words] == ["the", "$1.05", "world"]


def test_the_same_recipe_is_the_same_bytes_and_stands_in_the_file(small: Path) -> None:
    first = speak(small, "Hello, world!")
    recipe = prepare("speak", "Hello, world!", model=str(small), seed=1)
    assert run(recipe)[0].content() == run(recipe)[0].content()
    assert recipe_in(first.path) == first.recipe


def test_faster_is_shorter_and_a_break_is_silence(small: Path) -> None:
    usual = speak(small, "hello world hello world")
    assert speak(small, "hello world hello world", speed=2.0).seconds < usual.seconds
    broken = speak(small, '<speak>hello world<break time="2s"/> hello world</speak>')
    assert broken.seconds > usual.seconds + 1.9
    assert broken.text == "hello world hello world"
    assert broken.facts()["voice"] == "af_one"


def test_a_text_of_which_nothing_can_be_said_is_one_sentence(small: Path) -> None:
    with pytest.raises(BadInput, match="no word, no number"):
        speak(small, "①")


def test_it_is_told_as_it_is_made(small: Path) -> None:
    events: list[Event] = []
    made = call("speak", "hello world. " * 30, model=str(small), listener=events.append)[0]
    parts = [event.preview.samples for event in events if event.stage == "speaking"]
    assert len(parts) > 1
    np.testing.assert_array_equal(np.concatenate(parts), made.samples)


def test_a_voice_by_the_texts_language_or_by_name(small: Path) -> None:
    pytest.importorskip("jieba")
    assert speak(small, "hello").voice == "af_one"
    assert speak(small, "你好世界").voice == "zf_two"
    assert speak(small, "hello", voice="zf_two").voice == "zf_two"
    assert speak(small, "hello", language="zh").voice == "zf_two"
    said = speak(small, "hello 世界，world")
    assert [word["word"] for word in said.words] == ["hello", "世界，", "world"]


@pytest.mark.parametrize(
    ("text", "asked", "sentence"),
    [
        ("😀🎉", {}, "nothing in the text that can be said"),
        ("... !!", {}, "nothing in the text that can be said"),
        ("   ", {}, "text is empty"),
        ("Привет мир", {}, "no English and no Chinese"),
        ("hello", {"voice": "xx"}, "no voice 'xx'; it has af_one, zf_two"),
        ("hello", {"language": "fr"}, "en \\(English\\) and zh"),
        ("hello", {"pronounce": ["hello"]}, "written like GIF="),
        ("hello", {"pronounce": ["hello=ʘ"]}, "can't say"),
        ("hello", {"speed": 9}, "speed"),
        ("<speak><audio/></speak>", {}, "<audio> is not understood"),
    ],
)
def test_what_cannot_be_said_is_one_sentence(text: str, asked: dict[str, Any], sentence: str, small: Path) -> None:
    with pytest.raises(BadInput, match=sentence):
        speak(small, text, **asked)


def test_letters_of_other_scripts_are_told(small: Path) -> None:
    made = call("speak", "hello Привет world", model=str(small))
    assert [word["word"] for word in made[0].words] == ["hello", "world"]
    assert made.notes == ["letters that are neither English nor Chinese were left out: 6 Cyrillic"]


def test_a_pronunciation_is_taken(small: Path) -> None:
    pieces = Kokoro(small, lexicon=small)
    usual = list(pieces.speak(SpeechRequest("hello world")))
    other = list(pieces.speak(SpeechRequest("hello world", pronounce={"Hello": "həˈloʊloʊloʊ"})))
    assert sum(len(part.samples) for part in other) > sum(len(part.samples) for part in usual)


def test_published_voices_are_read(small: Path, tmp_path: Path) -> None:
    shutil.copyfile(small / "small.onnx", tmp_path / "model.onnx")
    values = np.arange(510 * 256, dtype=np.float32).reshape(510, 1, 256) / 1e6
    (tmp_path / "voices").mkdir()
    values.tofile(tmp_path / "voices" / "af_raw.bin")
    with (tmp_path / "voices-v1.0.bin").open("wb") as out:
        np.savez(out, am_packed=values)
    found = layout.read(tmp_path).voices
    assert sorted(found) == ["af_raw", "am_packed"]
    for read in found.values():
        np.testing.assert_array_equal(read(), values[:, 0])
    (tmp_path / "voices" / "af_raw.bin").write_bytes(b"123456789")
    with pytest.raises(BadCheckpoint, match="is no voice of Kokoro's"):
        layout.read(tmp_path).voices["af_raw"]()


def test_a_folder_that_is_none_is_refused(tmp_path: Path, small: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(BadCheckpoint, match="no model that speaks here"):
        speak(tmp_path, "hello")
    broken = tmp_path / "broken"
    shutil.copytree(small, broken)
    (broken / "small.onnx").write_bytes(b"no network")
    with pytest.raises(BadCheckpoint, match="onnxruntime refuses it"):
        speak(broken, "hello")


def test_the_network_decides_the_digest(small: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(small, other)
    first = prepare("speak", "hello", model=str(other)).model
    with (other / "small.onnx").open("ab") as out:
        out.write(b"\x3a\x00")
    second = prepare("speak", "hello", model=str(other)).model
    assert first is not None
    assert second is not None
    assert first.digest != second.digest


def test_a_network_without_times_still_tells_words(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "DURATIONS", "nowhere in it")
    engine = Kokoro(small, lexicon=small)
    [part] = engine.speak(SpeechRequest("hello world"))
    assert [word.text for word in part.words] == ["hello", "world"]
    assert 0 < part.words[0].start < part.words[0].end < part.words[1].end < len(part.samples) / RATE


@pytest.mark.skipif(
    HERE is None and not all(source.installed for source in STARTER.sources),
    reason="starter/speech is not here: genarium models pull starter/speech",
)
def test_the_starter_is_whole_and_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    if HERE is not None:
        monkeypatch.setenv("GENARIUM_HOME", str(HERE.parent.parent))
    packages.put_together(STARTER)
    assert STARTER.damaged() == []
    made = genarium.speak("Good morning.", voice="bm_george")[0]
    with wave.open(io.BytesIO(made.content())) as read:
        assert 0.6 < read.getnframes() / read.getframerate() < 3
    assert [word["word"] for word in made.words] == ["Good", "morning."]
    assert 0.02 < float(np.sqrt((made.samples**2).mean())) < 0.5

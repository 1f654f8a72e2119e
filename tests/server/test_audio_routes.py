"""OpenAI's `/v1/audio/*`, asked by the `openai` package."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genarium.artefacts import waves
from genarium.checkpoints.layouts import kokoro
from genarium.engines import registry
from genarium.engines.audio.hearing import Heard, Hearing, Segment
from genarium.engines.audio.protocol import SpeechRequest, Word
from genarium.errors import BadInput, RemoteError
from genarium.ledger import Ledger
from genarium.server.settings import ServerSettings
from tests.kokoro_folders import folder
from tests.server.conftest import Running, running

openai: Any = pytest.importorskip("openai")
pytest.importorskip("av")


class Ears:
    name = "ears"

    def check(self, asked: Hearing) -> None:
        pass

    def hear(self, samples: np.ndarray, asked: Hearing) -> Heard:
        text = "in English" if asked.translate else "auf Deutsch"
        words = [Word(word, float(n), n + 1.0) for n, word in enumerate(text.split())]
        return Heard([Segment(0.0, 1.0, text, words), Segment(1.0, 2.0, "Ende.", [])], asked.language or "de")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(registry, "open_transcriber", lambda reference, default="transcribe": Ears())
    made = folder(tmp_path / "kokoro", ("af_heart", "af_bella"))
    (tmp_path / "ears").mkdir()
    (tmp_path / "ears" / "config.json").write_text('{"model_type": "whisper"}')
    models = {"tts-1": str(made), "whisper-1": str(tmp_path / "ears")}
    with running(ServerSettings(port=0, models=models)) as found:
        yield found


def client(server: Running) -> Any:
    return openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)


def test_speech_is_the_file_that_was_asked_for(server: Running) -> None:
    said = {"model": "tts-1", "voice": "nova", "input": "hello world"}
    pcm = client(server).audio.speech.create(**said, response_format="pcm").content
    with Ledger() as ledger:
        [entry, *_] = ledger.history()
    assert entry.facts["voice"] == "af_bella"
    with wave.open(str(entry.path)) as kept:
        assert kept.getframerate() == kokoro.RATE
        np.testing.assert_allclose(
            np.frombuffer(kept.readframes(kept.getnframes()), "<i2"), np.frombuffer(pcm, "<i2"), atol=1
        )
    for form, begins in {
        "mp3": (b"ID3", b"\xff"),
        "opus": b"OggS",
        "flac": b"fLaC",
        "wav": b"RIFF",
        "aac": b"\xff",
    }.items():
        assert client(server).audio.speech.create(**said, response_format=form).content.startswith(begins)


def test_speech_comes_as_events_too(server: Running) -> None:
    asked = {
        "model": "tts-1",
        "voice": "alloy",
        "input": "hello world. " * 20,
        "response_format": "pcm",
        "stream_format": "sse",
    }
    told = server.http.post("/v1/audio/speech", json=asked).text
    events = [json.loads(line.removeprefix("data: ")) for line in told.splitlines() if line.startswith("data: ")]
    assert events[-1]["type"] == "speech.audio.done"
    assert len([event for event in events if event["type"] == "speech.audio.delta"]) > 1


def test_what_cannot_be_said_is_refused_before_the_stream(server: Running) -> None:
    for given, sentence in {
        "voice": ({"voice": "nobody"}, "no voice 'nobody'"),
        "input": ({"input": "😀"}, "nothing in the text that can be said"),
        "instructions": ({"instructions": "be sad"}, "instructions can't be followed"),
    }.values():
        asked = {"model": "tts-1", "voice": "alloy", "input": "hello"} | given
        with pytest.raises(openai.BadRequestError, match=sentence):
            client(server).audio.speech.create(**asked)


def test_transcriptions_and_translations(server: Running) -> None:
    sound = ("a.wav", io.BytesIO(waves.wav(np.ones(16_000, np.float32) / 9, 16_000, {})))
    audio = client(server).audio

    def asked(**more: Any) -> Any:
        sound[1].seek(0)
        return {"file": sound, "model": "whisper-1"} | more

    assert audio.transcriptions.create(**asked()).text == "auf Deutsch Ende."
    assert audio.translations.create(**asked()).text == "in English Ende."
    assert audio.transcriptions.create(**asked(response_format="text")) == "auf Deutsch Ende.\n"
    assert audio.transcriptions.create(**asked(response_format="srt")).startswith("1\n00:00:00,000 --> ")
    assert audio.transcriptions.create(**asked(response_format="vtt")).startswith("WEBVTT\n")
    told = audio.transcriptions.create(**asked(response_format="verbose_json", timestamp_granularities=["word"]))
    assert (told.language, told.duration, [word.word for word in told.words]) == ("de", 2.0, ["auf", "Deutsch"])
    events = list(audio.transcriptions.create(**asked(stream=True)))
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert events[-1].text == "".join(event.delta for event in events[:-1]) == "auf Deutsch Ende."
    with pytest.raises(openai.BadRequestError, match="temperature"):
        audio.transcriptions.create(**asked(temperature=0.5))


def test_another_machine_speaks_and_hears_through_it(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    from genarium.engines.audio.openai import OpenAISpeech, OpenAITranscriber

    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.address}/v1")
    parts = list(OpenAISpeech("tts-1").speak(SpeechRequest("hello world. hello", voice="af_heart")))
    assert [part.text for part in parts] == ["hello world. hello"]
    assert len(parts[0].samples) > kokoro.RATE // 4
    ears = OpenAITranscriber("whisper-1")
    heard = ears.hear(np.ones(16_000, np.float32) / 9, Hearing(words=True))
    assert heard.language == "de"
    assert [segment.text for segment in heard.segments] == ["auf Deutsch", "Ende."]
    assert [word.text for word in heard.segments[0].words] == ["auf"]
    assert ears.hear(np.ones(16_000, np.float32) / 9, Hearing(translate=True)).segments[0].text == "in English"
    with pytest.raises(RemoteError, match="no voice 'nobody'"):
        list(OpenAISpeech("tts-1").speak(SpeechRequest("hello", voice="nobody")))
    with pytest.raises(BadInput, match="takes no pronunciations"):
        list(OpenAISpeech("tts-1").speak(SpeechRequest("hello", pronounce={"hello": "a"})))

"""Subtitles of several files in one folder: each is under its file's name, and none in the place of another."""

from __future__ import annotations

from typing import Any

from genarium.artefacts import Captions, Transcript

NAMES = ["a/talk.mp4", "b/talk.mp4", r"c\talk.mp4", "d/talk.mp4", "talk.webm", "plain", "e/plain", "f/"]
MOMENT: dict[str, Any] = {"start": 0.0, "end": 1.0}
OWN = [
    "talk.vtt",
    "talk.mp4.vtt",
    "talk.mp4-2.vtt",
    "talk.mp4-3.vtt",
    "talk.webm.vtt",
    "plain.vtt",
    "plain-2.vtt",
]


def test_files_named_alike_are_all_there() -> None:
    heard = [
        {"number": number, "file": name, "text": name, "language": "en"} | MOMENT for number, name in enumerate(NAMES)
    ]
    seen = [{"rank": 1, "photo": name, "moments": [MOMENT | {"caption": name}]} for name in NAMES]
    transcribed = list(Transcript(rows=heard).in_folder("all"))
    captioned = list(Captions(rows=seen).in_folder("all"))
    assert [name for name, _ in transcribed] == ["all.jsonl", *OWN, "sound.vtt"]
    assert [name for name, _ in captioned] == [*OWN, "video.vtt"]
    for files in (transcribed[1:], captioned):
        for name, (_, content) in zip(NAMES, files, strict=True):
            assert content.decode() == f"WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.000\n{name}\n"

"""Users' videos: what is read of them, and what becomes of those that are damaged or hostile."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genarium.artefacts import encoding
from genarium.artefacts.captions import Captions
from genarium.data import videos
from genarium.data.images import read_image
from genarium.data.videos import Film, is_video, read_video, sampled
from genarium.engines.vision.caption import Caption, CaptionRequest
from genarium.engines.vision.moments import Moment, describe, in_words
from genarium.errors import BadInput
from genarium.run import call
from tests.moving import moving

av: Any = pytest.importorskip("av")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    file = tmp_path / "clip.mp4"
    file.write_bytes(encoding.mp4(moving(24, 64, 48), 8, {}))
    return file


def test_sampled_frames_are_those_in_the_middle_of_equal_parts(clip: Path, tmp_path: Path) -> None:
    film = sampled(clip, 4)
    assert film.times == [0.375, 1.125, 1.875, 2.625]
    assert (film.fps, film.seconds, film.frames.shape) == (8.0, 3.0, (4, 48, 64, 3))
    for seen, number in zip(film.frames, (3, 9, 15, 21), strict=True):
        assert np.abs(seen.astype(int) - moving(24, 64, 48)[number]).mean() < 4
    assert len(sampled(clip, 64).times) == 24
    (tmp_path / "clip.webm").write_bytes(encoding.webm(moving(24, 64, 48), 8, {}))
    assert sampled(tmp_path / "clip.webm", 4).times == film.times


def test_a_long_video_is_jumped_through_and_a_large_one_made_smaller(tmp_path: Path) -> None:
    file = tmp_path / "long.mkv"
    with av.open(str(file), "w") as out:
        stream = out.add_stream("mpeg4", rate=25, width=2048, height=16)
        for number in range(2100):
            frame = av.VideoFrame.from_ndarray(np.full((16, 2048, 3), number // 10, np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    film = sampled(file, 3)
    assert film.frames.shape == (3, 8, 1024, 3)
    assert film.times == pytest.approx([14, 42, 70], abs=0.05)
    assert film.frames.mean((1, 2, 3)) == pytest.approx([35, 105, 175], abs=3)


def test_a_phone_held_upright(tmp_path: Path) -> None:
    """The turn that its file names is made: what was recorded lying is seen standing."""
    content = encoding.mp4(moving(2, 64, 48), 8, {})
    plain, turned = b"\x00\x01\x00\x00" + bytes(12) + b"\x00\x01\x00\x00", bytes(4) + b"\x00\x01\x00\x00" + bytes(4)
    at = content.index(b"tkhd") + 4 + 40
    assert content[at : at + 20] == plain
    matrix = turned + b"\xff\xff\x00\x00" + bytes(4)  # a quarter turn clockwise
    file = tmp_path / "phone.mp4"
    file.write_bytes(content[:at] + matrix + content[at + 20 :])
    film = read_video(file)
    assert film.frames.shape == (2, 64, 48, 3)
    assert np.abs(film.frames[0].astype(int) - np.rot90(moving(2, 64, 48)[0], -1)).mean() < 5


@pytest.mark.parametrize("kind", ["cut", "noise", "empty", "playlist", "text", "sound"])
def test_what_is_no_video_is_one_sentence(kind: str, clip: Path, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    contents = {
        "cut": whole[: len(whole) // 2],
        "noise": np.random.default_rng(0).bytes(5000),
        "empty": b"",
        "playlist": f"#EXTM3U\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n".encode(),
        "text": b"ffconcat version 1.0\nfile clip.mp4\n",
        "sound": _silence(tmp_path / "silence.mka"),
    }
    file = tmp_path / "other.mp4"
    file.write_bytes(contents[kind])
    said = "has no moving pictures in it" if kind == "sound" else "is damaged or no video that opens here"
    with pytest.raises(BadInput, match=rf"my clip {said}") as raised:
        sampled(file, 4, name="my clip")
    assert "\n" not in str(raised.value)


def _silence(file: Path) -> bytes:
    with av.open(str(file), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.read_bytes()


def test_a_small_file_of_huge_frames_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    file = tmp_path / "bomb.avi"
    with av.open(str(file), "w") as out:
        stream = out.add_stream("mjpeg", rate=1, width=6400, height=6400, pix_fmt="yuvj420p")
        out.mux(stream.encode(av.VideoFrame(6400, 6400, "yuvj420p")))
        out.mux(stream.encode(None))
    with pytest.raises(BadInput, match="is 6400x6400 pixels; the most that is read is 36,000,000"):
        sampled(file, 4)


def test_damaged_bytes_end_in_frames_or_a_sentence(clip: Path, tmp_path: Path) -> None:
    whole, random = clip.read_bytes(), np.random.default_rng(7)
    for _ in range(4):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 30):
            damaged[place] = random.integers(0, 256)
        (tmp_path / "damaged.mp4").write_bytes(damaged)
        said = ""
        try:
            frames = sampled(tmp_path / "damaged.mp4", 4).frames
        except BadInput as error:
            frames, said = np.zeros(0), str(error)
        assert 0 < len(frames) <= 4 or said.startswith(str(tmp_path / "damaged.mp4"))


def test_one_that_takes_too_long_is_let_go(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "WAITED", 0.01)
    with pytest.raises(BadInput, match="takes longer to read than 0 seconds"):
        sampled(clip, 4)


def test_videos_are_told_from_pictures_by_name_or_first_bytes(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "nameless").write_bytes(clip.read_bytes())
    (tmp_path / "web").write_bytes(encoding.webm(moving(2, 16, 16), 8, {}))
    (tmp_path / "moving.gif").write_bytes(encoding.gif(moving(2, 16, 16), 8, {}))
    Image.new("RGB", (4, 4)).save(tmp_path / "still.png")
    names = ("clip.mp4", "nameless", "web", "moving.gif", "still.png", "gone")
    assert [is_video(tmp_path / name) for name in names] == [True, True, True, False, False, False]
    with pytest.raises(BadInput, match="nameless is a video, where a picture is taken"):
        read_image(tmp_path / "nameless")


class Colours:
    """Says which of two colours a picture is, worst first."""

    name = "colours"

    def describe(self, images: Any, request: CaptionRequest, *, first: int = 0) -> list[list[Caption]]:
        words = ["dark" if np.asarray(image).mean() < 128 else "bright" for image in images]
        return [[Caption(word, -0.5, True)] for word in words]


def test_what_stays_the_same_is_said_once() -> None:
    frames = np.repeat(np.array([0, 0, 255, 255, 255, 0], np.uint8), 12).reshape(6, 2, 2, 3)
    film = Film(frames, [0.25, 0.75, 1.25, 1.75, 2.25, 2.75], 2.0, 3.0)
    (found,) = describe(Colours(), film, CaptionRequest(), first=0)
    assert found == [Moment(0, 1, "dark", -0.5), Moment(1, 2.5, "bright", -0.5), Moment(2.5, 3, "dark", -0.5)]
    assert in_words(found) == "0.0-1.0 s: dark; 1.0-2.5 s: bright; 2.5-3.0 s: dark"
    (same,) = describe(Colours(), Film(frames[:2], [0.25, 0.75], 2.0, 1.0), CaptionRequest(), first=0)
    assert in_words(same) == "dark"


def test_caption_says_what_is_seen_and_when(tmp_path: Path) -> None:
    """A folder with a picture, a video and a damaged one: a row each; of the video with its moments."""
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(encoding.mp4(moving(8, 64, 64), 8, {}))
    (folder / "b.mp4").write_bytes(b"no video")
    Image.fromarray(moving(1, 64, 64)[0]).save(folder / "c.png")
    made = call("caption", [str(folder)], frames=2, max_new_tokens=12)[0]
    assert isinstance(made, Captions)
    video, damaged, picture = made.rows
    assert (video["seconds"], video["moments"][0]["start"], video["moments"][-1]["end"]) == (1.0, 0.0, 1.0)
    assert "is damaged or no video" in damaged["error"]
    assert "moments" not in picture
    assert "1 pictures and 2 videos, 1 of which can't be read" in made.summary
    with pytest.raises(BadInput, match=r"\.vtt holds what is seen in one video"):
        made.as_file(".vtt")
    assert [name for name, _ in made.in_folder("records-1")] == ["records-1.jsonl", "a.vtt"]
    alone = call("caption", [str(folder / "a.mp4")], frames=2, max_new_tokens=12)[0]
    text = alone.as_file(".vtt").decode()
    assert list(alone.in_folder("records-1")) == [("a.vtt", text.encode())]  # which index reads beside it
    assert text.startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:00:0")
    assert alone.as_file(".srt").decode().startswith("1\n00:00:00,000 --> 00:00:0")
    assert alone.rows[0]["moments"][0]["caption"] in text  # type: ignore[attr-defined]

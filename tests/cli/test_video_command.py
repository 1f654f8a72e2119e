"""`video` as a person meets it. The engine is a small one of these tests, which draws a square that moves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import genarium
from genarium.artefacts import Heat, Video
from genarium.artefacts.inside import recipe_in
from genarium.cli.main import genarium as command
from genarium.data.videos import read_video
from genarium.engines import registry
from genarium.engines.video.protocol import VideoLimits, VideoRequest, settle
from genarium.errors import BadCheckpoint, BadInput
from genarium.ledger import Ledger
from genarium.recipe import Recipe
from genarium.rows import rows
from genarium.run import call, prepare, reproduce
from tests.moving import Moving, moving, moving_folder

pytest.importorskip("av")
__all__ = ["moving_folder"]
PROMPT = "a red square"


def asked(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def test_a_video_is_kept_written_and_shown(moving_folder: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    done = asked("video", *PROMPT.split(), "--model", moving_folder, "--seed", "3", "-o", clip)
    assert done.exit_code == 0
    assert done.stdout == f"{clip}\n"
    with Ledger() as ledger:
        (entry,) = ledger.history()
        assert (entry.kind, entry.path.name, entry.path.read_bytes()) == ("video", "video.mp4", clip.read_bytes())
        assert (entry.facts["frames"], entry.facts["fps"], entry.facts["seconds"]) == (8, 8.0, 1.0)
        assert recipe_in(clip) == entry.recipe
        assert reproduce(entry.id, ledger=ledger).equal
    assert "frames=8, fps=8.0, seconds=1.0" in asked("show", "last").stdout
    assert asked("rate", "last", "up").exit_code == 0
    film = read_video(clip)
    assert (film.frames.shape, film.fps, film.seconds) == ((8, 64, 64, 3), 8.0, 1.0)
    assert np.abs(film.frames.astype(int) - moving(8, 64, 64, 3)).mean() < 4


def test_several_videos_have_a_file_each_and_a_folder_has_their_frames(moving_folder: Path, tmp_path: Path) -> None:
    here = ["--model", moving_folder, "--seed", "1", "-n", "2"]
    done = asked("video", PROMPT, *here, "-o", tmp_path / "clip.gif")
    assert done.stdout.split() == [str(tmp_path / "clip-1.gif"), str(tmp_path / "clip-2.gif")]
    done = asked("video", PROMPT, *here, "-o", f"{tmp_path}/all/")
    assert done.exit_code == 0
    found = sorted(file.relative_to(tmp_path / "all").as_posix() for file in (tmp_path / "all").rglob("*.*"))
    one = ["video-1-frames.png", "video-1-poster.png", "video-1.mp4", *(f"video-1/frame-{n}.png" for n in range(1, 9))]
    assert found == sorted([*one, *(name.replace("video-1", "video-2") for name in one)])
    frame = Image.open(tmp_path / "all" / "video-2" / "frame-4.png")
    assert np.array_equal(np.asarray(frame), moving(8, 64, 64, 2)[3])  # as it was drawn, to the bit
    alone = Recipe.from_json(frame.text["genarium"])  # type: ignore[attr-defined]
    assert (alone.seed, alone.arguments["n"]) == (2, 1)


def test_a_file_made_before_stands_for_its_prompt_and_settings(
    moving_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = tmp_path / "clip.webm"
    asked("video", PROMPT, "--model", moving_folder, "--seed", "5", "--frames", "4", "--fps", "12", "-o", clip)
    again = asked("video", "clip.webm", "--explain", "-o", "seen.npz", "--json")
    told = json.loads(again.stdout)
    video, heat = told["artefacts"]
    assert (told["recipe"]["seed"], told["recipe"]["arguments"]["prompt"], video["frames"]) == (5, PROMPT, 4)
    assert [picture["label"] for picture in heat["pictures"]] == ["0.00 s", "0.08 s", "0.17 s", "0.25 s"]
    with np.load(tmp_path / "seen.npz") as maps:
        assert maps["maps"].shape == (4, 3, 8, 8)  # frames, words
    with Ledger() as ledger:
        first = ledger.history()[-1]
    changed = genarium.video(str(clip), frames=6)
    assert (len(changed[0].frames), changed[0].seed) == (6, 5)
    assert genarium.video(str(clip))[0].content() == first.path.read_bytes()
    # Whoever may not read files here gives a prompt, whatever it looks like.
    assert prepare("video", "clip.webm", model=str(moving_folder)).arguments["prompt"] == "clip.webm"
    assert "there is no file 'gone.mp4' to make again" in str(asked("video", "gone.mp4").exception)
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    assert "plain.png holds no recipe of video" in str(asked("video", "plain.png").exception)


def test_what_each_frame_looked_at_is_a_figure_and_a_page(moving_folder: Path) -> None:
    made = call("video", PROMPT, model=str(moving_folder), seed=1, n=2, frames=24, explain=True)
    assert [type(one) for one in made] == [Video, Video, Heat, Heat]
    heat = made[2]
    assert isinstance(heat, Heat)
    assert len(heat.images) == 24
    peaks = [one.peaks[0] for one in heat.images[:8]]
    assert [peak and peak[0] // 8 for peak in peaks] == list(range(8))
    assert heat.as_page().count("0.12 s") == 1


def test_a_first_and_a_last_picture(moving_folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (60, 60), "green").save(tmp_path / "first.png")
    Image.new("RGB", (90, 30), "blue").save(tmp_path / "last.png")
    ends = {"init": tmp_path / "first.png", "last": tmp_path / "last.png"}
    made = call("video", PROMPT, model=str(moving_folder), seed=1, size="32x48", **ends)[0]
    assert isinstance(made, Video)
    assert made.frames.shape == (8, 48, 32, 3)
    assert made.frames[0, 20, 20].tolist() == [0, 128, 0]
    assert made.frames[-1, 20, 20].tolist() == [0, 0, 255]
    with pytest.raises(BadInput, match="a last picture needs a first one"):
        call("video", PROMPT, model=str(moving_folder), last=tmp_path / "last.png")
    (tmp_path / "clip.mov").write_bytes(made.content())
    with pytest.raises(BadInput, match=r"init is a picture, and clip.mov is a video"):
        call("video", PROMPT, model=str(moving_folder), init=tmp_path / "clip.mov")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"frames": 0}, "frames must be at least 1, got 0"),
        ({"frames": 10_000}, "frames must be at most 1024, got 10000"),
        ({"frames": 7}, "makes videos of 2 to 24 frames in steps of 2, got 7; try 6 or 8"),
        ({"frames": 100}, "got 100; try 24"),
        ({"size": "63x64"}, "width must be a multiple of 2, got 63; try 62 or 64"),
        ({"size": "big"}, "size is written like 512x512"),
        ({"fps": 0}, "fps must be at least 1, got 0"),
        ({"seconds": 9}, "makes at most 24 frames, which are 3 seconds at 8 a second, got 9"),
        ({"seconds": 1, "frames": 8}, "frames and seconds both say how long"),
        ({"sampler": "heun"}, "runs with the samplers ddim, euler; got heun"),
        ({"n": 0}, "n must be at least 1"),
        ({"prompt": " "}, "prompt is empty"),
    ],
)
def test_mistakes_are_one_sentence(moving_folder: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        call("video", **{"prompt": PROMPT, "model": str(moving_folder), "seed": 1} | given)


def test_what_fits_in_memory_is_named(moving_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genarium.engines.video.protocol.available_memory", lambda: 30 * 64 * 64 * 11)
    monkeypatch.setattr("genarium.engines.drawing.available_memory", lambda: 30 * 64 * 64 * 11)
    with pytest.raises(BadInput, match=r"at most 10 frames or 56x56 fit in it"):
        call("video", PROMPT, model=str(moving_folder), frames=14)


def test_a_folder_that_makes_pictures_is_named() -> None:
    with pytest.raises(BadCheckpoint, match="starter/image makes pictures, not videos"):
        call("video", PROMPT, model="starter/image")
    with pytest.raises(BadCheckpoint, match="starter/encoder is no folder that makes videos"):
        call("video", PROMPT, model="starter/encoder")


def test_seconds_become_the_nearest_frames(moving_folder: Path) -> None:
    made = call("video", PROMPT, model=str(moving_folder), seconds=1.25, fps=10)[0]
    assert isinstance(made, Video)
    assert (len(made.frames), made.fps) == (12, 10)


def test_models_that_make_few_counts_say_which() -> None:
    class Fixed(Moving):
        limits = VideoLimits(size=(32, 32), multiple=1, frames=16, first_frame=16, most_frames=16, text=False)  # type: ignore[assignment]

    with pytest.raises(BadInput, match="starts from a picture, which its prompt sets in motion"):
        settle(VideoRequest("a", (1,)), Fixed("m"))
    first = Image.new("RGB", (31, 45))
    with pytest.raises(BadInput, match="can't start from a picture; leave out init"):
        settle(VideoRequest("a", (1,), init=first), Fixed("m"))
    Fixed.limits = VideoLimits(size=(32, 32), multiple=1, frames=16, first_frame=16, most_frames=16, init=True)  # type: ignore[assignment]
    settled = settle(VideoRequest("a", (1,), init=first), Fixed("m"))
    assert settled.size == (26, 38)  # its shape, even sides
    with pytest.raises(BadInput, match="makes videos of 16 frames only, got 8"):
        settle(VideoRequest("a", (1,), frames=8), Fixed("m"))


def test_a_stopped_run_is_continued_with_its_seed(moving_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = registry.open_video(str(moving_folder))

    def stop(*_: Any) -> Any:
        rows().keep("step", b"3")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(engine), "generate", stop)
        with pytest.raises(KeyboardInterrupt):
            call("video", PROMPT, model=str(moving_folder), seed=77)
    done = asked("video", PROMPT, "--model", moving_folder, "--resume")
    assert done.exit_code == 0
    assert "continues with seed 77" in done.stderr
    with Ledger() as ledger:
        assert ledger.history()[0].recipe.seed == 77
    assert "no stopped run of this" in str(asked("video", PROMPT, "--model", moving_folder, "--resume").exception)
    assert "leave out --seed" in str(asked("video", PROMPT, "--resume", "--seed", "1").exception)


def test_a_place_that_takes_no_file_is_refused_before_anything_is_made(moving_folder: Path, tmp_path: Path) -> None:
    done = asked("video", PROMPT, "--model", moving_folder, "-o", tmp_path / "clip.txt")
    assert "video writes .apng, .gif" in str(done.exception)
    done = asked("video", PROMPT, "--model", moving_folder, "--no-keep")
    assert "nothing would be left of it" in str(done.exception)
    assert not (tmp_path / "clip.txt").exists()
    assert not (tmp_path / "home" / "ledger.sqlite").exists()

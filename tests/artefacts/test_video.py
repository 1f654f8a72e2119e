"""Videos as files: what is in them is read back by FFmpeg, by Pillow and by a browser."""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genarium import files
from genarium.artefacts import Video
from genarium.artefacts.inside import recipe_in
from genarium.errors import BadInput, StorageError
from genarium.ledger import Ledger
from genarium.ledger.folder import restore
from genarium.recipe import Model, Recipe
from tests.moving import moving

av = pytest.importorskip("av")
PROMPT = "一只鸟, a red bird “flying”"
RECIPE = Recipe.of("video", {"prompt": PROMPT, "n": 1}, Model("starter/video", "ab" * 32), 7)
CHROMIUM = shutil.which("chromium")


def a_video(count: int = 24, width: int = 64, height: int = 48, fps: float = 8.0) -> Video:
    return Video(
        prompt=PROMPT, frames=moving(count, width, height), fps=fps, seed=7, settings={"steps": 20}, recipe=RECIPE
    )


def atoms(content: bytes) -> list[str]:
    """The names of an MP4's outermost boxes, in order."""
    found, place = [], 0
    while place < len(content):
        found.append(content[place + 4 : place + 8].decode())
        place += int.from_bytes(content[place : place + 4], "big")
    return found


@pytest.mark.parametrize("fps", [8.0, 23.976, 7.5])
def test_an_mp4_is_what_browsers_play(fps: float) -> None:
    video = a_video(fps=fps)
    content = video.content()
    assert atoms(content)[:2] == ["ftyp", "moov"]  # a player needs only the beginning to start
    with av.open(io.BytesIO(content)) as read:
        (stream,) = read.streams
        context = stream.codec_context
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
        assert (context.width, context.height, stream.frames) == (64, 48, 24)
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-4)
        assert read.duration / 1e6 == pytest.approx(24 / fps, abs=1e-3)
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (1, 1, 1, 1)
        assert read.metadata["parameters"].startswith(f"{PROMPT}\nSteps: 20, Seed: 7, Size: 64x48, Model hash: ")
        assert not {"creation_time", "encoder"} & (read.metadata.keys() | stream.metadata.keys())
        frames = [frame.to_ndarray(format="rgb24") for frame in read.decode(stream)]
    assert len(frames) == 24
    error = np.abs(np.stack(frames).astype(int) - video.frames)
    assert error.mean() < 3  # colours as they were, but for the halved resolution of colour at edges
    assert np.median(error) <= 1


def test_the_same_recipe_gives_the_same_bytes() -> None:
    for suffix in Video.formats():
        assert a_video().as_file(suffix) == a_video().as_file(suffix)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="there is no ffprobe on this machine")
def test_ffprobe_reads_every_field(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(a_video().content())
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", str(tmp_path / "clip.mp4")]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    stream = told["streams"][0]
    wanted = {"codec_name": "h264", "pix_fmt": "yuv420p", "width": 64, "height": 48, "nb_frames": "24"}
    assert wanted.items() <= stream.items()
    assert stream["r_frame_rate"] == "8/1"
    assert float(told["format"]["duration"]) == 3
    assert Recipe.from_json(told["format"]["tags"]["genarium"]) == RECIPE


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".png", ".apng"])
def test_every_form_holds_the_recipe_and_all_frames(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"clip{suffix}"
    file.write_bytes(a_video(fps=15).as_file(suffix))
    assert recipe_in(file) == RECIPE
    with av.open(str(file)) as read:
        shown = [frame.to_ndarray(format="rgb24") for frame in read.decode(video=0)]
    assert len(shown) == 24
    assert all(not np.array_equal(one, next) for one, next in pairwise(shown))
    if suffix in (".gif", ".png", ".apng"):
        with Image.open(file) as opened:
            assert opened.info["loop"] == 0
            durations = []
            for number in range(opened.n_frames):  # type: ignore[attr-defined]
                opened.seek(number)
                durations.append(opened.info["duration"])
        assert sum(durations) == pytest.approx(24 / 15 * 1000, abs=5)  # 15 a second are no whole hundredths
        assert max(durations) - min(durations) <= 10
    if suffix in (".png", ".apng"):
        assert np.array_equal(np.stack(shown), a_video().frames)  # nothing is lost


def test_odd_sides_are_refused_where_colour_is_halved() -> None:
    odd = Video(prompt="a", frames=moving(4, 33, 20), fps=8, seed=1)
    with pytest.raises(BadInput, match="mp4 files are of even width and height, got 33x20; choose even ones"):
        odd.content()
    assert Image.open(io.BytesIO(odd.as_file(".gif"))).size == (33, 20)


def test_files_without_a_recipe_have_none(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "b.gif", comment=b'["genarium"]')
    (tmp_path / "c.mp4").write_bytes(b"no video")
    (tmp_path / "d.webm").write_bytes(a_video().as_file(".webm")[:40])
    assert [recipe_in(file) for file in sorted(tmp_path.glob("*.*"))] == [None] * 4


def test_the_ledger_keeps_a_poster_and_a_contact_sheet_and_puts_them_back() -> None:
    video = a_video()
    with Ledger() as ledger:
        ledger.keep(video, RECIPE)
        assert video.path is not None
        folder = video.path.parent
        assert {file.name for file in folder.iterdir()} == {"video.mp4", "poster.png", "frames.png", "recipe.json"}
        assert json.loads((folder / "recipe.json").read_text())["ai_generated"] is True
        assert np.array_equal(np.asarray(Image.open(folder / "poster.png")), video.frames[12])
        assert Image.open(folder / "frames.png").size[0] > 3 * 64
        (folder / "poster.png").unlink()
        video.path.unlink()
        restore(ledger.find(video.id), video)
        assert video.path.read_bytes() == video.content()
        assert (folder / "poster.png").is_file()


def test_a_full_disk_leaves_no_half_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "clip.mp4"

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    video = a_video()
    with pytest.raises(StorageError, match="no space left on device"):
        files.write_output(file, video.content())
    assert [one for one in tmp_path.iterdir() if one.name != "home"] == []
    with Ledger() as ledger, pytest.raises(StorageError, match="no space left on device"):
        ledger.keep(video, RECIPE)
    assert list((tmp_path / "home" / "artefacts").iterdir()) == []


def test_a_notebook_plays_it() -> None:
    shown = a_video()._repr_html_()
    assert "controls loop autoplay muted" in shown
    assert base64.b64decode(shown.split("base64,")[1].split('"')[0]) == a_video().content()


PLAYED = """async () => {
    const video = document.querySelector('video'), canvas = document.createElement('canvas');
    await new Promise(done => video.readyState >= 2 ? done() : video.addEventListener('loadeddata', done));
    video.pause();
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext('2d'), frames = [];
    for (const time of [0.05, 1.05, 2.05]) {
        video.currentTime = time;
        await new Promise(done => video.addEventListener('seeked', done, {once: true}));
        context.drawImage(video, 0, 0);
        frames.push([...context.getImageData(0, 16, canvas.width, 1).data]);
    }
    return {duration: video.duration, size: [video.videoWidth, video.videoHeight], frames};
}"""


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_browser_plays_it(suffix: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    video = a_video()
    page_text = video._repr_html_()
    if suffix == ".webm":
        written = base64.b64encode(video.as_file(suffix)).decode()
        page_text = f'<video src="data:video/webm;base64,{written}" muted autoplay></video>'
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content(page_text)
        told: dict[str, Any] = page.evaluate(PLAYED)
        browser.close()
    assert told["duration"] == pytest.approx(3, abs=0.01)
    assert told["size"] == [64, 48]
    for seen, number in zip(told["frames"], (0, 8, 16), strict=True):
        line = np.array(seen).reshape(-1, 4)[:, :3]
        assert np.abs(line - video.frames[number, 16].astype(int)).mean() < 6
    assert told["frames"][0] != told["frames"][1] != told["frames"][2]

"""`caption`: files, folders, URLs, standard input; rows that outlive a stopped run; recipes that know their photos."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import genarium
from genarium.data import web
from genarium.engines.vision.caption import NativeCaption
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.run import call, prepare, reproduce, run
from tests.caption_models import make_blip
from tests.conftest import Command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("blip")
    make_blip(folder)
    return str(folder)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        Image.effect_noise((30 + number, 40), 60 + number).save(folder / f"{number}.png")
    return folder


def test_a_folder_becomes_a_row_for_each_caption_and_a_damaged_photo_says_so(model: str, photos: Path) -> None:
    whole = (photos / "1.png").read_bytes()
    (photos / "1.png").write_bytes(whole[: len(whole) // 2])
    (photos / "3.jpg").write_text("no picture")
    (photos / "notes.txt").write_text("left alone")
    result = call("caption", [str(photos)], n=2, model=model, max_new_tokens=4, batch_size=2)
    rows = result[0].rows  # type: ignore[attr-defined]
    assert [(row["number"], row["rank"]) for row in rows] == [
        (1, 1), (1, 2), (2, 1), (3, 1), (3, 2), (4, 1), (5, 1), (5, 2), (6, 1), (6, 2)
    ]  # fmt: skip
    errors = [row["error"] for row in rows if "error" in row]
    assert ["damaged or cut short" in errors[0], "no picture that opens" in errors[1]] == [True, True]
    assert "2 of which can't be read" in result[0].summary  # type: ignore[attr-defined]
    assert set(errors) < set(str(result[0]).splitlines())
    table = list(csv.DictReader(io.StringIO(result[0].as_file(".csv").decode())))
    assert [row["caption"] for row in table] == [row["caption"] for row in rows]


@pytest.mark.parametrize("sample", [False, True])
def test_a_stopped_run_goes_on_and_ends_in_the_same_bytes(
    model: str, photos: Path, monkeypatch: pytest.MonkeyPatch, sample: bool
) -> None:
    settings: dict[str, Any] = {"n": 2, "sample": sample, "seed": 3, "model": model, "max_new_tokens": 4}
    recipe = prepare("caption", [str(photos)], batch_size=2, **settings)
    expected = run(recipe, keep=False)[0].content()
    asked: list[int] = []
    describe = NativeCaption.describe

    def stopping(self: NativeCaption, images: Any, request: Any, *, first: int = 0) -> Any:
        asked.append(first)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return describe(self, images, request, first=first)

    monkeypatch.setattr(NativeCaption, "describe", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(recipe)
    resumed = run(recipe)
    assert asked == [0, 2, 0, 2, 4]  # a whole batch again, of which the finished rows stay
    assert resumed[0].content() == expected


def test_a_recipe_finds_a_fetched_photo_again_when_its_address_is_gone(
    model: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (photos / "2.png").read_bytes()
    monkeypatch.setattr(web, "fetch", lambda url, *, private: content)
    url = "https://example.org/bird.png"
    with Ledger() as ledger:
        recipe = prepare("caption", [url], model=model, max_new_tokens=4)
        made = run(recipe, ledger=ledger)
        assert made[0].rows[0]["photo"] == url  # type: ignore[attr-defined]
        monkeypatch.setattr(web, "fetch", lambda url, *, private: pytest.fail("fetched again"))
        assert reproduce(made[0].id, ledger=ledger).equal


def test_a_photo_that_changed_is_refused(model: str, photos: Path) -> None:
    recipe = prepare("caption", [str(photos / "0.png")], model=model, max_new_tokens=4)
    (photos / "0.png").write_bytes((photos / "1.png").read_bytes())
    with pytest.raises(BadInput, match="changed since"):
        run(recipe)


def test_odd_shapes_and_moving_images_are_described(model: str, tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), "red").save(tmp_path / "a-dot.png")
    Image.new("RGB", (20_000, 10), "blue").save(tmp_path / "a-line.png")
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "b.gif", save_all=True, append_images=frames[1:])
    result = call("caption", [str(tmp_path)], model=model, max_new_tokens=4)
    assert all(row["caption"] for row in result[0].rows)  # type: ignore[attr-defined]
    assert "b.gif has 3 frames; the first is used" in result.notes


@pytest.mark.parametrize(
    ("name", "says"),
    [("nothing.jpg", "no photo or folder"), ("text.jpg", "no picture that opens here"), ("empty", "holds no picture")],
)
def test_what_is_no_photo_is_a_sentence(model: str, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=says):
        genarium.caption(str(tmp_path / name), model=model)


def test_the_command_reads_a_photo_from_a_pipe_and_writes_tables(
    genarium: Command, model: str, photos: Path, tmp_path: Path
) -> None:
    content = (photos / "2.png").read_bytes()
    piped = genarium("caption", "-", "--model", model, "--max-new-tokens", "4", stdin=content)
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout.strip() == str(call("caption", [str(photos / "2.png")], model=model, max_new_tokens=4)[0])
    Image.new("RGB", (8, 8)).save(tmp_path / "two.gif", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
    moving = genarium(
        "caption", "-", "--model", model, "--max-new-tokens", "4", stdin=(tmp_path / "two.gif").read_bytes()
    )
    assert "standard input has 2 frames; the first is used" in moving.stderr
    out = tmp_path / "captions.jsonl"
    done = genarium("caption", photos, "-n", "2", "--model", model, "--max-new-tokens", "4", "-o", out)
    assert done.returncode == 0, done.stderr
    assert len([json.loads(line) for line in out.read_text().splitlines()]) == 10
    refused = genarium("caption", "http://127.0.0.1:9/x.png", "--model", model)
    assert (refused.returncode, "--allow-private" in refused.stderr) == (2, True)
    nothing = genarium("caption", "-", "--model", model)
    assert (nothing.returncode, "standard input is empty" in nothing.stderr) == (2, True)

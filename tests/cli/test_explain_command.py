"""`explain` as a person meets it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genarium.cli.tasks import write
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.run import call, reproduce
from tests.caption_models import make_blip
from tests.match_models import blip, clip

CAPTION = "a red sailboat over the sea"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blip")
    blip(folder, layers=3)
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    return file


def test_words_need_no_quotes_and_the_ending_decides_what_is_written(
    genarium: Callable[..., Any], folder: Path, photo: Path, tmp_path: Path
) -> None:
    done = genarium("explain", photo, *CAPTION.split(), "--model", folder, "-o", tmp_path / "heat.png")
    assert done.returncode == 0, done.stderr
    heading, first, _, columns, *places = done.stdout.splitlines()
    assert heading.split() == ["match", "caption"]
    assert first.endswith(f"%  {CAPTION}")
    assert "pixels" in columns
    assert [line.split()[0] for line in places] == CAPTION.split()
    result = list(call("explain", photo, CAPTION, model=str(folder)))
    for name, beginning in (("heat.npz", b"PK"), ("heat.html", b"<!doctype html>"), ("heat.jpg", b"\xff\xd8")):
        write(result, str(tmp_path / name))
        assert (tmp_path / name).read_bytes().startswith(beginning)
    write(result, f"{tmp_path}/all/")
    assert (tmp_path / "all" / "heat-1.png").read_bytes() == (tmp_path / "heat.png").read_bytes()
    with np.load(tmp_path / "heat.npz") as stored:
        assert stored["maps"].shape == (6, 4, 4)


def test_help_says_what_its_arguments_are_and_which_may_be_left_out(genarium: Callable[..., Any]) -> None:
    shown = genarium("explain", "--help").stdout
    assert "PHOTO [CAPTION]" in shown.splitlines()[0]
    arguments = " ".join(shown.partition("Arguments:")[2].partition("Options:")[0].split())
    assert arguments.startswith("PHOTO the picture: a file or an http or https URL")
    assert "[CAPTION] what is said of it" in arguments


def test_it_is_made_again_to_the_byte_and_json_says_where_words_are(folder: Path, photo: Path) -> None:
    result = call("explain", photo, CAPTION, model=str(folder), against=["a dog", "two birds"])
    facts = json.loads(json.dumps(result[0].facts()))
    assert [score["text"] for score in facts["scores"]] == [CAPTION, "a dog", "two birds"]
    assert facts["match"] == facts["scores"][0]["probability"]
    assert [word["word"] for word in facts["pictures"][0]["words"]] == CAPTION.split()
    overlay = call("explain", photo, CAPTION, model=str(folder), overlay=True)
    with Image.open(overlay[0].path) as image:
        assert image.size == (270, 180)
    with Ledger() as ledger:
        assert all(reproduce(made[0].id, ledger=ledger).equal for made in (result, overlay))


def test_of_clip_it_gives_a_cosine_and_shares_only_when_compared(photo: Path, tmp_path: Path) -> None:
    clip(tmp_path / "clip")
    alone = call("explain", photo, "a dog", model=str(tmp_path / "clip"))[0]
    assert alone.match is None
    assert str(alone).startswith("cosine ")
    compared = call("explain", photo, "a dog", against=["the sea"], model=str(tmp_path / "clip"))[0]
    assert sum(score["probability"] for score in compared.scores) == pytest.approx(1)


@pytest.mark.parametrize("caption", ["", "   ", "…"])
def test_a_caption_without_words_is_refused(folder: Path, photo: Path, caption: str) -> None:
    with pytest.raises(BadInput, match=r"is empty|no word"):
        call("explain", photo, caption, model=str(folder))


def test_images_that_are_none_are_named_and_of_animations_the_first_frame_is_used(
    genarium: Callable[..., Any], folder: Path, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "none.png").write_text("no picture")
    with pytest.raises(BadInput, match=r"none\.png is no picture that opens here"):
        call("explain", tmp_path / "none.png", CAPTION, model=str(folder))
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(photo.read_bytes()[:400])
    with pytest.raises(BadInput, match="is damaged or cut short"):
        call("explain", cut, CAPTION, model=str(folder))
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    done = genarium("explain", tmp_path / "two.gif", CAPTION, "--model", folder)
    assert done.returncode == 0
    assert "two.gif has 2 frames; the first is used" in done.stderr


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10)])
def test_the_smallest_and_the_longest_images_are_explained(folder: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "navy").save(tmp_path / "odd.png")
    result = call("explain", tmp_path / "odd.png", CAPTION, model=str(folder))
    assert any("drawn 8 times as long as wide" in note for note in result.notes) == (size != (1, 1))
    with Image.open(result[0].path) as figure:
        assert max(figure.size) < 7000


def test_without_a_caption_it_explains_the_one_that_caption_makes(
    genarium: Callable[..., Any], folder: Path, photo: Path, tmp_path: Path
) -> None:
    make_blip(tmp_path / "captioner")
    made = call("caption", str(photo), model=str(tmp_path / "captioner"))[0].rows[0]["caption"]
    result = call("explain", photo, captioner=str(tmp_path / "captioner"), model=str(folder))
    assert result[0].caption == made
    assert result.recipe.arguments["captioner"]["sha256"]
    told = call("explain", photo, made, captioner=str(tmp_path / "captioner"), model=str(folder))
    assert np.array_equal(result[0].images[0].maps, told[0].images[0].maps)
    assert told.recipe.arguments["captioner"] is None  # it played no part
    with Ledger() as ledger:
        assert reproduce(result[0].id, ledger=ledger).equal
        (tmp_path / "captioner" / "config.json").write_text("{}")
        with pytest.raises(BadInput, match="captioner changed since this recipe was written"):
            reproduce(result[0].id, ledger=ledger)
        assert reproduce(told[0].id, ledger=ledger).equal


def test_an_image_comes_through_a_pipe_and_a_folder_is_refused(
    genarium: Callable[..., Any], folder: Path, photo: Path
) -> None:
    done = genarium("explain", "-", CAPTION, "--model", folder, stdin=photo.read_bytes())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].endswith(CAPTION)
    shutil.copy(photo, photo.with_name("second.jpg"))
    with pytest.raises(BadInput, match="explain takes one picture, and there are 2 in that folder"):
        call("explain", photo.parent, CAPTION, model=str(folder))
    with pytest.raises(BadInput, match="allow that with --allow-private"):
        call("explain", "http://127.0.0.1:9/x.png", CAPTION, model=str(folder))

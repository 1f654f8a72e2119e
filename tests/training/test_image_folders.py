"""Folders of pictures as people have them: read, split by name, what can't be used left out and said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import genarium
from genarium.checkpoints.store.find import find
from genarium.data.image_folder import list_images
from genarium.errors import BadInput
from genarium.progress import Event, listening
from genarium.training.commands.diffusion import train_diffusion
from genarium.training.commands.distil import train_distil
from genarium.training.commands.vae import train_vae
from genarium.training.sources import images as module
from genarium.training.sources.images import Folder, source_of
from tests.latent_models import latent_folder


def image(number: int, size: tuple[int, int] = (16, 16)) -> Image.Image:
    """A colour of its own for each number."""
    return Image.new("RGB", size, (number % 256, 7 * number % 256, 200))


def colours(folder: Path, n: int, *, captions: bool = True) -> Path:
    folder.mkdir(parents=True)
    for number in range(n):
        image(number).save(folder / f"{number:03}.png")
        if captions:
            (folder / f"{number:03}.txt").write_text(f"colour\n{number} ")
    return folder


def folder_of(path: Path, *, captioned: bool = True, size: int = 16) -> Folder:
    source = source_of(str(path), size, seed=0, captioned=captioned)
    assert isinstance(source, Folder)
    return source


def number_of(pixels: np.ndarray) -> int:
    return int(pixels[0, 0, 0])


def heard(path: Path, *, captioned: bool = True) -> tuple[Folder, list[str]]:
    events: list[Event] = []
    with listening(events.append):
        source = folder_of(path, captioned=captioned)
    return source, [event.preview for event in events if event.stage == "note"]


@pytest.mark.parametrize("layout", ["txt", "jsonl", "csv", "below"])
def test_captions_are_those_beside_the_images(layout: str, tmp_path: Path) -> None:
    path = colours(tmp_path / "pictures", 30, captions=layout == "txt")
    rows = [(f"{number:03}.png", f"colour {number}") for number in range(30)]
    place = path
    if layout == "below":
        place = path / "train"
        place.mkdir()
        for name, _ in rows:
            shutil.move(path / name, place / name)
    if layout == "csv":
        (place / "metadata.csv").write_text("file_name,text\n" + "".join(f"{a},{b}\n" for a, b in rows))
    elif layout != "txt":
        lines = [json.dumps({"file_name": a, "text": b, "width": 16}) + "\n" for a, b in rows]
        (place / "metadata.jsonl").write_text("".join(lines))
    source = folder_of(path)
    for images, captions in (source.train(0, 50), source.validation(0, 50)):
        assert [f"colour {number_of(pixels)}" for pixels in images] == captions


def test_an_epoch_shows_each_once_and_what_is_held_out_never(tmp_path: Path) -> None:
    path = colours(tmp_path / "pictures", 60)
    source = folder_of(path)
    n = len(source.shown)
    epochs = [source.train(epoch * n, n)[1] for epoch in range(3)]
    held_out = source.validation(0, 1000)[1]
    assert [sorted(epoch) for epoch in epochs] == [sorted(epochs[0])] * 3
    assert len(set(epochs[0])) == n
    assert epochs[0] != epochs[1]
    assert not set(held_out) & set(epochs[0])
    assert len(held_out) + n == 60
    # The same number, the same picture, whatever was asked before.
    assert folder_of(path).train(2 * n + 5, 7)[1] == source.train(2 * n + 5, 7)[1] == epochs[2][5:12]


def test_more_images_leave_the_others_on_their_side(tmp_path: Path) -> None:
    path = colours(tmp_path / "pictures", 60)
    before = {folder.name for folder in (folder_of(path).listed[place] for place in folder_of(path).held_out)}
    for number in range(60, 90):
        image(number).save(path / f"{number:03}.png")
    after = folder_of(path, captioned=False)
    assert {after.listed[place].name for place in after.held_out if after.listed[place].name < "060"} == before


def test_a_changed_folder_is_another_one_and_a_moved_one_is_not(tmp_path: Path) -> None:
    path = colours(tmp_path / "pictures", 12)
    before = folder_of(path).identity
    moved = shutil.move(path, tmp_path / "elsewhere")
    assert folder_of(moved).identity == before
    (moved / "003.txt").write_text("another colour")
    told = folder_of(moved).identity
    assert told != before
    image(200).save(moved / "004.png")
    assert folder_of(moved).identity not in (before, told)


def test_what_can_not_be_read_is_left_out_listed_and_counted(tmp_path: Path) -> None:
    path = colours(tmp_path / "pictures", 20)
    (path / "003.png").write_bytes((path / "003.png").read_bytes()[:40])
    (path / "007.png").write_text("not a picture")
    source, said = heard(path)
    assert said == ["2 of 20 pictures can't be read and are left out: 003.png, 007.png"]
    assert source.identity["folder"]["unreadable"] == ["003.png", "007.png"]
    captions = source.train(0, len(source.shown))[1] + source.validation(0, 20)[1]
    assert len(captions) == 18
    assert not {"colour 3", "colour 7"} & set(captions)


def test_an_image_that_metadata_names_and_is_not_there_is_left_out(tmp_path: Path) -> None:
    path = colours(tmp_path / "pictures", 12)
    (path / "metadata.jsonl").write_text('{"file_name": "gone.png", "text": "gone"}\n')
    _, said = heard(path)
    assert said == ["1 of 13 pictures can't be read and are left out: gone.png"]


def test_images_without_captions_are_left_out_where_captions_are_learned(tmp_path: Path) -> None:
    path = colours(tmp_path / "pictures", 20)
    for number in range(6):
        (path / f"{number:03}.txt").unlink()
    source, said = heard(path)
    shown = "000.png, 001.png, 002.png, 003.png, 004.png, …"
    assert said == [f"6 of 20 pictures have no caption and are left out: {shown}"]
    assert source.identity["folder"]["pictures"] == 14
    bare, said = heard(path, captioned=False)
    assert (bare.identity["folder"]["pictures"], said) == (20, [])
    assert "" in bare.train(0, 18)[1]


def test_images_fill_the_square_whatever_their_shape_and_mode(tmp_path: Path) -> None:
    path = colours(tmp_path / "pictures", 10)
    wide = Image.new("CMYK", (64, 16), (0, 255, 255, 0))
    wide.save(path / "wide.jpg", quality=95)
    (path / "wide.txt").write_text("red")
    source = folder_of(path, size=32)
    found = {**dict(zip(*reversed(source.train(0, len(source.shown))), strict=True))}
    found |= dict(zip(*reversed(source.validation(0, 99)), strict=True))
    assert found["red"].shape == (32, 32, 3)
    assert np.abs(found["red"].astype(int) - (255, 0, 0)).max() < 12


def test_what_does_not_fit_into_memory_is_read_again_and_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = colours(tmp_path / "pictures", 12)
    kept = folder_of(path).train(0, 12)
    import psutil

    class Full:
        available = 0

    monkeypatch.setattr(psutil, "virtual_memory", Full)
    source = folder_of(path)
    assert not source.arrays
    again = source.train(0, 12)
    assert np.array_equal(kept[0], again[0])
    assert kept[1] == again[1]


@pytest.mark.parametrize(
    ("n", "captions", "said"),
    [(0, True, "has no pictures"), (9, True, "has 9 pictures to train on; it takes 10"), (20, False, "has a caption")],
)
def test_what_can_not_be_trained_on_is_one_sentence(n: int, captions: bool, said: str, tmp_path: Path) -> None:
    path = colours(tmp_path / "pictures", n, captions=captions)
    with pytest.raises(BadInput, match=said) as caught:
        folder_of(path)
    assert len(str(caught.value).splitlines()) == 1


def test_no_folder_a_file_and_metadata_that_is_not_meant_for_images_are_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="name a folder, or `scenes`"):
        source_of(str(tmp_path / "none"), 16, seed=0)
    image(1).save(tmp_path / "one.png")
    with pytest.raises(BadInput, match="is a file"):
        source_of(str(tmp_path / "one.png"), 16, seed=0)
    for content, said in (('{"file": "a.png"}', "no column 'file_name'"), ('{"file_name": "../a.png"}', "leads out")):
        (tmp_path / "metadata.jsonl").write_text(content)
        with pytest.raises(BadInput, match=said):
            list_images(tmp_path)


@pytest.mark.parametrize("pattern", ["{}.png", "photos/IMG_{:05}.JPG", "été {} .webp"])
def test_about_a_tenth_is_held_out_however_files_are_named(pattern: str) -> None:
    held_out = sum(module._share(pattern.format(number)) < module.HELD_OUT for number in range(2000))
    assert 160 < held_out < 240  # three standard deviations around 200


def test_an_autoencoder_learns_from_bare_images_and_diffusion_asks_for_captions(tmp_path: Path) -> None:
    path = colours(tmp_path / "pictures", 24, captions=False)
    figures = train_vae(
        data=str(path), out=str(tmp_path / "vae"), latents="vector", size=16, channels=4, steps=3, batch_size=4
    )
    assert figures["psnr"] > 0
    frozen = latent_folder(tmp_path / "frozen") / "vae"
    with pytest.raises(BadInput, match="none of the 24 pictures"):
        train_diffusion(autoencoder=str(frozen), data=str(path), out=str(tmp_path / "diffusion"))


def test_thumbnails_are_trained_on_a_folder_gone_on_with_and_drawn(tmp_path: Path) -> None:
    path, out = colours(tmp_path / "pictures", 24), tmp_path / "drawn"
    small: dict[str, Any] = {"data": str(path), "widths": "64", "layers": 1, "size": 16, "factor": 4, "batch_size": 4}
    figures = train_diffusion(out=str(out), steps=4, **small)
    assert figures["loss"] > 0
    recipe = json.loads((out / "training.json").read_text())
    assert recipe["settings"]["optimizer"] == "muon"
    made = genarium.image("a red square", model=str(out), steps=3, seed=1)
    assert made[0].size == (16, 16)
    again = train_diffusion(out=str(tmp_path / "more"), init_from=str(out), steps=2, data=str(path), batch_size=4)
    assert (
        json.loads((tmp_path / "more" / "training.json").read_text())["identity"]["init_from"]
        == find(str(out), default="image").digest
    )
    assert again["loss"] > 0
    with pytest.raises(BadInput, match="draws thumbnails, whose steps cost next to nothing"):
        train_distil(teacher=str(out), data=str(path))
    frozen = latent_folder(tmp_path / "frozen")
    with pytest.raises(BadInput, match="is of thumbnails; leave out --autoencoder"):
        train_diffusion(autoencoder=str(frozen / "vae"), init_from=str(out), data=str(path))
    with pytest.raises(BadInput, match="is of latents; name its --autoencoder"):
        train_diffusion(init_from=str(frozen), data=str(path))
    with pytest.raises(BadInput, match="known of whole composed scenes"):
        train_diffusion(planner="anywhere", data=str(path))
    with pytest.raises(BadInput, match="holds no planner; name a folder that"):
        train_diffusion(planner=str(out))
    for wrong, said in (
        ({"widths": "96"}, "multiple of 64"),
        ({"widths": "64,128"}, "one number"),
        ({"size": 20, "factor": 8}, "can't be cut into cells of 8"),
    ):
        with pytest.raises(BadInput, match=said):
            train_diffusion(**(small | wrong))

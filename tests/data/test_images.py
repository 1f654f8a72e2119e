"""Users' pictures: every mode a file may have, upright and in 8 bits; what can't be read said in one sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genarium.data.image_folder import list_images
from genarium.data.images import MAX_PIXELS, cover, read_image, read_mask
from genarium.data.photos import find
from genarium.errors import BadInput
from genarium.progress import Event, listening

RED, BLUE = (255, 0, 0), (0, 0, 255)


def two_colours(width: int = 8, height: int = 4) -> Image.Image:
    """Red above blue."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (0, height // 2, width, height))
    return image


def saved(folder: Path, image: Image.Image, name: str, **options: object) -> Path:
    image.save(folder / name, **options)
    return folder / name


@pytest.mark.parametrize(
    ("mode", "name"), [("RGB", "a.png"), ("P", "a.png"), ("P", "a.gif"), ("CMYK", "a.tiff"), ("RGBA", "a.webp")]
)
def test_colours_are_those_of_the_file(tmp_path: Path, mode: str, name: str) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    file = saved(tmp_path, two_colours().convert(mode), name, **options)
    pixels = np.asarray(read_image(file))
    assert pixels.shape == (4, 8, 3)
    assert np.abs(pixels[0, 0].astype(int) - RED).max() <= 2
    assert np.abs(pixels[-1, -1].astype(int) - BLUE).max() <= 2


def test_an_image_that_was_held_sideways_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter
    file = saved(tmp_path, two_colours(), "turned.png", exif=exif)
    upright = read_image(file)
    assert upright.size == (4, 8)
    assert upright.getpixel((3, 0)) == RED
    assert upright.getpixel((0, 0)) == BLUE


def test_sixteen_bits_become_eight_without_cutting_off_the_bright(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    file = saved(tmp_path, Image.fromarray(ramp), "deep.png")
    assert np.array_equal(np.asarray(read_image(file))[..., 0].ravel(), np.arange(256))


def test_a_dark_image_of_sixteen_bits_stays_dark_and_that_is_said(tmp_path: Path) -> None:
    file = saved(tmp_path, Image.fromarray(np.arange(219, dtype=np.uint16).reshape(3, 73)), "dark.png")
    said: list[str] = []
    with listening(lambda event: said.append(event.preview)):
        assert np.asarray(read_image(file)).max() == 1
    assert said == [f"{file} is nearly black: its brightest value is 218 of 65535"]


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (np.array([[0, 32768, 65535]], np.uint16), {}),
        (np.array([[65535, 32767, 0]], np.uint16), {"tiffinfo": {262: 0}}),  # the least value is white
        (np.array([[0, 0.5, 1]], np.float32), {}),
        (np.array([[0, 128, 255]], np.float32), {}),
        (np.array([[0, 32768, 65535]], np.int32), {}),
    ],
)
def test_grey_of_any_depth_is_as_bright_as_its_file_says(
    tmp_path: Path, values: np.ndarray, options: dict[str, dict[int, int]]
) -> None:
    file = saved(tmp_path, Image.fromarray(values), "deep.tiff", **options)
    assert np.asarray(read_image(file))[0, :, 0].tolist() == [0, 128, 255]


def test_what_is_clear_in_sixteen_bits_lies_on_white(tmp_path: Path) -> None:
    file = saved(tmp_path, Image.fromarray(np.array([[0, 65535, 7]], np.uint16)), "clear.png", transparency=7)
    assert np.asarray(read_image(file))[0, :, 0].tolist() == [0, 255, 255]


def test_what_is_clear_lies_on_white_and_is_a_mask(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (*RED, 0))
    image.putpixel((0, 0), (*RED, 255))
    file = saved(tmp_path, image, "clear.png")
    assert read_image(file).getpixel((0, 0)) == RED
    assert read_image(file).getpixel((3, 3)) == (255, 255, 255)
    assert read_mask(file).getpixel((0, 0)) == 0
    assert read_mask(file).getpixel((3, 3)) == 255
    palette = two_colours().convert("P")
    clear = saved(tmp_path, palette, "palette.png", transparency=palette.getpixel((0, 0)))
    assert read_image(clear).getpixel((0, 0)) == (255, 255, 255)


def test_of_an_animation_the_first_frame_is_used_and_that_is_said(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    heard: list[Event] = []
    with listening(heard.append):
        assert read_image(tmp_path / "two.gif").getpixel((0, 0)) == RED
    assert [event.preview for event in heard] == ["two.gif has 2 frames; the first is used"]


def bomb(file: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes that says it is very large."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)))
    return file


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (60_000, 60_000)])
def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path, width: int, height: int) -> None:
    with pytest.raises(BadInput, match=f"{MAX_PIXELS:,}"):
        read_image(bomb(tmp_path / "bomb.png", width, height))


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "cut.gif", "cut.webp", "cut.tiff", "cut.bmp"])
def test_a_file_cut_short_is_one_sentence(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = saved(tmp_path, Image.fromarray(noise), name).read_bytes()
    for length in (0, 3, len(whole) // 3, len(whole) // 2):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(BadInput) as caught:
            read_image(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1


def test_text_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "words.png").write_text("not a picture")
    with pytest.raises(BadInput, match="no picture that opens here"):
        read_image(tmp_path / "words.png")


def test_covering_crops() -> None:
    wide = Image.new("RGB", (40, 10), RED)
    assert cover(wide, (16, 16)).getextrema() == ((255, 255), (0, 0), (0, 0))


def test_files_of_a_folder_that_are_no_images_are_counted_and_named(tmp_path: Path) -> None:
    saved(tmp_path, two_colours(), "a.png")
    for name in ("a.txt", "b.heic", "notes.doc", ".hidden"):
        (tmp_path / name).write_text("x")
    said: list[str] = []
    with listening(lambda event: said.append(event.preview)):
        assert [one.name for one in list_images(tmp_path)] == ["a.png"]
        assert [photo.file.name for photo in find([str(tmp_path)])] == ["a.png"]
    assert said == [
        f"2 files in {tmp_path} left out, not images: b.heic, notes.doc",
        f"3 files in {tmp_path} left out, not images or videos: a.txt, b.heic, notes.doc",
    ]

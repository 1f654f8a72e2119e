"""Heat maps as files: panels, overlay, raw maps, and a page that needs no script."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from genarium.artefacts import Heat
from genarium.artefacts.heat import WordHeat
from genarium.recipe import Recipe

CAPTION = "a <bird>, over sea"
SPANS = [(0, 1), (3, 7), (10, 14), (15, 18)]
RECIPE = Recipe.of("explain", {"caption": "</script><b>"}, None, 0)


def bump(x: int, y: int, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4).astype(np.float32)


def heat(pixels: np.ndarray | None = None, **given: object) -> Heat:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8) if pixels is None else pixels
    maps = np.stack([bump(1, 1), bump(6, 2), bump(3, 6), np.full((8, 8), 0.5, dtype=np.float32)])
    asked = {
        "caption": CAPTION,
        "spans": SPANS,
        "images": [WordHeat(image, maps)],
        "method": "a method",
        "match": 0.75,
        "scores": [{"text": CAPTION, "probability": 0.75}],
    }
    return Heat(**asked | given)  # type: ignore[arg-type]


def opened(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def test_peaks_are_in_the_images_own_pixels() -> None:
    wide = heat(np.zeros((100, 400, 3), dtype=np.uint8))
    (x, y), *_, nowhere = wide.images[0].peaks  # type: ignore[misc]
    assert abs(x - 75) < 25
    assert abs(y - 18) < 7
    assert nowhere is None  # a map that is the same everywhere points at nothing


def test_a_map_lies_over_the_part_the_model_saw_alone() -> None:
    pixels = np.full((256, 512, 3), 200, dtype=np.uint8)
    maps = bump(0, 0)[None]
    middle = heat(pixels, caption="bird", spans=[(0, 4)], images=[WordHeat(pixels, maps, (0.25, 0, 0.75, 1))])
    peak = middle.images[0].peaks[0]
    assert peak is not None
    assert 128 <= peak[0] < 180
    middle.overlay = True
    drawn = opened(middle.content()).astype(int)
    assert np.ptp(drawn[:, :120].reshape(-1, 3), axis=0).max() == 0  # what lies outside is dimmed, and no more
    assert np.ptp(drawn[:, 128:384].reshape(-1, 3), axis=0).max() > 20


def test_the_figure_has_a_panel_a_word_and_brightens_where_the_map_is_high() -> None:
    one = heat()
    figure = opened(one.content())
    assert figure.shape[1] > 5 * 256
    single = heat(caption="bird", spans=[(0, 4)], images=[WordHeat(np.zeros((64, 64, 3), np.uint8), bump(6, 2)[None])])
    single.overlay = True
    light = opened(single.content()).sum(axis=2)
    assert light.shape == (256, 256)
    y, x = np.unravel_index(light.argmax(), light.shape)
    assert 190 < x < 225
    assert 60 < y < 100


def test_the_raw_maps_come_back_as_they_were() -> None:
    one = heat()
    one.recipe = RECIPE
    with np.load(io.BytesIO(one.as_file(".npz")), allow_pickle=False) as stored:
        assert np.array_equal(stored["maps"], one.images[0].maps)
        assert list(stored["words"]) == ["a", "bird", "over", "sea"]
        assert str(stored["caption"]) == CAPTION
        assert float(stored["match"]) == 0.75
        assert Recipe.from_json(str(stored["recipe"])) == RECIPE
    assert one.as_file(".npz") == one.as_file(".npz")  # no clock in it


def test_the_page_needs_nothing_beside_it_and_keeps_the_caption_as_it_was() -> None:
    one = heat()
    one.recipe = RECIPE
    page = one.as_file(".html").decode()
    assert not re.search(r"<script|https?://|<link|@import", page)
    assert page.count('<button type="button"') == 4
    assert 'class="w1" aria-label="bird: brightest at the top right"' in page
    assert 'aria-label="sea: nowhere in particular"' in page
    words = re.sub(r"<[^>]*>", "", page[page.index('<button type="button"') : page.index('<div class="stage"')])
    assert words.strip() == "a &lt;bird&gt;, over sea"
    assert "&lt;/script&gt;&lt;b&gt;" in page  # what a user typed can't become a tag
    assert "match with probability <strong>75.0%</strong>" in page


def test_two_in_one_notebook_do_not_light_each_other() -> None:
    first, second = heat(), heat(np.zeros((64, 64, 3), dtype=np.uint8))
    names = [re.search(r'class="(heat-\w+)"', one.as_html())[1] for one in (first, second)]  # type: ignore[index]
    assert names[0] != names[1]
    assert first._repr_png_().startswith(b"\x89PNG")


def test_the_recipe_is_in_the_image() -> None:
    one = heat()
    one.recipe = RECIPE
    with Image.open(io.BytesIO(one.content())) as image:
        assert Recipe.from_json(image.text["genarium"]) == RECIPE  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (3, 4000)])
def test_images_of_any_shape_are_drawn(size: tuple[int, int]) -> None:
    one = heat(np.zeros((size[1], size[0], 3), dtype=np.uint8))
    figure = opened(one.content())
    assert max(figure.shape) < 7000
    assert all(0 <= x < size[0] and 0 <= y < size[1] for x, y in one.images[0].peaks[:3])  # type: ignore[misc]
    assert len(one.as_file(".html")) < 3_000_000


def test_facts_are_json_and_say_where_each_word_is() -> None:
    facts = json.loads(json.dumps(heat().facts()))
    assert [word["word"] for word in facts["pictures"][0]["words"]] == ["a", "bird", "over", "sea"]
    assert facts["pictures"][0]["words"][3]["peak"] is None
    assert str(heat()).splitlines()[:2] == [" match  caption", f" 75.0%  {CAPTION}"]

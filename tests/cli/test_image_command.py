"""`image` as a person meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genarium.engines.registry import open_matcher
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.progress import Event
from genarium.recipe import Recipe
from genarium.run import call, reproduce
from tests.image_models import stable_diffusion

PROMPT = "flying batman with colorful sky"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stable_diffusion(tmp_path_factory.mktemp("sd"))


def test_images_and_their_sheet(genarium: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    strip = tmp_path / "strip.png"
    done = genarium("image", *PROMPT.split(), "-n", "2", "--seed", "1", "--steps", "2", "--model", folder, "-o", strip)
    assert done.returncode == 0
    assert done.stderr.splitlines()[:2] == ["1/2 generated", "2/2 generated"]
    assert done.stdout == f"{strip}\n"
    kept = [line.removeprefix("kept ") for line in done.stderr.splitlines() if line.startswith("kept ")]
    first, second, sheet = map(Path, kept)
    assert strip.read_bytes() == sheet.read_bytes()
    assert Image.open(strip).size[0] > 2 * 192
    assert first.read_bytes() != second.read_bytes()
    texts = Image.open(second).text
    lines = texts["parameters"].splitlines()
    assert lines[0] == PROMPT
    assert lines[1].startswith("Steps: 2, Sampler: DPM++ 2M, CFG scale: 7.5, Seed: 2, Size: 64x64, Model hash: ")
    alone = Recipe.from_json(texts["genarium"])
    assert (alone.seed, alone.arguments["n"], alone.arguments["prompt"]) == (2, 1, PROMPT)
    with Ledger() as ledger:
        entries = ledger.history()
        assert [entry.kind for entry in entries] == ["sheet", "image", "image"]
        assert entries[0].facts["pictures"] == [entries[2].id, entries[1].id]
        assert entries[1].recipe == alone
        assert all(reproduce(entry.id, ledger=ledger).equal for entry in entries)


def test_of_several_drawn_the_one_that_matches_best_is_kept(folder: Path) -> None:
    heard: list[Event] = []
    kept = call("image", PROMPT, n=2, best_of=3, steps=2, seed=4, model=str(folder), listener=heard.append)
    drawn = call("image", PROMPT, n=6, steps=2, seed=4, model=str(folder))
    scores = [open_matcher("starter").scores(Image.fromarray(one.pixels), [PROMPT]) for one in drawn[:6]]
    said = [score.probability for (score,) in scores]
    for row, first in enumerate((0, 3)):
        best = max(range(first, first + 3), key=said.__getitem__)
        assert (kept[row].seed, kept[row].item, kept[row].recipe) == (4 + best, row, drawn[best].recipe)
        assert np.array_equal(kept[row].pixels, drawn[best].pixels)
        assert kept[row].stats["match"] == pytest.approx(said[best])
    assert {event.item for event in heard if event.stage == "denoising"} == {0, 1}
    with Ledger() as ledger:
        assert reproduce(kept[2].id, ledger=ledger).equal
        assert kept[2].recipe.arguments["matcher"]["reference"] == "starter"


def test_a_result_shows_itself_in_a_notebook(folder: Path) -> None:
    result = call("image", PROMPT, n=2, steps=1, seed=3, negative_prompt="red", model=str(folder))
    assert result._repr_html_().count("<img ") == 1  # the sheet shows them all
    assert result[0]._repr_png_().startswith(b"\x89PNG")
    assert "\nNegative prompt: red\nSteps: 1, " in Image.open(result[0].path).text["parameters"]
    wide = call("image", PROMPT, n=2, steps=1, seed=3, negative_prompt="red", grid_size="1x2", model=str(folder))
    assert wide[2].facts()["grid"] == "1x2"
    assert np.array_equal(wide[0].pixels, result[0].pixels)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"size": "big"}, "size is written like 512x512, got 'big'"),
        ({"size": "0"}, "size must be between 1 and 100,000"),
        ({"n": 0}, "n must be at least 1"),
        ({"n": 10**6}, "n must be at most 256"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": 10**6}, "steps must be at most 1000"),
        ({"n": 5, "grid_size": "2x2"}, "holds 4 pictures, but there are 5"),
        ({"grid_size": "4"}, "grid_size is written like 5x1"),
        ({"size": "99992x99992"}, "GiB are free"),
    ],
)
def test_mistakes_are_one_sentence(folder: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        call("image", PROMPT, model=str(folder), seed=1, **asked)


def test_each_image_goes_into_a_folder(genarium: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    out = f"{tmp_path}/pictures/"
    done = genarium("image", PROMPT, "-n", "2", "--steps", "1", "--model", folder, "-o", out, "--json")
    kept = json.loads(done.stdout)["artefacts"]
    assert [file.name for file in sorted(Path(out).iterdir())] == ["image-1.png", "image-2.png"]
    assert (Path(out) / "image-2.png").read_bytes() == Path(kept[1]["path"]).read_bytes()

"""`image --explain`: DAAM on the native engine and on diffusers' U-Nets, against the formula on their own weights."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from genarium.artefacts import Heat
from genarium.cli.tasks import write
from genarium.engines.image.diffusers import DiffusersImage
from genarium.engines.image.latent import LatentImage
from genarium.engines.image.protocol import settle
from genarium.engines.vision.word_maps import join
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.models import dit
from genarium.progress import listening
from genarium.run import call, reproduce
from tests.dalle_folders import write_hub_folder
from tests.image_models import image_request, stable_diffusion
from tests.latent_models import latent_folder, thumbnails_folder

PROMPT = "flying batman with colorful sky"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stable_diffusion(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return latent_folder(tmp_path_factory.mktemp("latent"))


def made(engine: LatentImage | DiffusersImage, **asked: object) -> list:  # type: ignore[type-arg]
    request = settle(image_request(**({"prompt": PROMPT, "steps": 3} | asked)), engine)
    return list(engine.generate(request))


@pytest.fixture(scope="module")
def thumbnails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return thumbnails_folder(tmp_path_factory.mktemp("thumbnails"))


def test_maps_of_thumbnails_are_what_cells_look_at_of_words_and_not_what_previews_do(thumbnails: Path) -> None:
    """Layer by layer the softmax of the blocks' own queries and keys: rows of cells, columns of words."""
    engine = LatentImage(thumbnails)
    ours = made(engine, explain=True, guidance=5.0)[0].explained
    with listening(lambda event: None):
        heard = made(engine, explain=True, guidance=5.0)[0].explained
    assert np.array_equal(ours.maps, heard.maps)
    network, sums = engine._parts[0].denoiser.network, dict[int, torch.Tensor]()
    own = dit.attend

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf).softmax(-1)
        if len(q) == 2:  # both prompts: a step, not the drawing of the picture
            place = next(turns) % len(network.blocks)
            sums[place] = sums.get(place, torch.zeros(())) + scores[-1, :, :64, 64:]
        return own(q, k, v, mask)

    turns = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dit, "attend", attend)
        made(engine, guidance=5.0)
    maps = torch.stack([sums[place].mean(0) for place in sorted(sums)]).mean(0).T.reshape(-1, 8, 8)
    offsets = engine._parts[1].tokenizer.encode(PROMPT).offsets
    expected = join(PROMPT, offsets, maps.numpy()[: len(offsets)])[1]
    np.testing.assert_allclose(ours.maps, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["published", "native", "thumbnails"])
def test_explaining_changes_no_byte_of_the_image(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    engine = DiffusersImage(folder) if kind == "published" else LatentImage(folder)
    plain, told = made(engine)[0], made(engine, explain=True)[0]
    assert np.array_equal(plain.pixels, told.pixels)
    assert plain.explained is None
    assert told.explained.words == PROMPT.split()
    side = engine.limits.size[0] // (8 if kind == "published" else 4)
    assert told.explained.maps.shape == (5, side, side)
    assert made(engine)[0].explained is None  # and nothing is left behind in the network


def test_maps_of_published_u_nets_are_daam_on_the_librarys_own_weights(published: Path) -> None:
    """The library's processor that keeps its softmax, watched with hooks, and the paper's sum written out."""
    from diffusers.models.attention_processor import Attention, AttnProcessor

    engine = DiffusersImage(published, dtype="float32")
    ours = made(engine, explain=True, guidance=5.0)[0].explained
    sums: dict[str, torch.Tensor] = {}
    network = engine._loaded.unet
    network.set_attn_processor(AttnProcessor())
    own = Attention.get_attention_scores
    names = {id(module): name for name, module in network.named_modules() if name.endswith("attn2")}

    def kept(self: Attention, *args: torch.Tensor) -> torch.Tensor:
        weights = own(self, *args)
        if id(self) in names:
            conditioned = weights.unflatten(0, (2, -1))[1]  # (heads, places, tokens) after the negative prompt's
            sums[names[id(self)]] = sums.get(names[id(self)], 0) + conditioned
        return weights

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attention, "get_attention_scores", kept)
        made(engine, guidance=5.0)
    scaled = []
    for weights in sums.values():
        side = int(weights.shape[1] ** 0.5)
        for head in weights:
            grid = head.T.reshape(1, -1, side, side)
            scaled.append(F.interpolate(grid, size=(8, 8), mode="bicubic").clamp(min=0)[0])
    expected = torch.stack(scaled).mean(0)
    assert len(sums) == 4
    # One token a word here, after the one that begins the prompt.
    assert np.allclose(ours.maps, expected[1:6].numpy(), atol=1e-5)


def test_half_precision_says_about_the_same(published: Path) -> None:
    exact, half = (
        made(DiffusersImage(published, dtype=dtype), explain=True)[0].explained.maps
        for dtype in ("float32", "bfloat16")
    )
    assert np.abs(exact - half).max() < 0.05 * exact.max()


def test_each_image_has_its_own_maps(native: Path) -> None:
    engine = LatentImage(native)
    alone = made(engine, explain=True, seeds=(7,))
    several = made(engine, explain=True, seeds=(5, 7))
    assert np.array_equal(alone[0].explained.maps, several[1].explained.maps)
    assert not np.array_equal(several[0].explained.maps, several[1].explained.maps)


@pytest.mark.parametrize("n", [1, 2])
def test_the_task_makes_a_figure_that_is_made_again_to_the_byte(native: Path, n: int, tmp_path: Path) -> None:
    result = call("image", PROMPT, n=n, steps=2, seed=3, explain=True, model=str(native))
    assert [artefact.kind for artefact in result] == ["image"] * n + ["heat"]
    heat = result[n]
    assert isinstance(heat, Heat)
    assert result._repr_html_().count("<button") == 5
    with np.load(io.BytesIO(heat.as_file(".npz"))) as stored:
        assert stored["maps"].shape == ((5, 8, 8) if n == 1 else (2, 5, 8, 8))
    with Image.open(heat.path) as figure:
        assert figure.size[0] > 3 * 256
    for name in ("x.png", "x.html", "all/"):
        write(list(result), f"{tmp_path}/{name}")
    assert (tmp_path / "x.png").read_bytes() == heat.content()
    assert (tmp_path / "x.html").read_bytes().startswith(b"<!doctype html>")
    assert [file.name for file in sorted((tmp_path / "all").iterdir())] == [
        f"heat-{n + 1}.png",
        *(f"image-{number}.png" for number in range(1, n + 1)),
    ]
    with Ledger() as ledger:
        assert all(reproduce(artefact.id, ledger=ledger).equal for artefact in result)


def test_models_without_such_attention_say_which_have_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no cross-attention .* \(the U-Nets of Stable Diffusion 1, 2 and XL"):
        call("image", PROMPT, explain=True, model=str(write_hub_folder(tmp_path / "dalle")))


def test_a_prompt_without_words_is_refused(native: Path) -> None:
    with pytest.raises(BadInput, match="no word to explain"):
        call("image", "...", explain=True, model=str(native))

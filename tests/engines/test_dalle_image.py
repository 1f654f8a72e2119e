"""A min-dalle folder makes pictures: every published layout, a seed's picture its own, bad files told by name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from genarium.checkpoints.layouts import dalle
from genarium.engines.image import dalle as engines
from genarium.engines.image.dalle import DalleImage
from genarium.engines.image.protocol import GeneratedImage, ImageRequest, settle
from genarium.engines.registry import open_image
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import Event, listening
from tests import dalle_folders as folders
from tests.image_models import changed, image_request

REQUEST = image_request("flying bat", (1, 2, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.write_package_folder(tmp_path_factory.mktemp("pretrained"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> DalleImage:
    return DalleImage(folder)


def make(engine: DalleImage, request: ImageRequest) -> list[GeneratedImage]:
    return list(engine.generate(settle(request, engine)))


def notes(engine: DalleImage, request: ImageRequest) -> list[str]:
    told: list[Event] = []
    with listening(told.append):
        make(engine, request)
    return [event.preview for event in told if event.stage == "note"]


def test_open_image_opens_it(folder: Path) -> None:
    assert isinstance(open_image(str(folder)), DalleImage)


def test_an_image_is_its_seeds_alone_and_among_others(engine: DalleImage, monkeypatch: pytest.MonkeyPatch) -> None:
    together = make(engine, REQUEST)
    assert [(image.row, image.seed) for image in together] == [(0, 1), (1, 2), (2, 3)]
    assert together[0].pixels.shape == (8, 8, 3)
    assert together[0].pixels.dtype == np.uint8
    assert not np.array_equal(together[0].pixels, together[1].pixels)
    alone = make(engine, changed(REQUEST, seeds=(2,)))
    np.testing.assert_array_equal(alone[0].pixels, together[1].pixels)
    monkeypatch.setattr(engines, "TOGETHER", 2)
    for one, other in zip(make(engine, REQUEST), together, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("save", [folders.save_pt, folders.save_safetensors])
def test_every_published_layout_makes_the_same_image(engine: DalleImage, tmp_path: Path, save: folders.Save) -> None:
    expected = make(engine, changed(REQUEST, seeds=(1,)))[0].pixels
    folders.write_package_folder(tmp_path / "root", save=save)
    folders.write_hub_folder(tmp_path / "hub", save=save)
    folders.write_hub_folder(tmp_path / "mega", "", save=save)
    for path in (tmp_path / "root", tmp_path / "root" / "dalle_bart_mini", tmp_path / "hub", tmp_path / "mega"):
        found = make(DalleImage(path), changed(REQUEST, seeds=(1,)))[0].pixels
        np.testing.assert_array_equal(found, expected)


def test_the_networks_arithmetic_follows_the_text_more_with_more_guidance(engine: DalleImage) -> None:
    """At 0 the prompt says nothing, at 1 the empty text says nothing."""
    other = changed(REQUEST, prompt="fire")

    def pixels(request: ImageRequest, guidance: float) -> np.ndarray:
        return np.stack([image.pixels for image in make(engine, changed(request, guidance=guidance))])

    np.testing.assert_array_equal(pixels(REQUEST, 0.0), pixels(other, 0.0))
    assert not np.array_equal(pixels(REQUEST, 1.0), pixels(other, 1.0))
    assert not np.array_equal(pixels(REQUEST, 16.0), pixels(REQUEST, 1.0))


def test_top_1_and_temperature_0_draw_the_likeliest(engine: DalleImage) -> None:
    greedy = make(engine, changed(REQUEST, temperature=0.0))
    first = make(engine, changed(REQUEST, top_k=1))
    for image in [*greedy, *first]:
        np.testing.assert_array_equal(image.pixels, greedy[0].pixels)


def test_previews_are_the_rows_so_far(engine: DalleImage) -> None:
    told: list[Event] = []
    with listening(told.append):
        image = make(engine, changed(REQUEST, seeds=(5,)))[0]
    steps = [event for event in told if event.stage == "denoising"]
    assert [event.done for event in steps] == list(range(1, folders.SQUARES + 1))
    shown = [event.preview for event in steps if event.preview is not None]
    assert [preview.shape for preview in shown] == [(2, 8, 3), (4, 8, 3), (6, 8, 3)]
    assert image.pixels.shape == (8, 8, 3)


def test_bfloat16_and_float16_run_on_a_cpu(folder: Path) -> None:
    assert make(DalleImage(folder, dtype="bfloat16", device="cpu"), REQUEST)[2].pixels.shape == (8, 8, 3)
    half = DalleImage(folder, dtype="float16", device="cpu")
    assert any("float32 is used" in told for told in notes(half, REQUEST))


def test_short_memory_lets_the_encoder_go_and_changes_no_byte(
    engine: DalleImage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make(engine, REQUEST)
    short = DalleImage(folder, device="cpu")
    monkeypatch.setattr(engines, "available_memory", lambda: short._bytes(torch.float32, 3, encoder_stays=True) - 1)
    found = list(short.generate(REQUEST))
    assert short._encoder is None
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_a_small_machine_computes_in_bfloat16_and_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "total_memory", lambda: 1000)
    small = DalleImage(folder, device="cpu")
    assert any("bfloat16" in told for told in notes(small, REQUEST))


def test_what_of_a_prompt_is_not_read_is_told(engine: DalleImage) -> None:
    assert notes(engine, REQUEST) == []
    assert "“·é”" in notes(engine, changed(REQUEST, prompt="bat · é"))[0]
    assert "longer than the 64 tokens" in notes(engine, changed(REQUEST, prompt="bat " * 70))[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": (64, 64)}, "makes pictures of 8x8 only"),
        ({"steps": 4}, "takes no steps"),
        ({"negative_prompt": "blurry"}, "takes no negative prompt"),
        ({"sampler": "ddim"}, "has no samplers"),
        ({"truncation": 0.9}, "has no truncation"),
    ],
)
def test_what_it_lacks_is_refused(engine: DalleImage, change: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        settle(changed(REQUEST, **change), engine)


def copy(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder.parent, tmp_path / "copy")
    return tmp_path / "copy" / folder.name


@pytest.mark.parametrize("name", ["encoder.pt", "vocab.json", "merges.txt", "../vqgan/detoker.pt"])
def test_a_missing_part_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    path = copy(folder, tmp_path)
    (path / name).unlink()
    with pytest.raises(BadCheckpoint, match=name.rpartition("/")[2]):
        DalleImage(path)


def test_two_models_in_one_folder_ask_for_one(folder: Path, tmp_path: Path) -> None:
    path = copy(folder, tmp_path)
    shutil.copytree(path, path.with_name("dalle_bart_mega"))
    with pytest.raises(BadCheckpoint, match=r"holds mini and mega; name .*dalle_bart_mini or .*dalle_bart_mega"):
        DalleImage(path.parent)


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(folder: Path, tmp_path: Path) -> None:
    path, ran = copy(folder, tmp_path), tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(ran),)

    torch.save({"embed_tokens.weight": Evil()}, path / "decoder.pt")
    with pytest.raises(BadCheckpoint, match=r"decoder.pt is a pickle that asks for more than tensors"):
        DalleImage(path)
    assert not ran.exists()


def test_damaged_files_are_named(folder: Path, tmp_path: Path) -> None:
    path = copy(folder, tmp_path)
    whole = (path / "encoder.pt").read_bytes()
    (path / "encoder.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadCheckpoint, match=r"encoder.pt is damaged or cut short"):
        DalleImage(path)
    (path / "encoder.pt").write_bytes(whole)
    (path / "vocab.json").write_text("{", "utf-8")
    with pytest.raises(BadCheckpoint, match=r"vocab.json and merges.txt can't be read"):
        DalleImage(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.update({"final_ln.bias": torch.full((128,), torch.nan)}), "final_norm.bias holds values"),
        (lambda state: state.pop("layers.1.glu.fc1.weight"), "the weights lack layers.1.glu.fc1.weight"),
        (lambda state: state.pop("layers.0.glu.ln0.bias"), "the weights lack layers.0.glu.ln0.bias"),
        (lambda state: state.update({"lm_head.weight": torch.zeros(7, 128)}), "head.weight has shape"),
    ],
    ids=["nan", "missing", "missing norm", "shape"],
)
def test_bad_tensors_are_named(folder: Path, tmp_path: Path, change: folders.Change, says: str) -> None:
    path = copy(folder, tmp_path)
    state = torch.load(path / "decoder.pt", weights_only=True)
    change(state)
    torch.save(state, path / "decoder.pt")
    with pytest.raises(BadCheckpoint, match=says):
        list(DalleImage(path).generate(REQUEST))


def test_parts_of_two_models_are_told(folder: Path, tmp_path: Path) -> None:
    path = copy(folder, tmp_path)
    state = torch.load(path / "encoder.pt", weights_only=True)
    torch.save({name: tensor for name, tensor in state.items() if "layers.1" not in name}, path / "encoder.pt")
    with pytest.raises(BadCheckpoint, match="not of one model"):
        dalle.read_configs(dalle.find_files(path))

"""DALL·E mini's networks give what the package `min-dalle` gives, as recorded by scripts/record_dalle.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from genarium.checkpoints.layouts import dalle
from genarium.checkpoints.processors.dalle_tokenizer import DalleTokenizer
from genarium.models.dalle import DalleConfig
from tests import dalle_folders as folders

RECORDED = json.loads((Path(__file__).parent.parent / "data" / "dalle.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def recorded(name: str) -> torch.Tensor:
    return torch.tensor(RECORDED[name])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dalle.DalleFiles:
    """In float32 and with 256 squares, as the record was made."""
    folder = folders.write_package_folder(tmp_path_factory.mktemp("dalle"))
    folders.save_pt(folders.weights(folders.encoder_shapes()), folder / "encoder")
    folders.save_pt(folders.weights(folders.decoder_shapes(256)), folder / "decoder")
    return dalle.find_files(folder)


def read(files: dalle.DalleFiles, config: DalleConfig) -> tuple[torch.Tensor, torch.Tensor]:
    text = RECORDED["text"]
    encoder = dalle.load_encoder(files, config, torch.float32, "cpu")
    return encoder.read([[text[0], text[-1]], text])


def test_states_of_a_text_equal_the_packages(files: dalle.DalleFiles) -> None:
    config, _ = dalle.read_configs(files)
    states, real = read(files, config)
    assert real.tolist() == [[True] * 2 + [False] * 4, [True] * 6]
    torch.testing.assert_close(states[1, :, ::16], recorded("states"), atol=1e-5, rtol=0)


@pytest.mark.parametrize("pieces", [[1, 1, 1, 1, 1], [5], [2, 3]], ids=str)
def test_logits_equal_the_packages(files: dalle.DalleFiles, pieces: list[int]) -> None:
    config, _ = dalle.read_configs(files)
    decoder = dalle.load_decoder(files, config, torch.float32, "cpu")
    cache = decoder.read(*read(files, config), torch.tensor([0, 1]))
    drawn = recorded("drawn").expand(2, -1)
    logits = torch.cat([decoder(piece, cache) for piece in drawn.split(pieces, dim=1)], dim=1)
    torch.testing.assert_close(logits[..., ::5], recorded("logits"), atol=2e-5, rtol=0)


def test_images_of_the_published_vqgan_equal_the_packages(tmp_path: Path) -> None:
    shapes = folders.vqgan_shapes(16384, 256, (128, 128, 256, 256, 512), (False,) * 4 + (True,))
    folders.save_pt(folders.weights(shapes), tmp_path / "detoker")
    config = dalle.vqgan_config(tmp_path / "detoker.pt")
    assert config.scale == 16
    image = dalle.load_vqgan(tmp_path / "detoker.pt", config, "cpu")(recorded("codes"))
    assert image.shape == (1, 3, 32, 32)
    torch.testing.assert_close(image[0, :, ::6, ::6], recorded("picture"), atol=1e-5, rtol=0)


def test_tokens_of_a_text_equal_the_packages(files: dalle.DalleFiles) -> None:
    tokenizer = DalleTokenizer(files.vocabulary, files.merges)
    for prompt, tokens in zip(RECORDED["prompts"], RECORDED["tokens"], strict=True):
        assert tokenizer.encode(prompt, 64).tokens == tokens


def test_what_is_cut_of_a_text_is_told_and_its_end_stays(files: dalle.DalleFiles) -> None:
    tokenizer = DalleTokenizer(files.vocabulary, files.merges)
    encoded = tokenizer.encode("flying bat " * 40, 9)
    assert encoded.tokens == [tokenizer.begin, *[36, 38] * 3, 36, tokenizer.end]
    assert encoded.cut.split() == ["bat", *["flying", "bat"] * 36]


def test_mini_and_mega_are_told_by_their_shapes(monkeypatch: pytest.MonkeyPatch, files: dalle.DalleFiles) -> None:
    """The numbers that the package holds fixed for each (min_dalle.py, version 0.4.11)."""
    for layers, width, inner, text, image in ((12, 1024, 2730, 50264, 16384), (24, 2048, 4096, 50272, 16415)):

        def shapes(name: str, places: int, tokens: int, of: tuple[Any, ...] = (layers, width, inner)) -> Any:
            monkeypatch.setattr(folders, "LAYERS", of[0])
            monkeypatch.setattr(folders, "WIDTH", of[1])
            monkeypatch.setattr(folders, "INNER", of[2])
            return folders.bart(tokens, places, crossed=name == "decoder")

        vqgan = folders.vqgan_shapes(16384, 256, (128, 128, 256, 256, 512), (False,) * 4 + (True,))
        of_file = {
            files.encoder: shapes("encoder", 64, text),
            files.decoder: shapes("decoder", 256, image + 1),
            files.detoker: vqgan,
        }
        monkeypatch.setattr(dalle, "read_shapes", of_file.__getitem__)
        config, painter = dalle.read_configs(files)
        assert config == DalleConfig(text, 64, image + 1, 256, 16384, layers, width // 64, width, inner)
        assert config.start == 2**14 - 1
        assert painter == dalle.VQGANConfig()

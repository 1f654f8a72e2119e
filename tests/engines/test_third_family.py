"""A family of image models moves in as a model and a layout: the engine draws with it and names none."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import genarium
from genarium.checkpoints import layouts
from genarium.checkpoints.layouts import text_to_image as layout
from genarium.diffusion.process import Process
from genarium.diffusion.schedules import FlowSchedule
from genarium.engines.image.latent import LatentImage
from genarium.engines.image.protocol import ImageRequest, settle
from genarium.errors import BadCheckpoint
from genarium.models.text_to_image import Conditioning

KIND = "PixelWords"
PROCESS = Process(FlowSchedule(), prediction="flow", sampler="euler")


@dataclass(frozen=True)
class PixelWordsConfig:
    """Pixels are the latents, and a mean word moves their colours."""

    sample_size: int = 16
    factor: int = 1
    latent_channels: int = 3
    cross_attention_dim: int = 384
    enlarges: bool = False

    def working_memory(self, width: int, height: int, context: int) -> int:
        return width * height * 12


class PixelWords(nn.Module):
    kind = KIND

    def __init__(self, config: PixelWordsConfig):
        super().__init__()
        self.config, self.colours = config, nn.Linear(config.cross_attention_dim, 3)

    @property
    def denoiser(self) -> nn.Module:
        return self

    def forward(self, x: Tensor, t: Tensor, words: Tensor, mask: Tensor, grey: Tensor) -> Tensor:
        mean = (words * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return x - self.colours(mean)[:, :, None, None] - grey[:, :, None, None]

    def to_latents(self, images: Tensor) -> Tensor:
        return images

    def from_latents(self, latents: Tensor, conditioning: Conditioning) -> Tensor:
        return latents

    def planned(
        self, asked: Conditioning, negative: Conditioning, generator: torch.Generator
    ) -> tuple[Conditioning, Conditioning]:
        """It also reads a grey of its own, which no other family does."""
        grey = torch.rand(1, 1, generator=generator)
        return asked.also(grey=grey), negative.also(grey=grey)

    def looks(self, places: int) -> tuple[list[nn.Module], Callable[[Tensor], Tensor]]:
        return [], lambda weights: weights


def read_config(path: Path) -> PixelWordsConfig:
    return PixelWordsConfig(**json.loads((path / "pixels" / "config.json").read_text()))


def load(path: Path, **how: Any) -> PixelWords:
    model = PixelWords(read_config(path))
    model.load_state_dict(load_file(path / "pixels" / "model.safetensors"))
    return model.requires_grad_(False).eval()


def save(model: PixelWords, path: Path, *, dtype: torch.dtype) -> dict[str, list[str]]:
    (path / "pixels").mkdir(parents=True)
    (path / "pixels" / "config.json").write_text(json.dumps(asdict(model.config)))
    save_file(model.state_dict(), path / "pixels" / "model.safetensors")
    return {"pixels": ["pixels", KIND]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    known = layouts.found("image")
    brought = layouts.Layout("image", (KIND,), load, read_config, save)
    monkeypatch.setattr(layouts, "found", lambda capability: [*known, brought] if capability == "image" else [])
    torch.manual_seed(0)
    model = PixelWords(PixelWordsConfig())
    layout.write(tmp_path / "pixels", model, PROCESS, text_encoder="starter/encoder", context=32, steps=4, guidance=2.0)
    return tmp_path / "pixels"


def test_the_engine_draws_with_a_family_that_it_has_never_seen(folder: Path) -> None:
    engine = LatentImage(folder)
    request = settle(ImageRequest("a bat", (1, 2)), engine)
    one, other = (image.pixels for image in engine.generate(request))
    assert one.shape == (16, 16, 3)
    assert not np.array_equal(one, other)
    # The same numbers by hand: what is settled first, noise and steps from one generator, both halves compared.
    model, prompts = engine._parts
    source = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        both = prompts.conditioning(*prompts.tokens(["a bat", ""]))
        grey = torch.rand(1, 1, generator=source)
        x = torch.randn(1, 3, 16, 16, generator=source)

        def denoise(x: Tensor, t: Tensor) -> Tensor:
            asked, negative = (model.denoiser(x, t, **both.rows(slice(row, row + 1)), grey=grey) for row in range(2))
            return negative + 2.0 * (asked - negative)

        drawn = PROCESS.sample(denoise, x, PROCESS.levels(4))
    expected = ((drawn[0] + 1) * 127.5).clamp(0, 255).permute(1, 2, 0).numpy()
    assert np.abs(one - expected).max() <= 1


def test_a_folder_of_no_known_family_is_named_with_what_it_is_made_of(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index["pixels"] = ["pixels", "Unheard"]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(BadCheckpoint, match=r"made of Unheard, .*; what draws here is one of UNet2DConditionModel, "):
        LatentImage(folder)


NETWORKS = {
    node.name
    for file in (Path(genarium.__file__).parent / "models").glob("*.py")
    for node in ast.parse(file.read_text("utf-8")).body
    if isinstance(node, ast.ClassDef) and not node.name.endswith("Config")
    if any(isinstance(base, ast.Attribute) and base.attr == "Module" for base in node.bases)
}


def test_nothing_but_a_layout_asks_a_network_for_its_class() -> None:
    asked = []
    room = Path(genarium.__file__).parent
    for file in room.rglob("*.py"):
        if file.is_relative_to(room / "checkpoints" / "layouts") or file.is_relative_to(room / "models"):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
                named = {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
                asked += [f"{file.relative_to(room)}: {name}" for name in named & NETWORKS]
    assert not asked

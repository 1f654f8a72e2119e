"""bfloat16 on every CPU: as oneDNN multiplies it where it does, layer by layer in float32 where it refuses."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from genarium import devices
from genarium.engines.cpu.packed import PackedLinear, attend
from genarium.engines.cpu.upcast import use_float32_products
from genarium.engines.text.native import NativeText
from genarium.engines.text.protocol import TextRequest
from genarium.engines.vision.caption import CaptionRequest, NativeCaption
from genarium.errors import BadInput
from genarium.progress import Event, listening
from genarium.training.optimizers import Muon
from genarium.training.settings import Settings, resolve_precision
from tests.caption_models import MAKERS


def test_the_processor_that_is_asked_for_is_the_one_that_is_tested() -> None:
    """CI runs what computes a second time as on a processor without AVX-512."""
    if os.environ.get("ONEDNN_MAX_CPU_ISA") == "AVX2":
        assert devices.cpu_bfloat16() == "plain"
    if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
        assert torch.backends.cpu.get_cpu_capability() == "AVX2"


LAYERS = {
    "linear": (lambda: nn.Linear(48, 20), (48,)),
    "linear without bias": (lambda: nn.Linear(48, 20, bias=False), (48,)),
    "conv1d": (lambda: nn.Conv1d(8, 12, 3, padding=1), (8, 20)),
    "conv2d": (lambda: nn.Conv2d(8, 12, 3, stride=2, padding=1, padding_mode="reflect"), (8, 10, 10)),
    "conv3d": (lambda: nn.Conv3d(3, 6, (2, 4, 4), bias=False), (3, 2, 8, 8)),
}


@pytest.fixture(params=["this CPU", "plain"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """This one as it is, and as one whose oneDNN takes no bfloat16."""
    if request.param == "plain":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
        assert devices.cpu_bfloat16() == "plain"
    return devices.cpu_bfloat16()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_a_layer_multiplies_and_rounds_once(monkeypatch: pytest.MonkeyPatch, kind: str, rows: int) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    torch.manual_seed(0)
    make, shape = LAYERS[kind]
    layer, x = make().bfloat16(), torch.randn(rows, *shape).bfloat16()
    model = nn.Sequential(layer)
    with torch.inference_mode():
        expected = layer.double()(x.double())
        layer.bfloat16()
        use_float32_products(model)
        found = model(x)
    assert type(model[0]) not in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    assert found.dtype == torch.bfloat16
    # Half a unit in bfloat16's eighth bit.
    torch.testing.assert_close(found.double(), expected, rtol=2**-8, atol=1e-6)


def test_float32_layers_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    model = nn.Sequential(nn.Linear(4, 4), nn.Conv2d(4, 4, 1))
    use_float32_products(model)
    assert [type(layer) for layer in model] == [nn.Linear, nn.Conv2d]


@pytest.mark.parametrize("activation", [None, "relu", "gelu", "gelu_tanh"])
def test_packed_layers_are_the_plain_ones(processor: str, activation: str | None) -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(64, 96), torch.randn(200, 64)
    acts = {None: nn.Identity(), "relu": nn.ReLU(), "gelu": nn.GELU(), "gelu_tanh": nn.GELU(approximate="tanh")}
    with torch.inference_mode():
        expected = acts[activation](layer(x))
        torch.testing.assert_close(PackedLinear(layer, torch.float32, activation)(x), expected, atol=1e-5, rtol=1e-4)
        fast = PackedLinear(layer, torch.bfloat16, activation)(x)
    torch.testing.assert_close(fast.float(), expected, atol=2e-2, rtol=2e-2)


def test_attention_of_long_texts_is_near_float32(processor: str) -> None:
    qkv = torch.randn(150, 3 * 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(attend(qkv.bfloat16(), 4).float(), attend(qkv, 4), atol=5e-2, rtol=5e-2)


def test_text_is_written_and_a_note_says_where_it_is_slow(tiny: Path, processor: str) -> None:
    told: list[Event] = []
    with listening(told.append):
        engine = NativeText(tiny, dtype="bfloat16", device="cpu")
    assert [event.stage for event in told if event.preview == devices.SLOW_BFLOAT16] == ["note"] * (
        processor != "native"
    )
    tokens = torch.randint(0, 300, (2, 20), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found, expected = (
            engine.decoder.network(tokens),
            NativeText(tiny, dtype="float32", device="cpu").decoder.network(tokens),
        )
    assert found.dtype == torch.bfloat16
    assert float((found - expected).std() / expected.std()) < 0.02
    request = TextRequest(n=2, max_new_tokens=12, seed=1)
    first, second = ([one.text for one in engine.write(["The fox"], request)] for _ in range(2))
    assert first == second
    assert all(first)


@pytest.mark.parametrize("kind", MAKERS)
def test_captions_are_written(tmp_path: Path, processor: str, kind: str) -> None:
    from genarium.engines.vision.image_text import ImageTextCaption

    MAKERS[kind](tmp_path)
    opened = NativeCaption if kind in ("blip", "git") else ImageTextCaption
    engine = opened(tmp_path, dtype="bfloat16", device="cpu")
    images = [Image.effect_noise((40, 30), 80).convert("RGB")]
    request = CaptionRequest(n=1, max_new_tokens=5)
    [[found]] = engine.describe(images, request)
    assert found.text
    # Random weights may choose another word at a close call; the score of five of them stays near.
    [[expected]] = opened(tmp_path, dtype="float32", device="cpu").describe(images, request)
    assert found.score == pytest.approx(expected.score, rel=0.1)


def test_training_in_it_is_refused_where_it_only_costs_time(processor: str) -> None:
    model, settings = nn.Linear(300, 300), Settings(precision="bfloat16", device="cpu")
    if processor == "plain":
        with pytest.raises(BadInput, match=r"no instructions for bfloat16 .* choose precision float32, or auto"):
            resolve_precision(settings, model)
        assert resolve_precision(replace(settings, precision="auto"), model) == torch.float32
    else:
        assert resolve_precision(settings, model) == torch.bfloat16


@pytest.mark.parametrize("shape", [(24, 60), (60, 24)])
def test_muon_makes_the_steps_that_torch_s_makes(processor: str, shape: tuple[int, int]) -> None:
    start, steps = torch.randn(shape, generator=torch.Generator().manual_seed(0)), 4
    moved = []
    for kind, more in ((Muon, {}), (torch.optim.Muon, {"adjust_lr_fn": "match_rms_adamw"})):
        weights = nn.Parameter(start.clone())
        optimizer = kind([weights], lr=0.02, weight_decay=0.1, **more)
        draw = torch.Generator().manual_seed(1)
        for _ in range(steps):
            weights.grad = torch.randn(shape, generator=draw)
            optimizer.step()
        assert set(optimizer.state[weights]) == {"momentum_buffer"}
        moved.append(weights.detach() - start)
    [found, expected] = moved
    assert float((found - expected).norm() / expected.norm()) < (0.02 if processor == "plain" else 1e-6)

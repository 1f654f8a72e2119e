"""Networks laid out for a CPU give what they gave."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genarium.engines.cpu import clips, winograd
from genarium.engines.cpu.clips import PlaceLinear, use_clip_kernels
from genarium.engines.cpu.linear import DecodingLinear
from genarium.engines.cpu.winograd import Along, Around


@pytest.mark.parametrize("size", [(8, 8), (5, 7), (1, 3), (4, 13)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "remade"])
@pytest.mark.parametrize(
    ("kernel", "padding", "kind"), [((3, 3), (1, 1), Around), ((3, 1), (1, 0), Along)], ids=["around", "along"]
)
def test_sums_of_winograd_are_the_convolutions(
    kernel: tuple[int, int],
    padding: tuple[int, int],
    kind: type[nn.Module],
    bias: bool,
    kept: bool,
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not kept:
        monkeypatch.setattr(winograd, "KEPT", 0)
        monkeypatch.setattr(winograd, "FEWEST_PLACES", 30)
        monkeypatch.setattr(winograd, "IN_CACHE", 1)  # 32 outputs at once, of 40
    torch.manual_seed(0)
    conv = nn.Conv2d(12, 40, kernel, padding=padding, bias=bias).requires_grad_(False)
    x = torch.randn(2, 12, *size)
    expected = conv.double()(x.double()).float()
    conv.float()
    for given in (x, x.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(kind(conv)(given), expected, atol=2e-5, rtol=2e-5)


def test_a_network_laid_out_gives_what_it_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    from genarium.models.unet3d import UNet3D, UNet3DConfig

    monkeypatch.setattr(clips, "FEWEST", 8)
    monkeypatch.setattr(clips, "FEWEST_ALONG", 64)
    torch.manual_seed(0)
    config = UNet3DConfig(
        block_out_channels=(32, 64),
        attention=(True, False),
        heads=(4, 8),
        attention_head_dim=8,
        layers_per_block=1,
        cross_attention_dim=24,
        norm_num_groups=8,
    )
    model = UNet3D(config).requires_grad_(False).eval()
    x, t, words = torch.randn(1, 4, 5, 8, 6), torch.tensor([7.0]), torch.randn(2, 5, 24)
    with torch.inference_mode():
        expected = model(x, t, words)
        use_clip_kernels(model)
        torch.testing.assert_close(model(x, t, words), expected, atol=1e-4, rtol=1e-4)
    kinds = {type(module) for module in model.modules()}
    assert {Around, Along, PlaceLinear, DecodingLinear} <= kinds

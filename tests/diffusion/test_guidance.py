"""Guidance is its formula, asks the network once a step, and only the condition where it plays no part."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genarium.diffusion.guidance import guided


class Network:
    """Says x times its condition plus t, and keeps what it was asked."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        self.batches.append(len(x))
        assert mask is None
        return x * condition[:, :, None, None] + t[:, None, None, None] / 1000


@pytest.fixture
def asked() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 4, 5, 5), torch.full((3,), 400.0), torch.randn(3, 4), torch.randn(3, 4)


def test_it_is_the_formula_and_one_question_a_step(asked: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    x, t, towards, against = asked
    network = Network()
    found = guided(network, {"condition": towards}, {"condition": against}, 7.5)(x, t)
    assert network.batches == [6]
    one, other = network(x, t, towards, None), network(x, t, against, None)
    torch.testing.assert_close(found, other + 7.5 * (one - other))


def test_what_says_other_things_is_not_compared(asked: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    _, _, towards, against = asked
    with pytest.raises(ValueError, match="do not"):
        guided(Network(), {"condition": towards, "plan": towards}, {"condition": against}, 2.0)


@pytest.mark.parametrize("interval", [None, (500.0, 1000.0)], ids=["scale 1", "outside the interval"])
def test_the_condition_alone_is_asked_where_guidance_plays_no_part(
    asked: tuple[Tensor, Tensor, Tensor, Tensor], interval: tuple[float, float] | None
) -> None:
    x, t, towards, against = asked
    network = Network()
    scale = 1.0 if interval is None else 7.5
    found = guided(network, {"condition": towards}, {"condition": against}, scale, interval=interval)(x, t)
    assert network.batches == [3]
    torch.testing.assert_close(found, network(x, t, towards, None))


def test_inside_the_interval_it_guides(asked: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    x, t, towards, against = asked
    everywhere = guided(Network(), {"condition": towards}, {"condition": against}, 3.0)(x, t)
    torch.testing.assert_close(
        guided(Network(), {"condition": towards}, {"condition": against}, 3.0, interval=(0.0, 400.0))(x, t), everywhere
    )


def test_rescaled_wholly_each_image_spreads_as_the_conditions_does(
    asked: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    """Lin et al. 2023, eq. 15; half of it is half way, eq. 16."""
    x, t, towards, against = asked
    plain, half, whole = (
        guided(Network(), {"condition": towards}, {"condition": against}, 7.5, rescale=r)(x, t) for r in (0.0, 0.5, 1.0)
    )
    wanted = Network()(x, t, towards, None).std((1, 2, 3))
    torch.testing.assert_close(whole.std((1, 2, 3)), wanted)
    torch.testing.assert_close(half, (plain + whole) / 2)

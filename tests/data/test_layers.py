"""Layers lie where their poses say, and ways lead from box to box."""

from __future__ import annotations

import math

import pytest
import torch

from genarium.data.layers import Pose, Way, clear, clip, moments, overlaid, placed
from genarium.scenes.sprites import layer


def test_a_layer_over_the_whole_frame_is_itself() -> None:
    bus = layer("bus", None)
    shown = placed(bus, [Pose(0.5, 0.5, 1.0)], 32)[0]
    assert (shown - bus).abs().mean() < 0.03  # each pixel is the mean of four samples between its neighbours
    mirrored = placed(bus, [Pose(0.5, 0.5, 1.0, 0.0, True)], 32)[0]
    torch.testing.assert_close(mirrored, shown.flip(2), atol=1e-4, rtol=0)


def test_turning_is_clockwise_and_once_around_is_nothing() -> None:
    half = torch.zeros(4, 8, 8)
    half[:, :, :4] = 1.0  # the left half; a quarter of a turn on it is the upper one
    quarter, whole = placed(half, [Pose(0.5, 0.5, 1.0, math.pi / 2), Pose(0.5, 0.5, 1.0, 2 * math.pi)], 16)
    assert quarter[3, 1:6, 2:-2].min() > 0.9
    assert quarter[3, 10:].max() < 0.1
    torch.testing.assert_close(whole, placed(half, [Pose(0.5, 0.5, 1.0)], 16)[0], atol=1e-4, rtol=0)


def test_a_moved_layer_hides_what_lies_under_it_and_nothing_else() -> None:
    red = torch.stack([torch.ones(8, 8), torch.zeros(8, 8), torch.zeros(8, 8), torch.ones(8, 8)])
    under = torch.full((2, 3, 32, 32), 0.5)
    frames = overlaid(under, [red], [[Pose(0.25, 0.25, 0.25), Pose(0.75, 0.25, 0.25)]])
    for frame, left in zip(frames, (4, 20), strict=True):
        assert torch.allclose(frame[:, 5:11, left + 1 : left + 7], torch.tensor([1.0, 0, 0])[:, None, None], atol=1e-4)
        frame[:, 3:13, left - 1 : left + 9] = 0.5
        assert torch.allclose(frame, under[0])


@pytest.mark.parametrize("motion", ["still", "fly", "turn"])
def test_ways_begin_and_end_in_their_boxes(motion: str) -> None:
    way = Way((0, 8, 16, 24), (32, 0, 64, 32), motion)
    first, last = way.pose(0, 64), way.pose(1, 64)
    assert (first.x, first.y, first.side) == pytest.approx((8 / 64, 16 / 64, 16 / 64))
    assert (last.x, last.y, last.side) == pytest.approx((48 / 64, 16 / 64, 32 / 64), abs=1e-6)
    assert way.mirrored
    assert last.angle == pytest.approx(2 * math.pi if motion == "turn" else 0)


def test_things_that_meet_on_their_ways_are_not_clear_of_each_other() -> None:
    there, back = Way((0, 0, 16, 16), (48, 0, 64, 16)), Way((48, 0, 64, 16), (0, 0, 16, 16))
    assert not clear([there, back])
    assert clear([there, Way((0, 32, 16, 48), (48, 32, 64, 48))])
    assert not clear([Way((0, 0, 16, 16), (0, 0, 16, 16), "turn"), Way((16, 0, 32, 16), (16, 0, 32, 16))])


def test_a_clip_goes_from_one_background_to_the_other() -> None:
    first, last = torch.zeros(3, 16, 16), torch.ones(3, 16, 16)
    frames = clip(first, last, [], [], moments(5), 16)
    assert frames[:, 0, 0, 0].tolist() == [0, 0.25, 0.5, 0.75, 1]

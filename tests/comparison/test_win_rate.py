"""How often one is better, with its interval, and what a tie counts."""

from __future__ import annotations

import pytest

from genarium.comparison.win_rate import WinRate


def test_the_interval_is_wilson_s() -> None:
    # Newcombe 1998, table I, method 3, to the digits printed there.
    assert WinRate(81, 0, 182).interval == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert WinRate(0, 0, 20).interval == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert WinRate(1, 0, 28).interval == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_a_tie_counts_half_and_nothing_is_known_of_no_verdicts() -> None:
    assert WinRate(3, 4, 1).rate == 5 / 8
    assert WinRate(3, 4, 1).interval == WinRate(5, 0, 3).interval
    assert WinRate(3, 4, 1).of_the_other.rate == 3 / 8
    assert (WinRate(0, 0, 0).rate, WinRate(0, 0, 0).interval) == (0.5, (0.0, 1.0))
    assert "62.5% of 8" in str(WinRate(3, 4, 1))

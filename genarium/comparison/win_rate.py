"""How often one is better than the other, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

CONFIDENCE = 0.95


@dataclass(frozen=True)
class WinRate:
    """Verdicts over one of two: `wins`, `ties` and `losses`. A tie counts half for each."""

    wins: int
    ties: int
    losses: int

    @property
    def count(self) -> int:
        return self.wins + self.ties + self.losses

    @property
    def rate(self) -> float:
        """In [0, 1]; of no verdicts a half."""
        return (self.wins + self.ties / 2) / self.count if self.count else 0.5

    @property
    def interval(self) -> tuple[float, float]:
        """Where the rate is with `CONFIDENCE`: the score interval (Wilson 1927, eq. 8 of Brown et al. 2001).

        It is that of a share of `count` throws. Ties vary less than throws do, so with them it is rather too wide.
        """
        if not self.count:
            return 0.0, 1.0
        z, n, p = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), self.count, self.rate
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    @property
    def of_the_other(self) -> WinRate:
        return WinRate(self.losses, self.ties, self.wins)

    def as_dict(self) -> dict[str, Any]:
        """As JSON values; rates to six decimals."""
        told: dict[str, Any] = {"wins": self.wins, "ties": self.ties, "losses": self.losses, "count": self.count}
        low, high = self.interval
        told |= {"win_rate": round(self.rate, 6), "low": round(low, 6), "high": round(high, 6)}
        return told | {"confidence": CONFIDENCE, "ties_count": 0.5}

    def __str__(self) -> str:
        low, high = self.interval
        sure = f"{CONFIDENCE:.0%} interval {low:.1%} to {high:.1%}"
        return f"{self.rate:.1%} of {self.count} ({sure}; a tie counts half)"

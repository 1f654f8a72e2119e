"""From a reader's own scores to the chance that an answer is right (Platt 1999; for readers, Kamath et al. 2020,
arXiv:2006.09462): a logistic function of the logarithm, with two numbers for answers and two for "no answer".

They are fitted on questions the reader never saw (`scripts/reading/calibrate.py`) and kept in its config.json.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONFIG = "score_calibration"
LOW = 0.5
"""Below this an answer is likelier wrong than right."""
Line = tuple[float, float]


@dataclass(frozen=True)
class Calibration:
    """The chance is σ(offset + slope · ln score); `answer` and `no_answer` are (offset, slope), slopes above 0."""

    answer: Line
    no_answer: Line

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Calibration | None:
        """The one in a config.json; None where there is none. Raises ValueError."""
        found = config.get(CONFIG)
        if found is None:
            return None
        try:
            lines = [(float(offset), float(slope)) for offset, slope in (found["answer"], found["no_answer"])]
        except (TypeError, KeyError, ValueError):
            lines = []
        if (
            len(lines) != 2
            or not all(math.isfinite(x) for line in lines for x in line)
            or min(slope for _, slope in lines) <= 0
        ):
            raise ValueError(f"{CONFIG} must have answer and no_answer, an offset and a slope above 0 each")
        return cls(*lines)

    def null(self, log_score: float) -> float:
        """The log score at which an answer is as likely right as it is that there is none, of "no answer"'s own."""
        (offset, slope), (null_offset, null_slope) = self.answer, self.no_answer
        return (null_offset - offset + null_slope * log_score) / slope

    def chance(self, score: float) -> float:
        """The chance that what scores so is right; of "no answer" where its log score went through `null`."""
        if score <= 0:
            return 0.0
        at = self.answer[0] + self.answer[1] * math.log(score)
        return 1 / (1 + math.exp(-at)) if at > -700 else 0.0

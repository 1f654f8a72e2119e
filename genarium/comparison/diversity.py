"""How much a model's answers differ from each other: what alignment likes to cost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

# A run of letters and digits, one sign of the scripts that write no spaces, or a mark.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]")
LONGEST = 3


def diversity(texts: Sequence[str]) -> dict[str, Any]:
    """`words`: the mean length; `distinct_N`: of all runs of N words in all texts, the share that differ (Li et al.
    2016, arXiv:1510.03055, 5.1); None where there are none.
    """
    read = [WORD.findall(text.casefold()) for text in texts]
    told: dict[str, Any] = {"words": round(sum(map(len, read)) / len(read), 3) if read else None}
    for n in range(1, LONGEST + 1):
        runs = Counter(tuple(words[i : i + n]) for words in read for i in range(len(words) - n + 1))
        told[f"distinct_{n}"] = round(len(runs) / runs.total(), 6) if runs else None
    return told

"""Ranking answers by a reward model, which was taught what people prefer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.cache import kept
from genarium.engines.engine import Engine
from genarium.errors import BadInput
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.embed.reward import RewardRanker


def opens(found: Found) -> bool:
    from genarium.checkpoints.layouts.scorer_files import is_scorer

    return found.path is not None and found.path.is_dir() and is_scorer(found.path)


@kept
def open(found: Found, *, backend: str = "auto") -> RewardRanker:
    if backend == "onnx":
        raise BadInput(f"{found.reference} is a reward model, which torch computes; leave the backend to auto")
    emit("loading", preview=found.reference)
    from genarium.engines.embed.reward import RewardRanker

    assert found.path is not None
    return RewardRanker(found.path, found.reference)


ENGINE = Engine("rank", opens, open, order=5)

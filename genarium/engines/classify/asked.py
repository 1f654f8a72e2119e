"""What the ways to classify refuse in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genarium.errors import BadInput

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found


def no_calibration(found: Found, calibrate: bool) -> None:
    if calibrate:
        raise BadInput(
            f"{found.reference} is no generative model: there is nothing to calibrate; leave out --calibrate"
        )


def need_labels(found: Found, labels: Sequence[str] | None) -> Sequence[str]:
    if labels is None:
        raise BadInput(f"{found.reference} has no labels of its own; name them: --labels positive,negative")
    return labels

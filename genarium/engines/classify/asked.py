"""What a classifier is asked for, and what the ways to classify refuse in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genarium.errors import BadInput

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found


@dataclass(frozen=True)
class ClassifyRequest:
    """`examples` are texts with their labels; `template` and `calibrate` are for the ways that read or write them."""

    labels: Sequence[str] | None
    examples: Sequence[tuple[str, str]] = ()
    template: str | None = None
    calibrate: bool = False

    def refuse_calibration(self, found: Found) -> None:
        """Raises BadInput where it is asked for."""
        if self.calibrate:
            raise BadInput(
                f"{found.reference} is no generative model: there is nothing to calibrate; leave out --calibrate"
            )

    def named(self, found: Found) -> Sequence[str]:
        """The labels. Raises BadInput where none are given."""
        if self.labels is None:
            raise BadInput(f"{found.reference} has no labels of its own; name them: --labels positive,negative")
        return self.labels

"""A summary of a text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from genarium.artefacts.text import Text


@dataclass(kw_only=True)
class Summary(Text):
    """`method` is `extractive` (sentences of the text, word for word) or `abstractive` (in a model's own words).

    `spans` are the character ranges of extracted sentences, in the text as it was given.
    """

    kind: ClassVar[str] = "summary"

    method: str
    spans: list[list[int]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"method": self.method, "spans": self.spans}

"""A drawn figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from genarium.artefacts.png import Png


@dataclass(kw_only=True)
class Plot(Png):
    """A figure as a PNG file; `caption` says in a sentence what it shows."""

    kind: ClassVar[str] = "plot"

    png: bytes
    caption: str

    def content(self) -> bytes:
        return self.png

    def facts(self) -> dict[str, Any]:
        return {"caption": self.caption}

    def title(self) -> str:
        return self.caption

    def __str__(self) -> str:
        return self.caption

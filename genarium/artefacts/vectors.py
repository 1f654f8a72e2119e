"""Texts as vectors."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from genarium.artefacts.artefact import Artefact
from genarium.rows import line

if TYPE_CHECKING:
    import numpy as np

SHOWN = 4
"""How many of a vector's numbers are shown in a terminal."""


@dataclass(kw_only=True)
class Vectors(Artefact):
    """One vector a text. `embeddings` is (len(texts), C) float32; `static`, where asked for, of the same shape.

    The file is safetensors with those two names, and the texts as a JSON list in its metadata under `texts`.
    """

    kind: ClassVar[str] = "vectors"
    suffix: ClassVar[str] = ".safetensors"
    media_type: ClassVar[str] = "application/octet-stream"

    texts: list[str]
    embeddings: np.ndarray
    static: np.ndarray | None = None

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays by their names in the file."""
        return {"embeddings": self.embeddings} | ({} if self.static is None else {"static": self.static})

    def content(self) -> bytes:
        from safetensors.numpy import save

        return save(self.tensors(), metadata={"texts": json.dumps(self.texts, ensure_ascii=False)})

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        return (cls.suffix, ".npy", ".jsonl")

    def as_file(self, suffix: str) -> bytes:
        """`.npy` has the embeddings alone, `.jsonl` one object a text."""
        if suffix == ".npy":
            import numpy as np

            out = io.BytesIO()
            np.save(out, self.embeddings)
            return out.getvalue()
        return b"".join(map(line, self.rows())) if suffix == ".jsonl" else self.content()

    def rows(self) -> list[dict[str, Any]]:
        """One JSON object a text, with the numbers."""
        # Eight decimals are more than float32 holds in numbers below 1.
        arrays = {name: array.astype(float).round(8).tolist() for name, array in self.tensors().items()}
        singular = {"embeddings": "embedding", "static": "static"}
        return [
            {"text": text} | {singular[name]: array[place] for name, array in arrays.items()}
            for place, text in enumerate(self.texts)
        ]

    def facts(self) -> dict[str, Any]:
        return {"count": len(self.texts), "width": self.embeddings.shape[1], "static": self.static is not None}

    def as_json(self) -> dict[str, Any]:
        return self.facts() | {"rows": self.rows()}

    def title(self) -> str:
        return " | ".join(" ".join(text.split()) for text in self.texts[:10])

    def __str__(self) -> str:
        lines = []
        for place, text in enumerate(self.texts):
            for name, array in self.tensors().items():
                shown = " ".join(f"{number:8.4f}" for number in array[place, :SHOWN])
                lines.append(f"{name:<10} {shown} … ({array.shape[1]} numbers)  {' '.join(text.split())[:60]}")
        return "\n".join(lines)

"""A GGUF file: its metadata, and its tensors by name, read where they lie.

The package `gguf` undoes the quantisation. Nothing is copied before it is asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genarium.checkpoints.store import mapped
from genarium.checkpoints.store.gguf_header import MAGIC, OTHERS, Header
from genarium.errors import BadCheckpoint

AGAIN = mapped.AGAIN


class GGUF(mapped.TensorFile):
    """`metadata` by key, `tensors` by name; `values` and `blocks` read one of them.

    Raises BadCheckpoint where the file is cut short, lies about what is in it, or is of a kind not read here.
    """

    def __init__(self, path: Path):
        super().__init__(path)
        header = Header(self._bytes, path)
        self.metadata, self.tensors = header.read()
        self._not_split()

    def _not_split(self) -> None:
        parts = self.metadata.get("split.count", 1)
        if isinstance(parts, int) and parts > 1:
            raise BadCheckpoint(
                f"{self.path} is one of {parts} parts of a model; put them together with llama.cpp's "
                "llama-gguf-split --merge, and name the file that writes"
            )


def is_gguf(path: Path) -> bool:
    """Whether the file is called one, or begins as one does."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".gguf":
        return True
    return mapped.begins(path, MAGIC)


def metadata(path: Path) -> dict[str, Any]:
    """What the file says of itself, whatever its tensors are. Raises BadCheckpoint."""
    return Header(mapped.bytes_of(path), path).keys()[0]


def unread_kind(path: Path) -> str:
    """The first of its tensors' quantisations that is known and not read here; empty where all are. Raises
    BadCheckpoint."""
    header = Header(mapped.bytes_of(path), path)
    kinds = [header.tensor()[2] for _ in header.counted(header.keys()[1], 24, "tensors")]
    return next((f"GGML's type {kind} ({OTHERS[kind]})" for kind in kinds if kind in OTHERS), "")


def read(path: Path) -> GGUF:
    """The file, whose header is read once as long as it stays as it is. Raises BadCheckpoint."""
    return mapped.kept(GGUF, path)

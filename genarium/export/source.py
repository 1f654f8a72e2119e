"""A decoder that is to be written in another layout: its config, and its tensors one by one where they lie.

All of it is looked at before anything is written: what is missing, of another shape or not known is refused first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.layouts.gpt_config import MODEL_TYPES
from genarium.checkpoints.layouts.gpt_names import published_names, with_prefix
from genarium.checkpoints.store import adapters, catalogue, folder, gguf
from genarium.checkpoints.store.find import Found, find
from genarium.engines.backends.onnx.weights import Lying, Weights
from genarium.errors import BadCheckpoint, BadInput
from genarium.models.gpt_config import GPTConfig, shapes

FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""GGML's and safetensors' names of them, and what an option calls them."""


@dataclass(frozen=True)
class Part:
    """A published tensor: its name, what native tensor it is of, and where it lies.

    `values()` has a matrix's outputs first; `transposed` says that a Hugging Face folder has them last.
    """

    name: str
    native: str
    lying: Lying
    transposed: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """As `values` has it."""
        return self.lying.shape[::-1] if self.transposed and self.lying.file is None else self.lying.shape

    def values(self) -> NDArray[np.float32]:
        """In float32. Raises BadCheckpoint where a value is no number."""
        values = np.ascontiguousarray(self.lying.values(), np.float32)
        if not np.isfinite(values).all():
            raise BadCheckpoint(f"{self.name} holds values that are not numbers; download the checkpoint again")
        return values


class Source:
    """The decoder that a reference means. Raises ModelNotFound, BadCheckpoint, and BadInput for what is no decoder."""

    def __init__(self, reference: str):
        self.found: Found = find(reference, default="text")
        path = self.found.path
        if path is None:
            raise BadInput(f"{reference} is behind an endpoint; nothing of it is on this machine to export")
        self.path: Path = path
        self.raw: dict[str, Any] = _config(path, self.found.reference)
        self.kind: str = self.raw["model_type"]
        self.weights = Weights(path, merged=True)
        self.config: GPTConfig = self.weights.config
        self.raw |= {"vocab_size": self.config.vocab_size, "tie_word_embeddings": self.config.tie_embeddings}
        self.shapes: Mapping[str, tuple[int, ...]] = shapes(self.config)
        self.parts: list[Part] = [part for name in self.shapes for part in self._parts(name)]
        self.weights.finish()

    def _parts(self, native: str) -> Iterator[Part]:
        names, transposed = published_names(native, self.kind)
        for name, lying in zip(names, self.weights.parts(native, self.shapes[native]), strict=True):
            yield Part(with_prefix(name, self.kind), native, lying, transposed)

    def scaled(self, part: Part) -> NDArray[np.float32]:
        """The part's values, with what a GPT-2's queries are multiplied by where another network has no such field."""
        if self.kind != "gpt2":
            return part.values()
        part.values()  # refuses what is no number by the part's own name
        return self.weights.values(part.native, self.shapes[part.native])

    @property
    def is_gguf(self) -> bool:
        return gguf.is_gguf(self.path)

    @property
    def name(self) -> str:
        """What a file of it is called where nobody says."""
        if self.found.reference.startswith("ollama:"):
            return self.found.reference.partition(":")[2].rpartition("/")[2].replace(":", "-")
        stem = self.path.stem if self.is_gguf else self.path.name
        snapshot = self.path.parent.name == "snapshots"  # the hub's cache calls a folder by its commit
        return self.found.reference.partition("@")[0].rpartition("/")[2] if snapshot else stem

    @property
    def licence(self) -> str:
        """Of a starter; empty where that is not known."""
        starter = catalogue.named(self.found.reference)
        return starter.licence if starter else ""

    @property
    def dtype(self) -> str:
        """What its matrices are stored in, where that is one floating type; float32 where it is several, or blocks."""
        kinds = {part.lying.kind for part in self.parts if len(part.shape) > 1}
        return FLOATS.get(kinds.pop(), "float32") if len(kinds) == 1 else "float32"

    @property
    def origin(self) -> dict[str, str]:
        """Where what is written comes from, for the place that each layout has for that."""
        return {
            "source": self.found.reference,
            "source_sha256": self.found.digest,
            "exported_by": f"genarium {_version()}",
        }


def _config(path: Path, reference: str) -> dict[str, Any]:
    raw = dict(folder.read_config(path)) if not (path / "model_index.json").is_file() else {"model_type": "diffusers"}
    if raw["model_type"] not in MODEL_TYPES:
        raise BadInput(
            f"{reference} is a {raw['model_type']!r} model, and what can be exported are decoders of the kinds "
            f"{', '.join(MODEL_TYPES)}; other folders are in a layout that others open already"
        )
    if adapters.is_adapter(path):
        raw.pop("base_sha256", None)
    return raw


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("genarium")
    except PackageNotFoundError:  # a source tree that is not installed
        return "unknown"

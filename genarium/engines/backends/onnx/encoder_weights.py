"""An encoder's weights by the native network's names, as arrays that lie in the folder's mapped files. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.layouts import encoder_config as layout
from genarium.checkpoints.layouts.encoder_names import HEADS, published_names
from genarium.checkpoints.store import arrays, folder
from genarium.checkpoints.store.ggml import Blocks
from genarium.checkpoints.store.tensors import Stored
from genarium.errors import BadCheckpoint
from genarium.models.encoder_config import EncoderConfig


class EncoderWeights:
    """What `path` holds; an adapter merged into its base. Raises BadCheckpoint, also in its methods."""

    def __init__(self, path: Path):
        self.path = path
        self.raw, self.stored = layout.read(path, arrays.read)
        self.kind: str = self.raw["model_type"]
        config = layout.read_config(self.raw, str(path))
        has_pooler = any(name.startswith("pooler.") for name in self.stored)
        self.config: EncoderConfig = config if has_pooler else replace(config, pooler=False)

    def value(self, name: str, shape: Sequence[int]) -> NDArray[np.float32]:
        """The native tensor of that name, float32; shape and values are checked."""
        names = published_names(name, self.kind)
        parts = [checked(self.stored, part, [shape[0] // len(names), *shape[1:]], self.path) for part in names]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def words(self) -> Blocks | NDArray[np.float32]:
        """The embedding table (V, C), in blocks where it is stored so: a text reads few of its rows."""
        [name] = published_names("embedding.weight", self.kind)
        table: Any = self.stored.get(name)
        if not isinstance(table, Blocks):
            return self.value("embedding.weight", (self.config.vocab_size, self.config.d_model))
        if not np.isfinite(table.scales()).all():
            raise BadCheckpoint(f"{self.path}: {name} holds values that are not numbers; download it again")
        return table

    def parts(self, name: str, shape: Sequence[int]) -> list[NDArray[np.float32]]:
        """The published tensors that together are a native one, each of `shape`, not copied."""
        return [checked(self.stored, part, shape, self.path) for part in published_names(name, self.kind)]

    def finish(self) -> None:
        """Raises BadCheckpoint where a tensor was passed over that is not of another head."""
        self.stored.refuse_left_over(self.path, [HEADS])


def checked(stored: Stored, name: str, shape: Sequence[int], where: Path) -> NDArray[np.float32]:
    """A stored array of this shape that holds numbers. Raises BadCheckpoint."""
    array: Any = folder.require(stored, name, where)
    if isinstance(array, Blocks):
        array = array.values()
    if array.shape != tuple(shape):
        raise BadCheckpoint(
            f"{where}: {name} has shape {array.shape}, but config.json asks for {tuple(shape)}; the folder mixes parts "
            "of two models, so download it again"
        )
    if array.dtype != np.float32:
        raise BadCheckpoint(
            f"{where}: {name} is stored as {array.dtype}, so its weights are quantised, which is not run here; name "
            "the checkpoint in float16, bfloat16 or float32 that it was made from"
        )
    if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):  # neither passes over NaN
        raise BadCheckpoint(f"{where}: {name} holds values that are not numbers; download it again")
    return np.ascontiguousarray(array)  # type: ignore[no-any-return]

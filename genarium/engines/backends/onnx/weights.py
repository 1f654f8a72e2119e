"""A decoder's weights by the native network's names, from a Hugging Face folder or a GGUF file, without torch.

Nothing is read before it is asked for, and what nobody asked for is refused at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.layouts.gpt_config import query_scale, read_config
from genarium.checkpoints.layouts.gpt_names import UNNEEDED, published_names, top_names
from genarium.checkpoints.store import adapters, arrays, folder, gguf, gguf_names
from genarium.checkpoints.store.ggml import FLOATS, restored
from genarium.checkpoints.store.tensors import Stored
from genarium.engines.backends.onnx.quantise import Quantised, concatenated, of_ggml, quantise
from genarium.errors import BadCheckpoint
from genarium.models.gpt_config import GPTConfig


@dataclass(frozen=True)
class Lying:
    """A tensor where it lies: `stored` is (rows, bytes of a row) of a file that is mapped, in GGML's `kind`."""

    stored: NDArray[np.uint8]
    shape: tuple[int, ...]
    kind: str
    heads: int = 0  # whose rows are reordered (`gguf_names.rows_in_order`)
    transposed: bool = False
    file: gguf.GGUF | None = None
    name: str = ""

    def values(self) -> NDArray[np.float32]:
        """In float32."""
        if self.file is not None:
            values = gguf_names.rows_in_order(self.file.values(self.name), self.heads)
        else:
            values = restored(self.stored, self.kind).reshape(self.shape)
        return values.T if self.transposed else values


class Weights:
    """What `path` holds. Raises BadCheckpoint, also where a tensor is missing or of another shape than the config's.

    `merged`: an adapter is merged into its base, for which torch is needed; without, it is refused.
    """

    def __init__(self, path: Path, *, merged: bool = False):
        is_adapter = adapters.is_adapter(path)
        if is_adapter and not merged:
            raise BadCheckpoint(f"{path} is an adapter, which is not quantised here; run it with dtype float32")
        self.path = path
        self.raw: dict[str, Any] = folder.read_config(path)
        config = read_config(self.raw, str(path))
        self.kind: str = self.raw["model_type"]
        prefix = "transformer." if self.kind == "gpt2" else "model."
        if is_adapter:
            self.stored = Stored(_merged(path, config, self.kind))  # type: ignore[arg-type]
            embedding = self.stored.get(f"{top_names(self.kind)['embedding']}.weight")
            config = (
                config if embedding is None else replace(config, vocab_size=embedding.shape[0])
            )  # it may add tokens
        else:
            found = _of_gguf(path) if gguf.is_gguf(path) else _of_folder(path)
            self.stored = Stored(found).renamed(lambda name: name.removeprefix(prefix), path)  # type: ignore[arg-type]
        self.config: GPTConfig = replace(config, tie_embeddings=self._ties(config))

    def _ties(self, config: GPTConfig) -> bool:
        top = top_names(self.kind)
        head, embedding = f"{top['head']}.weight", f"{top['embedding']}.weight"
        if not config.tie_embeddings or head not in self.stored:
            return config.tie_embeddings
        if embedding not in self.stored:
            dict.__setitem__(self.stored, embedding, self.stored[head])
            return True
        return bool(np.array_equal(self._one(head).values(), self._one(embedding).values()))

    def _one(self, name: str) -> Lying:
        found: Any = folder.require(self.stored, name, self.path)
        return found  # type: ignore[no-any-return]

    def parts(self, name: str, shape: tuple[int, ...]) -> list[Lying]:
        """What the native tensor `name` is made of, whose shape is checked."""
        names, transposed = published_names(name, self.kind)
        parts = [self._one(part) for part in names]
        if unread := [part.kind for part in parts if part.file is None and part.kind not in FLOATS]:
            raise BadCheckpoint(
                f"{self.path}: {names[0]} is stored as {unread[0]}, which is not read here; name the checkpoint in "
                "float16, bfloat16 or float32 that it was made from"
            )
        if transposed:  # a GGUF file has what a folder has transposed the other way round already
            parts = [replace(part, transposed=not part.transposed) for part in parts]
        sizes = [part.shape[::-1] if transposed and part.file is None else part.shape for part in parts]
        whole = (sum(size[0] for size in sizes), *sizes[0][1:])
        if whole != shape or any(size[1:] != sizes[0][1:] for size in sizes):
            raise BadCheckpoint(
                f"{self.path}: {names[0]} has shape {whole}, but its config asks for {shape}; it mixes "
                "parts of two models, so download it again"
            )
        return parts

    def values(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The tensor in float32. Raises BadCheckpoint where it holds what is no number."""
        parts = self.parts(name, shape)
        values = np.concatenate([part.values() for part in parts]) if len(parts) > 1 else parts[0].values()
        if not np.isfinite(values).all():
            raise BadCheckpoint(f"{self.path}: {name} holds values that are not numbers; download it again")
        return self._scaled(name, np.ascontiguousarray(values, np.float32))

    def _scaled(self, name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if ".attention.qkv." not in name or (scale := self.query_scale(name)) == 1:
            return values
        values = values.copy()
        values[: self.config.d_model] *= np.float32(scale)
        return values

    def query_scale(self, name: str) -> float:
        return query_scale(self.raw, int(name.split(".")[1]), self.config)

    def quantised(self, name: str, shape: tuple[int, int], bits: int) -> Quantised:
        """The matrix at so many bits; blocks of a GGUF file are taken over where they can be, of fewer bits too."""
        taken: list[Quantised | None] = [None]
        if ".attention.qkv." not in name or self.query_scale(name) == 1:
            taken = [self._taken(part, bits) for part in self.parts(name, shape)]
        found = [one for one in taken if one is not None]
        if len(found) < len(taken) or len({one.bits for one in found}) > 1:
            found = [quantise(self.values(name, shape), bits)]
        whole = concatenated(found)
        if not np.isfinite(whole.scales).all() or not np.isfinite(0 if whole.beside is None else whole.beside).all():
            raise BadCheckpoint(f"{self.path}: {name} holds values that are not numbers; download it again")
        return whole

    @staticmethod
    def _taken(part: Lying, bits: int) -> Quantised | None:
        return of_ggml(gguf_names.rows_in_order(part.stored, part.heads), part.kind, bits) if part.file else None

    def finish(self) -> None:
        """Raises BadCheckpoint where a tensor was passed over."""
        self.stored.refuse_left_over(self.path, UNNEEDED.get(self.kind, ()))


def _merged(path: Path, config: GPTConfig, kind: str) -> Iterator[tuple[str, Lying]]:
    """The base's tensors with the adapter's put in."""
    from genarium.checkpoints.layouts import gpt

    for name, tensor in gpt.tensors(path, config, kind).items():
        values = np.ascontiguousarray(tensor.float().numpy())
        rows = values.view(np.uint8).reshape(values.shape[0] if values.ndim > 1 else 1, -1)
        yield name, Lying(rows, values.shape, "F32")


def _of_gguf(path: Path) -> Iterator[tuple[str, Lying]]:
    file = gguf.read(path)
    for name, place in gguf_names.places(path).items():
        tensor = file.tensors[place.name]
        if place.heads and tensor.shape[0] % (2 * place.heads):
            raise BadCheckpoint(f"{path}: the rows of {place.name} are no pairs of its heads; {gguf.AGAIN}")
        lying = Lying(file.blocks(place.name), tensor.shape, tensor.kind, place.heads, place.transposed)
        yield name, replace(lying, file=file, name=place.name)


def _of_folder(path: Path) -> dict[str, Lying]:
    found: Any = folder.of_files(path, _of_safetensors)
    return dict(found)


def _of_safetensors(file: Path) -> dict[str, Lying]:
    def rows(stored: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
        return stored.reshape(shape[0] if len(shape) > 1 and shape[0] else 1, -1)

    return {name: Lying(rows(stored, shape), shape, kind) for name, stored, kind, shape in arrays.mapped(file)}

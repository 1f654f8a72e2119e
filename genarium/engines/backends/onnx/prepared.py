"""A decoder made ready for onnxruntime: its graph, and its weights as the graph reads them, made once and then mapped.

What is made is kept in the data folder (`quantised/`) under the checkpoint's digest, so that opening it again reads no
checkpoint, quantises nothing and builds no graph. A file there is only a shortcut: one that is damaged, or of another
scheme, is made again; where none can be written, all is as if there were none. Of more than `MOST_KEPT` bytes the files
that were not opened for longest are removed, and a note says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genarium import files
from genarium.checkpoints.store import digest
from genarium.checkpoints.store.ggml import Blocks
from genarium.errors import BadCheckpoint, StorageError
from genarium.progress import note

BITS: dict[str, int | None] = {"float32": None, "int8": 8, "int4": 4}
SCHEME = 2
"""Of what is kept; another one where a file of the same checkpoint and precision would differ."""
MAGIC = b"genarium"
ALIGNED = 64
MOST_KEPT = 4 * 2**30
"""Bytes of all files there; the newest is kept, however large."""
LARGEST_FLOATS = 128 * 2**20
"""Bytes of float32 that are kept: reading those of a larger checkpoint again costs less than the room they take."""


@dataclass(frozen=True)
class Shape:
    """What of a config is asked for while it runs."""

    context_length: int
    vocab_size: int
    n_layers: int
    n_kv_heads: int
    head_dim: int


@dataclass(frozen=True)
class Serialised:
    """A graph, and the shapes in which it reads weights."""

    model: bytes
    shapes: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Prepared:
    """`embedding` has a row for each token, `positions` (T, C) are there where they are learned."""

    shape: Shape
    embedding: Blocks
    positions: NDArray[np.float32] | None
    graphs: dict[str, Serialised]
    """By what they are for: `steps`, and, where weights are quantised, `reading` of many tokens."""
    arrays: dict[str, NDArray[Any]]
    """The weights of all, by name."""

    def weights(self, of: str) -> dict[str, NDArray[Any]]:
        """Those of one graph, in the memory of `arrays`."""
        return {name: self.arrays[name].reshape(shape) for name, shape in self.graphs[of].shapes.items()}


def prepared(path: Path, dtype: str) -> Prepared:
    """The checkpoint in `path` at this precision, from the data folder where it is there. Raises BadCheckpoint."""
    sha = digest.of_file(path) if path.is_file() else digest.of_folder(path)
    file = files.home() / "quantised" / f"{sha}.{dtype}"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = _read(file)
        with contextlib.suppress(OSError):  # another user's file, or a folder to read alone, serves as well
            os.utime(file)  # the time of its last use
        return found
    made = _made(path, dtype)
    size = sum(array.nbytes for array in made.arrays.values())
    if files.home().is_dir() and (dtype != "float32" or size <= LARGEST_FLOATS):
        with contextlib.suppress(StorageError, OSError):  # another process may remove it at once
            _write(file, made)
            _remove_old(file)
    return made


def _remove_old(newest: Path) -> None:
    """Remove what was not used for longest, beyond `MOST_KEPT` bytes."""
    files_there = []
    for file in newest.parent.glob("*.*"):
        with contextlib.suppress(OSError):  # another process may remove it meanwhile
            if file.suffix[1:] in BITS and file != newest:
                files_there.append((file.stat().st_mtime, file.stat().st_size, file))
    room, removed = MOST_KEPT - newest.stat().st_size, 0
    for _, size, file in sorted(files_there, reverse=True):
        room -= size
        if room < 0:
            with contextlib.suppress(OSError):
                file.unlink()
                removed += 1
    if removed:
        note(
            f"removed {removed} of the oldest quantised weights in {newest.parent}, beyond {MOST_KEPT >> 30} GiB; they "
            "are made again where they are needed"
        )


def _made(path: Path, dtype: str) -> Prepared:
    from genarium.engines.backends.onnx import graph as graphs
    from genarium.engines.backends.onnx.reading_graph import ReadingGraph
    from genarium.engines.backends.onnx.weights import Weights

    weights = Weights(path)
    c = weights.config
    if cannot := graphs.of(c):
        raise BadCheckpoint(f"{path} {cannot}, which is not quantised here; run it with dtype float32")
    [embedding] = weights.parts("embedding.weight", (c.vocab_size, c.d_model))
    positions = None
    if c.positions == "learned":
        positions = weights.values("position_embedding.weight", (c.context_length, c.d_model))
    bits = BITS[dtype]
    made = {"steps": graphs.Graph(weights, bits)}
    if bits is not None:
        made["reading"] = ReadingGraph(weights, bits, made["steps"].matrices)
    weights.finish()
    shape = Shape(c.context_length, c.vocab_size, c.n_layers, c.n_kv_heads, c.head_dim)
    serialised: dict[str, Serialised] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for what, graph in made.items():
        outside = {name: array for name, array in graph.arrays.items() if array.dtype != np.int64}
        serialised[what] = Serialised(graph.model, {name: array.shape for name, array in outside.items()})
        arrays = outside | arrays
    return Prepared(shape, Blocks(embedding.stored, embedding.kind), positions, serialised, arrays)


def _write(file: Path, made: Prepared) -> None:
    """Raises StorageError."""
    arrays = {f"weight {name}": array for name, array in made.arrays.items()}
    arrays |= {f"graph {what}": np.frombuffer(graph.model, np.uint8) for what, graph in made.graphs.items()}
    arrays["embedding"] = np.ascontiguousarray(made.embedding.stored)
    if made.positions is not None:
        arrays["positions"] = made.positions
    told, end = {}, 0
    for name, array in arrays.items():
        told[name] = [array.dtype.str, array.shape, end]
        end += array.nbytes + -array.nbytes % ALIGNED
    shapes = {what: graph.shapes for what, graph in made.graphs.items()}
    about = {"scheme": SCHEME, "shape": asdict(made.shape), "kind": made.embedding.kind}
    about |= {"arrays": told, "graphs": shapes}
    header = json.dumps(about).encode()
    header += b" " * (-(len(MAGIC) + 16 + len(header)) % ALIGNED)

    def body() -> Iterator[memoryview | bytes]:
        yield header
        for array in arrays.values():
            yield array.reshape(-1).view(np.uint8).data
            yield bytes(-array.nbytes % ALIGNED)

    check = 0
    for part in body():
        check = zlib.crc32(part, check)
    start = MAGIC + check.to_bytes(8, "little") + len(header).to_bytes(8, "little")
    files.write_atomically(file, [start, *body()])


def _read(file: Path) -> Prepared:
    """Raises OSError, ValueError, KeyError or TypeError where it is not there, damaged, or not what is kept today."""
    if not file.stat().st_size:
        raise ValueError
    mapped = np.asarray(np.memmap(file, np.uint8, mode="r"))  # views of the class itself take fifty times as long
    begin = len(MAGIC) + 16
    check, size = mapped[len(MAGIC) : begin].view("<u8").tolist()
    if bytes(mapped[: len(MAGIC)]) != MAGIC or zlib.crc32(mapped[begin:].data) != check:
        raise ValueError
    about = json.loads(bytes(mapped[begin : begin + size]))
    if about["scheme"] != SCHEME:
        raise ValueError
    arrays = {}
    for name, (kind, shape, place) in about["arrays"].items():
        dtype = np.dtype(kind)
        at = begin + size + place
        arrays[name] = mapped[at : at + dtype.itemsize * int(np.prod(shape))].view(dtype).reshape(shape)
    weights = {name.removeprefix("weight "): array for name, array in arrays.items() if name.startswith("weight ")}
    graphs = {what: Serialised(bytes(arrays[f"graph {what}"]), shapes) for what, shapes in about["graphs"].items()}
    embedding = Blocks(arrays["embedding"], about["kind"])
    return Prepared(Shape(**about["shape"]), embedding, arrays.get("positions"), graphs, weights)

"""A binary file of weights that is mapped: reading on from a place in it, and its tensors where they lie."""

from __future__ import annotations

import gc
import math
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from genarium import files
from genarium.errors import BadCheckpoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AGAIN = "download the file again"


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies in its file; `shape` has the rows first, as numpy has it, `kind` is GGML's name."""

    shape: tuple[int, ...]
    kind: str
    offset: int
    size: int


class Cursor:
    """Reads on from a place in the file. Every length is held against what is left of the file before it is used."""

    def __init__(self, stored: mmap.mmap | bytes, path: Path):
        self.stored, self.path, self.at = stored, path, 0

    def number(self, code: str) -> Any:
        """One number of `struct`'s kind `code`, little-endian."""
        size = struct.calcsize(f"<{code}")
        if self.at + size > len(self.stored):
            raise self.bad("it ends in the middle of its header")
        [value] = struct.unpack_from(f"<{code}", self.stored, self.at)
        self.at += size
        return value

    def counted(self, count: int, each: int, what: str) -> Iterator[int]:
        """So many steps, once it is known that so many things of `each` bytes can be there."""
        if count * each > len(self.stored) - self.at:
            raise self.bad(f"it promises {count} {what}, which do not fit into its {len(self.stored)} bytes")
        return iter(range(count))

    def bad(self, said: str) -> BadCheckpoint:
        return BadCheckpoint(f"{self.path} is damaged or cut short: {said}; {AGAIN}")


class TensorFile:
    """`tensors` by name in the file `path`, whose bytes are mapped; `values` and `blocks` read one of them."""

    tensors: dict[str, Tensor]

    def __init__(self, path: Path):
        self.path = path
        self._bytes = bytes_of(path)

    def blocks(self, name: str) -> NDArray[np.uint8]:
        """The tensor as it is stored, (rows, bytes of a row), not copied."""
        import numpy as np

        tensor = self.tensors[name]
        flat = np.frombuffer(self._bytes, np.uint8, tensor.size, tensor.offset)
        return flat.reshape(math.prod(tensor.shape[:-1]), -1)

    def values(self, name: str) -> NDArray[np.float32]:
        """The tensor in float32, in its own shape."""
        from genarium.checkpoints.store.ggml import restored

        tensor = self.tensors[name]
        return restored(self.blocks(name), tensor.kind).reshape(tensor.shape)


Kind = TypeVar("Kind", bound=TensorFile)


def kept(kind: type[Kind], path: Path) -> Kind:
    """The file opened as this kind, once as long as it stays as it is. Raises BadCheckpoint."""
    try:
        told = path.stat()
    except OSError as error:
        raise BadCheckpoint(f"{path} can't be read: {files.reason(error)}; name another file") from None
    opened: Any = kind  # mypy takes a class for something that can't be hashed
    found: Kind = _kept(opened, path, told.st_size, told.st_mtime_ns)
    return found


@lru_cache(maxsize=4)
def _kept(kind: Any, path: Path, size: int, changed: int) -> Any:
    with no_collection():
        return kind(path)


@contextmanager
def no_collection() -> Iterator[None]:
    """Inside, Python looks for no cycles: a vocabulary of many texts would have it search them over and over."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def bytes_of(path: Path) -> mmap.mmap:
    """The file, mapped. Raises BadCheckpoint."""
    try:
        with path.open("rb") as opened:
            return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # an empty file can't be mapped
        said = files.reason(error) if isinstance(error, OSError) else "it is empty"
        raise BadCheckpoint(f"{path} can't be read: {said}; {AGAIN}") from None


def begins(path: Path, magic: bytes) -> bool:
    """Whether the file begins with these bytes."""
    try:
        with path.open("rb") as opened:
            return opened.read(len(magic)) == magic
    except OSError:
        return False

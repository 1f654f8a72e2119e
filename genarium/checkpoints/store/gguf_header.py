"""The header of a GGUF file: its metadata, and where its tensors lie.

Layout: github.com/ggml-org/ggml, docs/gguf.md, versions 2 and 3, little-endian. It is read here, since the `gguf`
package takes seconds for a vocabulary and believes what a file says of itself.
"""

from __future__ import annotations

import math
import struct
from typing import Any

from genarium.checkpoints.fields import shown
from genarium.checkpoints.store.mapped import Cursor, Tensor
from genarium.errors import BadCheckpoint

MAGIC = b"GGUF"
DEEPEST = 4
"""Dimensions of a tensor, as llama.cpp has it."""
# GGML's number of a type -> its name, values a block, bytes a block.
KINDS = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    30: ("BF16", 1, 2),
}
VALUES = {name: values for name, values, _ in KINDS.values()}
"""Values of a block."""
BYTES = {name: size for name, _, size in KINDS.values()}
STRING, ARRAY, BOOL = 8, 9, 7
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}


class Header(Cursor):
    """The metadata, and the tensors by name with where they lie."""

    def read(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        metadata, n_tensors = self.keys()
        told = [self.tensor() for _ in self.counted(n_tensors, 24, "tensors")]
        return metadata, self.placed(told, metadata.get("general.alignment", 32))

    def keys(self) -> tuple[dict[str, Any], int]:
        """The metadata, and how many tensors come after it."""
        if self.stored[:4] != MAGIC:
            raise self.bad("it does not begin as a GGUF file does")
        self.at = 4
        version = self.number("I")
        if version not in (2, 3):
            big = version & 0xFFFF == 0
            what = "it is for big-endian machines" if big else f"it is version {version} of the layout"
            raise BadCheckpoint(f"{self.path}: {what}, and 2 and 3, little-endian, are read; convert the model again")
        n_tensors, n_keys = self.number("Q"), self.number("Q")
        metadata: dict[str, Any] = {}
        for _ in self.counted(n_keys, 13, "metadata keys"):
            key = self.string("a metadata key")
            if key in metadata:
                raise self.bad(f"it has the key {shown(key)} twice")
            metadata[key] = self.value(self.number("I"), key)
        return metadata, n_tensors

    def placed(self, told: list[tuple[str, tuple[int, ...], int, int]], alignment: Any) -> dict[str, Tensor]:
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1) or alignment > 2**20:
            raise self.bad(f"its general.alignment is {shown(alignment)}, which is no power of two")
        begins = -(-self.at // alignment) * alignment
        tensors: dict[str, Tensor] = {}
        for name, shape, number, offset in told:
            if number not in KINDS:
                raise BadCheckpoint(
                    f"{self.path}: {shown(name, quoted=False)} is quantised as GGML's type {number}"
                    f"{f' ({OTHERS[number]})' if number in OTHERS else ''}, which is not read here; get the model as "
                    "Q4_0, Q4_K, Q5_K, Q6_K, Q8_0 or F16"
                )
            kind, values, size = KINDS[number]
            if shape[-1] % values:
                raise self.bad(f"{shown(name)} has rows of {shape[-1]} values, and {kind} has blocks of {values}")
            size = math.prod(shape) // values * size
            if offset % alignment or begins + offset + size > len(self.stored):
                raise self.bad(f"{shown(name)} lies beyond its end, or between two of its places")
            if name in tensors:
                raise self.bad(f"it has the tensor {shown(name)} twice")
            tensors[name] = Tensor(shape, kind, begins + offset, size)
        return tensors

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self.string("a tensor's name")
        n = self.number("I")
        if not 1 <= n <= DEEPEST:
            raise self.bad(f"{shown(name)} has {n} dimensions")
        shape = tuple(self.number("Q") for _ in range(n))[::-1]
        if not all(0 < size < 2**40 for size in shape):
            raise self.bad(f"{shown(name)} has the shape {shown(shape)}")
        return name, shape, self.number("I"), self.number("Q")

    def value(self, kind: int, key: str) -> Any:
        if kind == STRING:
            return self.string(key)
        if kind == ARRAY:
            return self.array(key)
        if kind not in NUMBERS:
            raise self.bad(f"{shown(key)} is of the unknown type {kind}")
        value = self.number(NUMBERS[kind])
        return bool(value) if kind == BOOL else value

    def array(self, key: str) -> list[Any]:
        kind, count = self.number("I"), self.number("Q")
        if kind == STRING:
            self.counted(count, 8, f"values of {shown(key)}")
            return self.strings(count, key)
        if kind not in NUMBERS:
            raise self.bad(f"{shown(key)} is a list of values of type {kind}, which is not read here")
        code = NUMBERS[kind]
        self.counted(count, struct.calcsize(f"<{code}"), f"values of {shown(key)}")
        found = list(struct.unpack_from(f"<{count}{code}", self.stored, self.at))
        self.at += struct.calcsize(f"<{count}{code}")
        return [bool(one) for one in found] if kind == BOOL else found

    def strings(self, count: int, key: str) -> list[str]:
        """As many calls of `string`, which for a vocabulary take half a second of steps that are rarely needed."""
        length_at, stored, size, at = struct.Struct("<Q").unpack_from, self.stored, len(self.stored), self.at
        found: list[str] = []
        append = found.append
        try:
            for _ in range(count):
                [length] = length_at(stored, at)
                end = at + 8 + length
                if end > size:
                    break
                append(str(stored[at + 8 : end], "utf-8"))
                at = end
        except (UnicodeDecodeError, struct.error):
            pass
        self.at = at
        while len(found) < count:  # it is damaged here, and this says how
            found.append(self.string(key))
        return found

    def string(self, what: str) -> str:
        length = self.number("Q")
        self.counted(length, 1, f"bytes of {shown(what, quoted=False)}")
        raw = self.stored[self.at : self.at + length]
        self.at += length
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self.bad(f"{shown(what, quoted=False)} is no UTF-8") from None


OTHERS = {
    10: "Q2_K",
    11: "Q3_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    29: "IQ1_M",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
}
"""Types that are known, and not read."""

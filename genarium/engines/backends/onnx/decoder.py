"""A decoder on an onnxruntime session (`decoding/protocol.py`): prefill, step, score, select and join on arrays.

Keys and values lie in arrays that session and state share: a step writes its own place and copies nothing. Each row
has its own length and begins at place 0. A prompt is read alone, in pieces of `PIECE` tokens, so that what is read of
it never depends on others, nor does which graph reads a piece; steps take all rows together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from genarium.decoding.ranking import NUMPY
from genarium.engines.backends.onnx import session
from genarium.engines.backends.onnx.prepared import prepared

PIECE = 512
MANY = 64
"""Tokens of a piece that are read by the graph made for many: fewer cost less than opening it."""
GROWTH = 128
"""Places that the cache grows by at least."""


@dataclass
class OnnxCache:
    """What was read of some rows: their lengths, and keys and values (2 * layers) of (room, K, places, D)."""

    lengths: list[int]
    cache: list[NDArray[np.float32]]
    bound: dict[tuple[int, bool], Any] = field(default_factory=dict)
    """A binding for each number of rows and session (whether it is that for reading), as long as the arrays stay."""

    @property
    def room(self) -> int:
        return self.cache[0].shape[0]

    @property
    def places(self) -> int:
        return self.cache[0].shape[2]


class OnnxDecoder:
    """The decoder in `path`, computed in `dtype` (int8, int4 or float32). Raises BadCheckpoint."""

    caches_prefixes = True
    ranking = NUMPY

    def __init__(self, path: Path, dtype: str, *, threads: int | None = None):
        made = prepared(path, dtype)
        self.shape, self.embedding, self.positions = made.shape, made.embedding, made.positions
        self.context_length, self.vocab_size = self.shape.context_length, self.shape.vocab_size
        # One row alone is rounded otherwise than among others by onnxruntime's kernels of 4 bits; so it is never alone.
        self.least = 2 if dtype == "int4" else 1
        self.session = session.open(made.graphs["steps"].model, made.weights("steps"), path, threads)
        self._prepared, self._path, self._threads = made, path, threads

    @cached_property
    def reading(self) -> Any:
        """The session that reads pieces of `MANY` tokens or more, opened by the first one."""
        if "reading" not in self._prepared.graphs:
            return self.session
        graph = self._prepared.graphs["reading"]
        return session.open(graph.model, self._prepared.weights("reading"), self._path, self._threads)

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[OnnxCache, NDArray[np.float32]]:
        longest = max(len(prompt) for prompt in prompts)
        self._within(longest)
        rows = self._empty(len(prompts), min(self.context_length, longest + GROWTH))
        found = []
        for row, prompt in enumerate(prompts):
            found.append(self._read(rows, row, np.array(prompt, np.int64), last_only=True))
        return rows, np.concatenate(found)

    def step(self, state: OnnxCache, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        n, new = tokens.shape
        self._make_room(state, n, max(state.lengths) + new)
        if new > 1:
            return np.concatenate([self._read(state, row, tokens[row], last_only=True) for row in range(n)])
        batch = max(n, self.least)
        lengths = np.array([*state.lengths, *[0] * (batch - n)])
        x = self._embedded(np.pad(tokens, ((0, batch - n), (0, 0)), mode="edge"), lengths)
        logits = self._run(state, x, lengths, np.arange(batch))
        state.lengths = [length + 1 for length in state.lengths]
        return logits[:n]

    def score(self, state: OnnxCache, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        n, new = tokens.shape
        self._make_room(state, n, max(state.lengths) + new)
        before = list(state.lengths)
        found = [self._read(state, row, tokens[row], last_only=False) for row in range(n)]
        state.lengths = before  # what lies beyond a row's end is looked at by nobody
        return np.stack(found)

    def select(self, state: OnnxCache, rows: Sequence[int]) -> None:
        longest = max((state.lengths[row] for row in rows), default=0)
        room = state.room if len(rows) <= state.room else len(rows)
        moved = [place for place, row in enumerate(rows) if place != row]
        if room > state.room:
            self._make_room(state, room, longest)
        for cached in state.cache:
            cached[moved, :, :longest] = cached[[rows[place] for place in moved], :, :longest]
        state.lengths = [state.lengths[row] for row in rows]

    def join(self, state: OnnxCache | None, other: OnnxCache, rows: Sequence[int]) -> OnnxCache:
        longest = max(other.lengths[row] for row in rows)
        if state is None:
            state = self._empty(len(rows), other.places)
            state.lengths = []
        n = len(state.lengths)
        self._make_room(state, n + len(rows), max([longest, *state.lengths]))
        for cached, more in zip(state.cache, other.cache, strict=True):
            cached[n : n + len(rows), :, :longest] = more[list(rows), :, :longest]
        state.lengths += [other.lengths[row] for row in rows]
        return state

    def _read(self, rows: OnnxCache, row: int, tokens: NDArray[np.int64], *, last_only: bool) -> NDArray[np.float32]:
        """Add these tokens to one row: the logits of what follows the last (1, V), or each of them (T, V)."""
        alone = OnnxCache([rows.lengths[row]], [cached[row : row + 1] for cached in rows.cache])
        found = []
        # A piece of one token would be rounded otherwise: it goes with the one before.
        ends = list(range(PIECE, len(tokens), PIECE))
        if ends and len(tokens) - ends[-1] < self.least:
            ends.pop()
        for piece in np.split(tokens, ends):
            found.append(self._read_piece(alone, piece, last_only=last_only))
        rows.lengths[row] = alone.lengths[0]
        return found[-1] if last_only else np.concatenate(found)

    def _read_piece(self, alone: OnnxCache, tokens: NDArray[np.int64], *, last_only: bool) -> NDArray[np.float32]:
        new = len(tokens)
        if new < self.least:  # a second row that nobody reads, in a cache of its own
            cache = [np.concatenate([cached, cached]) for cached in alone.cache]
            pair = OnnxCache([alone.lengths[0], 0], cache)
            lengths = np.array(pair.lengths)
            x = self._embedded(np.stack([tokens, tokens]), lengths)
            logits = self._run(pair, x, lengths, np.arange(2))[:1]
            for cached, two in zip(alone.cache, pair.cache, strict=True):
                cached[...] = two[:1]
        else:
            lengths = np.array(alone.lengths)
            asked = np.full(self.least, new - 1) if last_only else np.arange(new)
            logits = self._run(alone, self._embedded(tokens[None], lengths), lengths, asked, reading=new >= MANY)
            logits = logits[: 1 if last_only else new]
        alone.lengths = [alone.lengths[0] + new]
        return logits

    def _embedded(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        x = self.embedding.rows(tokens)
        if self.positions is not None:
            x = x + self.positions[lengths[:, None] + np.arange(tokens.shape[1])]
        return x

    def _run(
        self,
        rows: OnnxCache,
        x: NDArray[np.float32],
        lengths: NDArray[np.int64],
        asked: NDArray[np.int64],
        *,
        reading: bool = False,
    ) -> NDArray[np.float32]:
        session = self.reading if reading else self.session
        binding = self._binding(rows, len(x), session, reading)
        ends = (lengths + x.shape[1] - 1).astype(np.int32)
        given = {"x": x, "ends": ends, "longest": np.array(ends.max() + 1, np.int32), "asked": asked.astype(np.int64)}
        values = {name: ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(one)) for name, one in given.items()}
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        logits = np.empty((len(asked), self.vocab_size), np.float32)
        binding.bind_ortvalue_output("logits", ort.OrtValue.ortvalue_from_numpy(logits))
        session.run_with_iobinding(binding)
        return logits

    @staticmethod
    def _binding(rows: OnnxCache, n: int, session: Any, reading: bool) -> Any:
        """The session's view of the first `n` rows of the cache, which it reads and writes in place."""
        if (n, reading) not in rows.bound:
            binding = session.io_binding()
            for number, cached in enumerate(rows.cache):
                name = f"{'kv'[number % 2]}{number // 2}"
                value = ort.OrtValue.ortvalue_from_numpy(cached[:n])
                binding.bind_ortvalue_input(name, value)
                binding.bind_ortvalue_output(f"{name}.new", value)
            rows.bound[n, reading] = binding
        return rows.bound[n, reading]

    def _empty(self, n: int, places: int) -> OnnxCache:
        s = self.shape
        shape = (max(n, self.least), s.n_kv_heads, places, s.head_dim)
        return OnnxCache([0] * n, [np.zeros(shape, np.float32) for _ in range(2 * s.n_layers)])

    def _make_room(self, state: OnnxCache, n: int, length: int) -> None:
        """A cache of so many rows and places at least, with what is in it."""
        self._within(length)
        room, places = state.room, state.places
        if n <= room and length <= places:
            return
        if n > room:
            room = max(n, min(2 * room, 32))
        if length > places:
            places = min(self.context_length, max(length, places + max(GROWTH, places // 2)))
        held, longest = min(len(state.lengths), state.room), max(state.lengths, default=0)
        for number, cached in enumerate(state.cache):
            larger = np.zeros((room, cached.shape[1], places, cached.shape[3]), np.float32)
            larger[:held, :, :longest] = cached[:held, :, :longest]
            state.cache[number] = larger
        state.bound.clear()

    def _within(self, length: int) -> None:
        if length > self.context_length:
            raise IndexError(f"{length} positions exceed the context of {self.context_length}")

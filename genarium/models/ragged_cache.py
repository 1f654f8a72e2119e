"""The key-value cache of rows of unequal length: they come and go, and the network computes all of them in one step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from genarium.models.attention import KeysAndValues

GROWTH = 128
"""Columns that the cache grows by at least."""


class RaggedCache(KeysAndValues):
    """The rows' last tokens are in one column; `padding` says how far from the left each begins.

    Of (layers, room, K, capacity, D) the first `len(padding)` rows and `length` columns are in use. What nobody has
    written yet is not looked at, and on a CPU it takes no memory. No row has more than `limit` tokens.
    """

    def __init__(self, shape: Sequence[int], limit: int, *, dtype: torch.dtype, device: torch.device):
        layers, rows, K, columns, D = shape
        self.limit = limit
        room = (layers, rows, K, max(columns, min(limit, columns + GROWTH)), D)
        self.keys, self.values = (torch.empty(room, dtype=dtype, device=device) for _ in range(2))
        self.length = 0
        self.padding = [0] * rows
        self._told: tuple[list[int], Tensor | None] = ([], None)

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        n, end = len(self.padding), self.length + keys.shape[2]
        self.keys[layer, :n, :, self.length : end] = keys
        self.values[layer, :n, :, self.length : end] = values
        return self.keys[layer, :n, :, :end], self.values[layer, :n, :, :end]

    def padding_tensor(self) -> Tensor | None:
        """(B,) for the network; None where no row is padded."""
        if self._told[0] != self.padding:
            told = torch.tensor(self.padding, device=self.keys.device) if any(self.padding) else None
            self._told = (list(self.padding), told)
        return self._told[1]

    def place(self, first: int, read: KeysAndValues, lengths: Sequence[int], longest: int) -> None:
        """Take texts that were read one after the other in one row as rows `first` and following, `longest` wide."""
        for row, (n, end) in enumerate(zip(lengths, accumulate(lengths), strict=True), first):
            self._write(row, longest, read.keys[:, 0, :, end - n : end], read.values[:, 0, :, end - n : end])

    def make_room(self, columns: int) -> None:
        """For so many columns more."""
        if self.length + columns > min(self.limit, self.keys.shape[3]) and min(self.padding):
            self._shift(-min(self.padding))
        self._grow(len(self.padding), self.length + columns)

    def select(self, rows: Sequence[int]) -> None:
        if all(row >= place for place, row in enumerate(rows)):  # nothing is overwritten before it has moved
            keys, values = self.keys, self.values
        else:
            room = (self.keys.shape[0], len(rows), *self.keys.shape[2:])
            keys, values = (torch.empty(room, dtype=self.keys.dtype, device=self.keys.device) for _ in range(2))
        n = self.length
        for place, row in enumerate(rows):
            if keys is not self.keys or place != row:
                keys[:, place, :, :n] = self.keys[:, row, :, :n]
                values[:, place, :, :n] = self.values[:, row, :, :n]
        self.keys, self.values = keys, values
        self.padding = [self.padding[row] for row in rows]
        if (unused := min(self.padding)) >= GROWTH // 2:
            self._shift(-unused)

    def take(self, rows: Sequence[int]) -> RaggedCache:
        layers, _, K, _, D = self.keys.shape
        longest = self.length - min(self.padding[row] for row in rows)
        shape = (layers, len(rows), K, longest, D)
        taken = RaggedCache(shape, self.limit, dtype=self.keys.dtype, device=self.keys.device)
        taken.padding = []
        taken.join(self, rows)
        return taken

    def join(self, other: RaggedCache, rows: Sequence[int]) -> None:
        longest = other.length - min(other.padding[row] for row in rows)
        self._grow(len(self.padding) + len(rows), max(longest, self.length))
        if longest > self.length:
            self._shift(longest - self.length)
        for row in rows:
            first, end = other.padding[row], other.length
            self.padding.append(0)
            self._write(
                len(self.padding) - 1, self.length, other.keys[:, row, :, first:end], other.values[:, row, :, first:end]
            )

    def _write(self, row: int, length: int, keys: Tensor, values: Tensor) -> None:
        """Put keys and values (layers, K, T, D) at the end of a row's first `length` columns."""
        first = length - keys.shape[2]
        self.keys[:, row, :, first:length] = keys
        self.values[:, row, :, first:length] = values
        self.keys[:, row, :, :first] = self.values[:, row, :, :first] = 0
        self.padding[row] = first

    def _grow(self, rows: int, columns: int) -> None:
        """To hold at least so many rows and columns."""
        layers, room, K, capacity, D = self.keys.shape
        if rows <= room and columns <= capacity:
            return
        if rows > room:
            room = max(rows, 2 * room)
        if columns > capacity:
            capacity = max(columns, min(self.limit, capacity + max(GROWTH, capacity // 2)))
        held, n = len(self.padding), self.length
        larger = []
        for stored in (self.keys, self.values):
            grown = torch.empty((layers, room, K, capacity, D), dtype=stored.dtype, device=stored.device)
            grown[:, :held, :, :n] = stored[:, :held, :, :n]
            larger.append(grown)
        self.keys, self.values = larger

    def _shift(self, by: int) -> None:
        """Move all rows `by` columns to the right (to the left where it is negative)."""
        held, n = len(self.padding), self.length
        first, begin = max(0, by), max(0, -by)
        if held:
            for stored in (self.keys, self.values):
                stored[:, :held, :, first : n + by] = stored[:, :held, :, begin:n].clone()
        self.length += by
        self.padding = [padding + by for padding in self.padding]

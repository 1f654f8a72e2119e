"""Tokenized texts, alone or in pairs, and the batches that training and measuring take of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn

from genarium.progress import note

POOL = 16
"""Batches sorted by length together: little padding, and still another mixture each epoch."""


@dataclass(frozen=True)
class Inputs:
    """Token ids and segment types of each text; the rows differ in length."""

    ids: list[list[int]]
    types: list[list[int]]

    @classmethod
    def of(cls, encodings: Sequence[Encoding]) -> Inputs:
        return cls([encoding.ids for encoding in encodings], [encoding.type_ids for encoding in encodings])

    @classmethod
    def encode(cls, tokenizer: Tokenizer, texts: Sequence[str | tuple[str, str]], max_length: int) -> Inputs:
        """Texts or pairs, cut at `max_length` tokens (the longer one of a pair first), and says how many were."""
        tokenizer.enable_truncation(max_length)
        encodings = tokenizer.encode_batch(list(texts))
        if cut := sum(bool(encoding.overflowing) for encoding in encodings):
            note(f"{cut} of {len(encodings)} rows are longer than {max_length} tokens and are read up to there")
        return cls.of(encodings)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.ids]

    def block(self, places: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Rows as one block: tokens (B, T), lengths (B,), types (B, T), zeros after the shorter."""
        types, _ = padded([self.types[place] for place in places])
        return *padded([self.ids[place] for place in places]), types

    def digest(self) -> str:
        """sha256 of every token, hexadecimal."""
        return hashlib.sha256(repr((self.ids, self.types)).encode()).hexdigest()


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Tokens (B, T), zeros after the shorter, and their lengths (B,)."""
    tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, text in enumerate(rows):
        tokens[row, : len(text)] = torch.tensor(text)
    return tokens, torch.tensor([len(row) for row in rows])


def by_length(lengths: Sequence[int], at_once: int, places: Iterable[int] | None = None) -> Iterator[list[int]]:
    """Places of rows of like lengths, so many at once, the shortest first: of all rows, or of those at `places`."""
    order = sorted(range(len(lengths)) if places is None else places, key=lengths.__getitem__)
    return (order[first : first + at_once] for first in range(0, len(order), at_once))


def digest_of(*parts: Any) -> str:
    """sha256 of what is learned or measured beside the tokens, hexadecimal. Parts are JSON values."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()


class Batches:
    """Which rows are in batch k of a run: a function of (seed, k) alone, every row once an epoch."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int):
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.per_epoch = -(-len(lengths) // batch_size)
        self._epoch: tuple[int, list[list[int]]] | None = None

    def rows(self, index: int) -> list[int]:
        epoch, place = divmod(index, self.per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            random = np.random.default_rng([self.seed, epoch])
            order = random.permutation(len(self.lengths)).tolist()
            pool = self.batch_size * POOL
            batches = []
            for first in range(0, len(order), pool):
                alike = sorted(order[first : first + pool], key=self.lengths.__getitem__)
                batches += [alike[i : i + self.batch_size] for i in range(0, len(alike), self.batch_size)]
            self._epoch = (epoch, [batches[i] for i in random.permutation(len(batches))])
        return self._epoch[1][place]


def outputs(model: nn.Module, inputs: Inputs, *, batch_size: int = 64) -> Iterator[tuple[list[int], Tensor]]:
    """The model's float32 outputs for all rows, a batch of like lengths at a time, with the rows' places."""
    device = next(model.parameters()).device
    for places in by_length(inputs.lengths, batch_size):
        tokens, lengths, types = (part.to(device) for part in inputs.block(places))
        yield places, model(tokens, lengths=lengths, types=types).float().cpu()

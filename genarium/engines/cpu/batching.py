"""Texts of like length computed together, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from genarium.progress import alive


def by_length(lengths: Sequence[int], *, max_tokens: int = 4096) -> Iterator[list[int]]:
    """Places in `lengths`, shortest first, in batches of at most `max_tokens` positions with their padding.

    One text longer than that is a batch of its own.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[place] * (len(batch) + 1) > max_tokens:
            alive()
            yield batch
            batch = []
        batch.append(place)
    if batch:
        alive()
        yield batch


def pad(rows: Sequence[Sequence[int]], *, device: str = "cpu") -> tuple[Tensor, Tensor | None]:
    """Rows of tokens as one (B, T) block, zeros after the shorter, and their lengths (B,): None where all are T."""
    longest = max(len(row) for row in rows)
    tokens = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    if all(len(row) == longest for row in rows):
        return tokens, None
    return tokens, torch.tensor([len(row) for row in rows], device=device)

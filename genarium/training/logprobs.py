"""How likely a network finds tokens that it reads: what every objective of alignment is made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.models.gpt import GPT

ROW = 512
"""Tokens of packed texts that are read in one row, unless one text is longer: a row's mask has its square."""


def of_marked(model: GPT, tokens: Tensor, marks: Tensor, *, lengths: Sequence[int] | None = None) -> Tensor:
    """log p of each marked token given those before it, (marked,) float32, row by row.

    `tokens` and `marks` (B, T) are padded at the right, or with `lengths` one row (1, T) of texts of these lengths
    after each other. The first token of a text must not be marked: nothing says how likely it is. The head reads only
    the positions that are asked for, since its matrix is the largest.
    """
    if lengths is not None:
        parts = [
            _of_row(model, tokens[:, begin:end], marks[:, begin:end], inside) for begin, end, inside in _rows(lengths)
        ]
        return torch.cat(parts)
    return _of_row(model, tokens, marks, None)


def _of_row(model: GPT, tokens: Tensor, marks: Tensor, lengths: Sequence[int] | None) -> Tensor:
    if lengths is None:  # what follows the last token is not asked for
        states, asked = model.hidden(tokens[:, :-1]), marks[:, 1:]
    else:
        states, asked = model.hidden(tokens, lengths=lengths)[:, :-1], marks[:, 1:]
    logits = model.head(states[asked]).float()
    return -F.cross_entropy(logits, tokens[:, 1:][asked], reduction="none")


def _rows(lengths: Sequence[int]) -> list[tuple[int, int, list[int]]]:
    """Where each row of packed texts begins and ends, and the lengths in it."""
    rows: list[tuple[int, int, list[int]]] = []
    for length in lengths:
        if rows and rows[-1][1] - rows[-1][0] + length <= ROW:
            begin, end, inside = rows[-1]
            rows[-1] = begin, end + length, [*inside, length]
        else:
            end = rows[-1][1] if rows else 0
            rows.append((end, end + length, [length]))
    return rows


def summed(values: Tensor, marks: Tensor) -> Tensor:
    """The sum of each row's marked tokens, (B,): the log-likelihood of an answer."""
    row = torch.arange(len(marks), device=values.device).repeat_interleave(marks[:, 1:].sum(1))
    return values.new_zeros(len(marks)).index_add(0, row, values)

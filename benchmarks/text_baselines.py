"""How good a text model is beside an n-gram model and an LSTM: bits per byte on books none of them saw.

    python benchmarks/text_baselines.py CHECKPOINT BOOKS [--only ngram|lstm|gpt] [--out runs/lstm]

CHECKPOINT is what `genarium train gpt` made of the folder BOOKS; its `training.json` says which files were held out,
and how it was trained. The baselines read the same tokens of the same tokenizer. The n-gram model is a 5-gram with
modified Kneser-Ney smoothing. The LSTM has two layers and as many weights, and is trained by the same loop on the
same batches in the same number of updates, with AdamW.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.processors import tokenizer
from genarium.data import text
from genarium.training.loop import fit
from genarium.training.objectives.next_token import NextToken, likelihood
from genarium.training.settings import Settings


class KneserNey:
    """An n-gram model with modified Kneser-Ney smoothing (Chen and Goodman 1999, section 3), over arrays.

    An n-gram is one 64-bit number, `bits` for each token, so that counting is sorting.
    """

    def __init__(self, tokens: np.ndarray, order: int, vocab_size: int):
        self.order, self.vocab_size = order, vocab_size
        self.bits = max(1, math.ceil(math.log2(vocab_size)))
        if order * self.bits > 63:
            raise ValueError(f"{order} tokens of {self.bits} bits do not fit 63 bits")
        self.levels = []  # from one token up
        for n in range(1, order + 1):
            if n == order:
                grams, counts = np.unique(self.grams(tokens, n), return_counts=True)
            else:  # in how many different ways an n-gram is continued to the left
                longer = np.unique(self.grams(tokens, n + 1))
                grams, counts = np.unique(longer & ((1 << (n * self.bits)) - 1), return_counts=True)
            self.levels.append(self._level(grams, counts))

    def grams(self, tokens: np.ndarray, n: int) -> np.ndarray:
        """Every run of n tokens, as numbers."""
        found = np.zeros(len(tokens) - n + 1, dtype=np.int64)
        for place in range(n):
            found = (found << self.bits) | tokens[place : len(tokens) - n + 1 + place].astype(np.int64)
        return found

    def _level(self, grams: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        n1, n2, n3, n4 = (max(1, int((counts == k).sum())) for k in (1, 2, 3, 4))
        y = n1 / (n1 + 2 * n2)
        discounts = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        taken = discounts[np.minimum(counts, 3)]
        contexts, first = np.unique(grams >> self.bits, return_index=True)
        return {
            "grams": grams,
            "kept": counts - taken,
            "contexts": contexts,
            "totals": np.add.reduceat(counts, first).astype(np.float64),
            "freed": np.add.reduceat(taken, first),
        }

    def probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """p(token | the order - 1 tokens before it) for every token but the first, (len(tokens) - 1,)."""
        p = np.full(len(tokens) - 1, 1 / self.vocab_size)
        for n, level in enumerate(self.levels, 1):
            grams = self.grams(tokens, n)
            if n == 1:
                grams = grams[1:]
            at, there = _look_up(level["contexts"], grams >> self.bits)
            place, known = _look_up(level["grams"], grams)
            kept = np.where(known, level["kept"][place], 0.0)
            shorter = p[max(0, n - 2) :]
            mixed = (kept + level["freed"][at] * shorter) / level["totals"][at]
            p[max(0, n - 2) :] = np.where(there, mixed, shorter)
        return p


def _look_up(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return place, keys[place] == wanted


@dataclass(frozen=True)
class LSTMConfig:
    vocab_size: int
    d_model: int
    n_layers: int
    context_length: int


class LSTM(nn.Module):
    """Token ids (B, T) to next-token logits (B, T, V), with a tied head (Hochreiter and Schmidhuber 1997)."""

    def __init__(self, config: LSTMConfig, dropout: float = 0.1):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.LSTM(config.d_model, config.d_model, config.n_layers, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(config.d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.layers(self.dropout(self.embedding(tokens)))
        return self.dropout(self.norm(states)) @ self.embedding.weight.t()


def lstm_of_size(weights: int, vocab_size: int, context: int) -> LSTM:
    """The two-layer LSTM whose number of weights is nearest."""
    widths = range(64, 2048, 16)
    size = {width: vocab_size * width + 2 * (8 * width * width + 8 * width) for width in widths}
    width = min(widths, key=lambda w: abs(size[w] - weights))
    return LSTM(LSTMConfig(vocab_size, width, 2, context))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("books", type=Path)
    parser.add_argument("--only", choices=("ngram", "lstm", "gpt"))
    parser.add_argument("--out", type=Path, default=Path("runs/lstm"))
    parser.add_argument("--steps", type=int, help="updates of the LSTM, where not those of the checkpoint")
    options = parser.parse_args()
    recipe = json.loads((options.checkpoint / "training.json").read_text())
    made = tokenizer.load(options.checkpoint)
    model = gpt.load(options.checkpoint)
    context = model.config.context_length
    parts = text.split(text.find(str(options.books)), validation=recipe["validation"], holdout=recipe["holdout"])
    end = tokenizer.separator(options.checkpoint, made)
    train = text.encode(made, parts.train, end)
    held = {name: text.Measured.of(made, [book], end) for name, book in parts.holdout.items()}

    def report(who: str, figures: dict[str, float]) -> None:
        print(json.dumps({"model": who} | figures), flush=True)

    def bits_per_byte(network: nn.Module) -> dict[str, float]:
        found = {name: likelihood(network, t, context=context, stride=context // 2) for name, t in held.items()}
        return {name: figures["bits_per_byte"] for name, figures in found.items()}

    if options.only in (None, "ngram"):
        ngram = KneserNey(train.numpy(), 5, made.get_vocab_size())
        figures = {}
        for name, book in held.items():
            figures[name] = float(-np.log2(ngram.probabilities(book.tokens.numpy())).sum() / book.n_bytes)
        report("5-gram, modified Kneser-Ney", figures)
    if options.only in (None, "gpt"):
        report(f"GPT, {sum(p.numel() for p in model.parameters()) / 1e6:.1f}M", bits_per_byte(model))
    if options.only in (None, "lstm"):
        torch.manual_seed(0)
        lstm = lstm_of_size(sum(p.numel() for p in model.parameters()), made.get_vocab_size(), context)
        objective = NextToken(
            lstm,
            made,
            train,
            text.Measured.of(made, parts.validation, end),
            context=context,
            batch_size=recipe["identity"]["windows"]["batch_size"],
            seed=0,
            prompt="",
        )
        steps = options.steps or recipe["settings"]["steps"]
        settings = Settings(
            steps=steps,
            learning_rate=2e-3,
            min_learning_rate=1e-4,
            evaluate_every=max(1, steps // 8),
            precision="float32",  # torch's LSTM is slower in bfloat16 on a CPU
            compile="off",
        )
        fit(objective, settings, options.out)
        lstm.eval()
        size = sum(p.numel() for p in lstm.parameters()) / 1e6
        report(f"LSTM, {size:.1f}M, {steps} updates", bits_per_byte(lstm))


if __name__ == "__main__":
    main()

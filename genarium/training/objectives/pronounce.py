"""Learning to say words: the likelihood of a word's phonemes, one after another, from its letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.data.edits import edits
from genarium.models.g2p import BEGIN, G2P, PAD
from genarium.training.objective import Objective
from genarium.training.sources.inputs import digest_of

WATCHED = 1000
LONGEST = 48
"""Phonemes of a word at most, when it is measured."""


class Pronounce(Objective):
    """Cross-entropy of the next phoneme over pairs of a word and its phonemes, drawn in epochs."""

    def __init__(
        self,
        model: G2P,
        train: Sequence[tuple[str, str]],
        held_out: Sequence[tuple[str, str]],
        *,
        batch_size: int,
        seed: int,
    ):
        self.model, self.batch_size, self.seed = model, batch_size, seed
        self.letters = {letter: number for number, letter in enumerate(model.config.letters, 2)}
        self.phonemes = {sound: number for number, sound in enumerate(model.config.phonemes, 2)}
        self.pairs, self.held_out = list(train), list(held_out)
        self.identity: dict[str, Any] = {
            "data": digest_of(self.pairs, self.held_out),
            "network": asdict(model.config),
            "batch_size": batch_size,
        }

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def batch(self, index: int) -> tuple[Tensor, ...]:
        batches = len(self.pairs) // self.batch_size
        epoch, place = divmod(index, max(1, batches))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.pairs))
        return self._block([self.pairs[row] for row in order[place * self.batch_size :][: self.batch_size].tolist()])

    def _block(self, pairs: Sequence[tuple[str, str]]) -> tuple[Tensor, Tensor]:
        return (
            _padded([[self.letters[letter] for letter in word] for word, _ in pairs]),
            _padded([[BEGIN, *(self.phonemes[sound] for sound in said), PAD] for _, said in pairs]),
        )

    def loss(self, letters: Tensor, phonemes: Tensor) -> Tensor:
        logits = self.model(letters, phonemes[:, :-1])
        wanted = phonemes[:, 1:].clone()
        wanted[:, 1:][wanted[:, :-1] == PAD] = -100  # after the end
        return F.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten())

    def evaluate(self) -> dict[str, float]:
        watched = self.held_out[:: max(1, len(self.held_out) // WATCHED)]
        if not watched:
            return {}
        with torch.inference_mode():
            loss = float(self.loss(*(part.to(self._device) for part in self._block(watched))))
        return {"loss": loss} | self.measure(watched)

    @torch.inference_mode()
    def measure(self, pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
        """Phoneme error rate, by edits, and the share of words not wholly right; stress marks are phonemes too."""
        mistaken = wrong = total = 0
        for begin in range(0, len(pairs), 512):
            some = pairs[begin : begin + 512]
            for (_, said), got in zip(some, self.say([word for word, _ in some]), strict=True):
                apart = edits(said, got)
                mistaken, wrong, total = mistaken + apart, wrong + (apart > 0), total + len(said)
        return {"phoneme_error_rate": mistaken / total, "word_error_rate": wrong / len(pairs)}

    def say(self, words: Sequence[str]) -> list[str]:
        """The likeliest phonemes, one after another."""
        letters = _padded([[self.letters[letter] for letter in word] for word in words]).to(self._device)
        before = torch.full((len(words), 1), BEGIN, device=letters.device)
        for _ in range(LONGEST):
            following = self.model(letters, before)[:, -1].argmax(-1, keepdim=True)
            before = torch.cat((before, following), dim=1)
            if bool((before[:, 1:] == PAD).any(1).all()):
                break
        sounds = {number: sound for sound, number in self.phonemes.items()}
        rows = (row[: row.index(PAD)] if PAD in row else row for row in before[:, 1:].tolist())
        return ["".join(sounds.get(number, "") for number in row) for row in rows]

    def preview(self, step: int) -> str:
        some = self.held_out[:4]
        return ", ".join(
            f"{word[1:]} {said}" for (word, _), said in zip(some, self.say([w for w, _ in some]), strict=True)
        )


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *([PAD] * (longest - len(row)))] for row in rows])

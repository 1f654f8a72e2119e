"""How good answers to a prompt are, by a reward model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from genarium.checkpoints.layouts import scorer as layout
from genarium.checkpoints.layouts.scorer_files import reads
from genarium.checkpoints.processors.answers import Answers, Prompt
from genarium.devices import pick_device
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import emit

TOGETHER = 16
"""Texts that are read at once."""


class RewardRanker:
    """One score for prompt and answer together (Ouyang et al. 2022, arXiv:2203.02155, 3.5). Raises BadCheckpoint.

    One that was taught on conversations reads a prompt of text as the user's message.
    """

    way = "reward model: the score is the network's for prompt and answer together"

    def __init__(self, path: Path, name: str, device: str | None = None):
        self.device = device or pick_device("auto")
        self.network = layout.load(path, device=self.device)
        self.answers = Answers.load(path, name, self.network.config.vocab_size)
        self.chats = (reads(path) or ("chat" if self.answers.chats else "text")) == "chat"
        self.name, self.context = name, self.network.config.context_length

    @torch.inference_mode()
    def scores(self, query: Prompt, passages: Sequence[str]) -> np.ndarray:
        """(len(passages),) float64, higher is better. Raises BadInput where one does not fit into the context."""
        prompt: Prompt = [{"role": "user", "content": query}] if self.chats and isinstance(query, str) else query
        rows = [self.answers.whole(prompt, passage) for passage in passages]
        for number, row in enumerate(rows, 1):
            if not 0 < len(row) <= self.context:
                raise BadInput(
                    f"answer {number} has {len(row)} tokens with its prompt, and {self.name} reads from 1 to "
                    f"{self.context}; shorten it"
                )
        found = np.zeros(len(rows))
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        for first in range(0, len(order), TOGETHER):
            places = order[first : first + TOGETHER]
            lengths = torch.tensor([len(rows[place]) for place in places], device=self.device)
            tokens = torch.zeros(len(places), int(lengths.max()), dtype=torch.long, device=self.device)
            for number, place in enumerate(places):
                tokens[number, : len(rows[place])] = torch.tensor(rows[place])
            found[places] = self.network(tokens, lengths).double().cpu().numpy()
            emit("scoring", first + len(places), len(rows))
        if not np.isfinite(found).all():
            raise BadCheckpoint(f"{self.name} gives a score that is no number; train it again")
        return found

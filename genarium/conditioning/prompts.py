"""Prompts as a denoiser reads them: the states of a frozen text encoder, a vector for each piece of a word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.models.text_to_image import Conditioning


class PromptEncoder:
    """The encoder in a BERT-like folder, reading at most `context` tokens of a prompt. Raises BadCheckpoint."""

    def __init__(self, path: Path, *, context: int, device: str = "cpu"):
        self.model = layout.load_encoder(path, device=device)
        self.tokenizer = tokenizers.load(path, self.model.config.vocab_size)
        self.context = context
        self.tokenizer.enable_truncation(context)
        self.tokenizer.enable_padding(pad_to_multiple_of=8)  # so that there are few different shapes

    def tokens(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens (B, S), padding after the shorter, and how many are real in each, (B,)."""
        rows = self.tokenizer.encode_batch(list(prompts))
        return torch.tensor([row.ids for row in rows]), torch.tensor([sum(row.attention_mask) for row in rows])

    def cut(self, prompt: str) -> str:
        """The end of the prompt that is not read, empty where all of it is."""
        encoding = self.tokenizer.encode(prompt)
        if not encoding.overflowing:
            return ""
        last = max(end for _, end in encoding.offsets)
        return prompt[last:].strip()

    @torch.no_grad()
    def conditioning(self, tokens: Tensor, lengths: Tensor) -> Conditioning:
        """States `words` (B, S, D), and `mask` (B, S), true where they are of real tokens."""
        device = next(self.model.parameters()).device
        states = self.model(tokens.to(device), lengths=lengths.to(device))
        real = torch.arange(tokens.shape[1], device=device) < lengths.to(device)[:, None]
        return Conditioning(words=states, mask=real)

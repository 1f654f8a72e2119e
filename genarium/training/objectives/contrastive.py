"""The objective of CLIP: which of a batch's texts is this picture's, and which of its pictures is this text's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from genarium.checkpoints.layouts.clip import read_tokens
from genarium.checkpoints.processors.image_processor import Pixels
from genarium.errors import BadInput
from genarium.models.clip import CLIP
from genarium.training.objective import Objective
from genarium.training.sources.images import Source, write_sheet

N_CANDIDATES = 256
"""Held-out pictures, each with a caption of its own, among which the right one is looked for."""
N_GROUPS = 4
"""So many times over, with other pictures."""
N_ROWS, N_FOUND = 4, 6
LARGEST_SCALE = math.log(100.0)
"""Radford et al. 2021, 2.5: scores are multiplied by at most 100, or training is not stable."""


class Contrast(Objective):
    """Cross-entropy of picture to text and of text to picture, their mean (Radford et al. 2021, figure 3).

    Captions that are alike to the network, token for token, are all right for each of their pictures: a row's target
    is spread evenly over them (Yang et al. 2022, arXiv:2204.03610, eq. 2 and 3). Taken for wrong, the network would be
    taught that a true caption does not fit. Captions that mean the same in other words still count as wrong.
    """

    model: CLIP

    def __init__(
        self,
        model: CLIP,
        tokenizer: Tokenizer,
        preprocessing: Pixels,
        source: Source,
        *,
        batch_size: int,
        folder: Path,
    ):
        self.model, self.tokenizer, self.preprocessing, self.source = model, tokenizer, preprocessing, source
        self.batch_size, self.folder = batch_size, folder
        self.identity: dict[str, Any] = {
            "data": source.identity,
            "network": asdict(model.config),
            "objective": {"batch_size": batch_size, "preprocessing": _identity(preprocessing)},
        }
        self.images, self.captions = distinct(source, tokenizer, N_CANDIDATES * N_GROUPS)
        if len(self.captions) < 2:
            raise BadInput(
                "held-out pictures have fewer than two different captions, so nothing can be told apart; "
                "give more pictures, with captions of their own"
            )
        # Groups are of one size, or figures of one could not be compared with another's.
        self.group = min(N_CANDIDATES, len(self.captions))
        whole = len(self.captions) // self.group * self.group
        self.images, self.captions = self.images[:whole], self.captions[:whole]
        self.validation = read_tokens(tokenizer, self.captions)

    def batch(self, index: int) -> tuple[Tensor, ...]:
        images, captions = self.source.train(index * self.batch_size, self.batch_size)
        return self.preprocessing.scaled(images), read_tokens(self.tokenizer, captions)

    def loss(self, images: Tensor, tokens: Tensor) -> Tensor:
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=LARGEST_SCALE)
        seen, read = self.model.encode_images(images), self.model.encode_texts(tokens)
        return contrast(seen, read, self.model.logit_scale, same_texts(tokens))

    def evaluate(self) -> dict[str, float]:
        """`loss` on held-out pictures in groups of distinct captions, and recall at 1: how often the text that fits a
        picture best, and the picture that fits a text best, is its own."""
        losses, texts_found, images_found = [], [], []
        for seen, read in self._groups():
            itself = torch.arange(len(seen), device=seen.device)
            losses.append(float(contrast(seen, read, self.model.logit_scale, itself[:, None] == itself)))
            alike = seen @ read.T
            texts_found.append(float((alike.argmax(dim=1) == itself).float().mean()))
            images_found.append(float((alike.argmax(dim=0) == itself).float().mean()))
        return {
            "loss": float(np.mean(losses)),
            "image_to_text": float(np.mean(texts_found)),
            "text_to_image": float(np.mean(images_found)),
        }

    def preview(self, step: int) -> str:
        """A row of pictures for each of some held-out captions, those that fit best first."""
        seen, read = next(self._groups())
        best = (read[:N_ROWS] @ seen.T).topk(min(N_FOUND, len(seen)), dim=1).indices.cpu().numpy()
        sheet = write_sheet(self.folder, step, [self.images[row] for row in best])
        return f"{sheet}: {' | '.join(self.captions[: len(best)])}"

    def _groups(self) -> Iterator[tuple[Tensor, Tensor]]:
        device = self.model.logit_scale.device
        for first in range(0, len(self.captions), self.group):
            part = slice(first, first + self.group)
            images = self.preprocessing.scaled(self.images[part]).to(device)
            yield (
                torch.cat([self.model.encode_images(some) for some in images.split(64)]),
                self.model.encode_texts(self.validation[part].to(device)),
            )


def _identity(preprocessing: Pixels) -> dict[str, Any]:
    """What decides the pixels of a run; what it never sets is left out, as it was before there was more to set."""
    return {name: value for name, value in asdict(preprocessing).items() if name not in ("resized", "rescale")}


def contrast(seen: Tensor, read: Tensor, logit_scale: Tensor, same: Tensor) -> Tensor:
    """The loss of pictures (B, E) and texts (B, E) of length 1, where `same` (B, B) is true of texts that are alike."""
    with torch.autocast(seen.device.type, enabled=False):
        scores = logit_scale.float().exp() * seen.float() @ read.float().T
        wanted = same.float() / same.sum(dim=1, keepdim=True)
        return (F.cross_entropy(scores, wanted) + F.cross_entropy(scores.T, wanted)) / 2


def same_texts(tokens: Tensor) -> Tensor:
    """Whether each two rows of tokens (B, S) are the same text, (B, B)."""
    _, kinds = tokens.unique(dim=0, return_inverse=True)
    return kinds[:, None] == kinds[None, :]


def distinct(source: Source, tokenizer: Tokenizer, most: int) -> tuple[np.ndarray, list[str]]:
    """Held-out pictures (n, H, W, 3) and n captions that are all different to the network; n is at most `most`."""
    images, captions, known = list[np.ndarray](), list[str](), set[tuple[int, ...]]()
    first = 0
    while len(captions) < most:
        drawn, said = source.validation(first, most)
        for image, caption in zip(drawn, said, strict=True):
            tokens = tuple(tokenizer.encode(caption).ids)
            if tokens not in known and len(captions) < most:
                known.add(tokens)
                captions.append(caption)
                images.append(image)
        if len(said) < most:
            break
        first += most
    return np.array(images), captions

"""The objectives of captioner and matcher: tell what is seen, and know what is told wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from genarium.models.blip import BlipForMatching, Captioner
from genarium.scenes.dice import Dice
from genarium.scenes.kinds import BACKGROUNDS, COLOURS
from genarium.scenes.telling import told, wrong
from genarium.training.objective import Objective
from genarium.training.sources import captions
from genarium.training.sources.captions import (
    END,
    MASK,
    SIZE,
    START,
    Scenes,
    block,
)

N_VALIDATION = 256
HIDDEN = 0.3
"""Words the decoder does not see of what it has said: it should look at the picture, not know captions by heart,
as what is held out never stood beside each other in them (Bowman et al. 2016, arXiv:1511.06349, section 3.2)."""
PATCHES = 0.5
"""Weight of knowing what each patch shows, which teaches the image encoder long before captions do."""
RECOLOURED = 0.4
"""Share of pictures with other colours than their captions say, of which all but colours is learned. Without them an
object is known by the colours it was seen in: of objects in a colour kept from training 43% were known for what they
are, of others 98%."""


class WithPatches(nn.Module):
    """A captioner, and heads over its image encoder that are left behind after training."""

    def __init__(self, captioner: Captioner):
        super().__init__()
        self.captioner = captioner
        width = captioner.config.image.d_model
        self.patch_heads = nn.ModuleList(nn.Linear(width, n) for n in captions.N_SHOWN)
        self.background_head = nn.Linear(width, len(BACKGROUNDS))


class Tell(Objective):
    """Cross-entropy of the next token of full captions (Li et al. 2022, section 3.2), and of what patches show."""

    model: WithPatches

    def __init__(self, captioner: Captioner, tokenizer: Tokenizer, source: Scenes, *, batch_size: int, seed: int):
        self.model = WithPatches(captioner)
        self.tokenizer, self.source = tokenizer, source
        self.batch_size, self.seed = batch_size, seed
        self.identity: dict[str, Any] = {
            "data": source.identity,
            "network": asdict(captioner.config),
            "objective": {
                "batch_size": batch_size,
                "hidden": HIDDEN,
                "patches": PATCHES,
                "recoloured": RECOLOURED,
            },
        }
        self.colours = torch.tensor([tokenizer.token_to_id(colour) for colour in COLOURS])
        self.validation = source.scenes(0, N_VALIDATION, "heldout")
        self.images = source.images(self.validation)

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Pictures (b, 3, 64, 64), tokens read and wanted (b, T), what patches show (b, 4, N), backgrounds (b,)."""
        scenes = self.source.scenes(index * self.batch_size, self.batch_size, "train")
        random = np.random.default_rng([self.seed, index])
        texts = [captions.full_caption(scene, Dice(self.seed, 3, index, row)) for row, scene in enumerate(scenes)]
        read, wanted = self._tokens(texts)
        hidden = torch.from_numpy(random.random(read.shape) < HIDDEN)
        hidden[:, 0] = False
        images = self.source.images(scenes)
        patches = captions.shown_by_patch(scenes, self.model.captioner.config.image.patch_size)
        other = torch.from_numpy(random.random(len(scenes)) < RECOLOURED)
        images[other] = captions.recoloured(images[other], random)
        patches[other, captions.SHADE] = -100
        hidden |= other[:, None] & torch.isin(read, self.colours)
        wanted = wanted.masked_fill(other[:, None] & torch.isin(wanted, self.colours), -100)
        return images, read.masked_fill(hidden, MASK), wanted, patches, captions.backgrounds(scenes)

    def _tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """What the decoder reads, from the start token on, and what it should say: -100 after the end."""
        rows = [self.tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        read, lengths = block([[START, *row] for row in rows])
        wanted, _ = block([[*row, END] for row in rows])
        return read, wanted.masked_fill(torch.arange(wanted.shape[1]) >= lengths[:, None], -100)

    def loss(self, images: Tensor, read: Tensor, wanted: Tensor, patches: Tensor, backgrounds: Tensor) -> Tensor:
        captioner = self.model.captioner
        states = captioner.image(images)
        hidden, _ = captioner.text(read, captioner.text.read(states), causal=True)
        total = F.cross_entropy(captioner.logits(hidden).float().flatten(0, 1), wanted.flatten())
        seen = F.cross_entropy(self.model.background_head(states[:, 0]).float(), backgrounds)
        for row, head in enumerate(self.model.patch_heads):
            seen = seen + F.cross_entropy(head(states[:, 1:]).float().flatten(0, 1), patches[:, row].flatten())
        return total + PATCHES * seen

    def evaluate(self) -> dict[str, float]:
        """`loss` a token of held-out captions, and `right`: the share of greedy captions with nothing wrong."""
        texts = [captions.full_caption(scene, Dice(self.seed, 4, row)) for row, scene in enumerate(self.validation)]
        device = next(self.model.parameters()).device
        losses, faults = [], 0
        for first in range(0, N_VALIDATION, 64):
            images = self.images[first : first + 64].to(device)
            read, wanted = (part.to(device) for part in self._tokens(texts[first : first + 64]))
            logits = self.model.captioner(images, read)
            losses.append(float(F.cross_entropy(logits.flatten(0, 1), wanted.flatten())))
            for scene, said in zip(self.validation[first : first + 64], self._greedy(images), strict=True):
                faults += bool(wrong(said, told(scene, SIZE)))
        return {"loss": sum(losses) / len(losses), "right": 1 - faults / N_VALIDATION}

    def _greedy(self, images: Tensor) -> list[str]:
        captioner = self.model.captioner
        rows = captioner.start(images, 1, captions.CONTEXT)
        tokens = torch.full((len(images), 1), START, device=images.device)
        said = []
        for _ in range(captions.CONTEXT - 1):
            tokens = captioner.step(rows, tokens).argmax(dim=-1, keepdim=True)
            said.append(tokens)
        texts = torch.cat(said, dim=1).tolist()
        return [self.tokenizer.decode(text[: text.index(END)] if END in text else text) for text in texts]

    def preview(self, step: int) -> str:
        return "; ".join(self._greedy(self.images[:3].to(next(self.model.parameters()).device)))


class Match(Objective):
    """Cross-entropy of match or not: of each picture two true captions, and both with one word made wrong.

    Li et al. 2022, section 3.2, with hard negatives that the grammar makes instead of mined ones. With `frozen`
    the image encoder stays as it was (Zhai et al. 2021, arXiv:2111.07991), at half the cost of a step.

    `grounding` is the weight of a second loss: in true captions the first block's attention from each noun and colour
    should lie on what it names (as Liu et al. 2017, arXiv:1605.09553, taught captioners), so that its maps point there.
    """

    model: BlipForMatching

    def __init__(
        self,
        matcher: BlipForMatching,
        tokenizer: Tokenizer,
        source: Scenes,
        *,
        batch_size: int,
        seed: int,
        frozen: bool,
        grounding: float = 0.0,
    ):
        self.model, self.tokenizer, self.source = matcher, tokenizer, source
        self.batch_size, self.seed, self.frozen, self.grounding = batch_size, seed, frozen, grounding
        matcher.image.requires_grad_(not frozen)
        for unused in (matcher.image_projection, matcher.text_projection):  # they play no part in this loss
            unused.requires_grad_(False)
        self.identity: dict[str, Any] = {
            "data": source.identity,
            "network": asdict(matcher.config),
            "objective": {"batch_size": batch_size, "frozen": frozen, "grounding": grounding},
        }
        self.validation = self._batch(source.scenes(0, N_VALIDATION, "heldout"), "heldout", -1)

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Pictures (b, 3, 64, 64), and of each in turn true, false, true, false: tokens (4b, T), lengths (4b,), and
        for each token of the true ones the patches that it names, (2b, T, patches), none where it names nothing."""
        return self._batch(self.source.scenes(index * self.batch_size, self.batch_size, "train"), "train", index)

    def _batch(self, scenes: list[Any], split: Any, index: int) -> tuple[Tensor, ...]:
        texts = list[str]()
        spans = list[list[tuple[int, int, np.ndarray]]]()
        patch = self.model.config.image.patch_size
        for row, scene in enumerate(scenes):
            dice = Dice(self.seed, 5, index + 1, row)
            for full in (True, False):
                texts += captions.true_and_false(scene, dice, split=split, full=full)[:2]
                spans.append(captions.true_regions(scene, texts[-2], full=full, patch=patch))
        read = [self.tokenizer.encode(text) for text in texts]
        tokens, lengths = block([one.ids for one in read])
        named = torch.zeros(len(spans), tokens.shape[1], self.model.config.image.grid**2, dtype=torch.bool)
        for row, found in enumerate(spans):
            for start, end, patches in found:
                for place, (first, last) in enumerate(read[2 * row].offsets):
                    if first < last and start <= first and last <= end:
                        named[row, place] = torch.from_numpy(patches)
        return self.source.images(scenes), tokens, lengths, named

    def loss(self, images: Tensor, tokens: Tensor, lengths: Tensor, named: Tensor) -> Tensor:
        scores, maps = self._scores(images, tokens, lengths, maps_of=0 if self.grounding else None)
        loss = F.cross_entropy(scores, _truth(len(tokens), tokens.device))
        if maps is None or not named.any():
            return loss
        looked = maps[0::2, :, :, 1:].float().mean(dim=1)  # of the true captions, without the class token
        on_it = (looked * named).sum(-1)[named.any(-1)]
        return loss - self.grounding * on_it.clamp(min=1e-6).log().mean()

    def _scores(
        self, images: Tensor, tokens: Tensor, lengths: Tensor, *, maps_of: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            states = self.model.image(images)
        scores, maps = self.model.judge(states, tokens, lengths=lengths, maps_of=maps_of)
        return scores.float(), maps

    def evaluate(self) -> dict[str, float]:
        """On held-out scenes: `loss`, and `right`, the share of captions judged as they should be at one half."""
        device = next(self.model.parameters()).device
        images, tokens, lengths, _ = (part.to(device) for part in self.validation)
        parts = [
            self._scores(images[i : i + 64], tokens[4 * i : 4 * i + 256], lengths[4 * i : 4 * i + 256])[0]
            for i in range(0, N_VALIDATION, 64)
        ]
        scores, truth = torch.cat(parts), _truth(4 * N_VALIDATION, device)
        right = (scores.argmax(dim=-1) == truth).float().mean()
        return {"loss": float(F.cross_entropy(scores, truth)), "right": float(right)}

    def preview(self, step: int) -> str:
        return ""


def _truth(n: int, device: torch.device) -> Tensor:
    """1 for a match, 0 for none, in turn."""
    return (torch.arange(n, device=device) + 1) % 2

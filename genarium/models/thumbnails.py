"""Diffusion of thumbnails by a network that says the whole picture.

A cascade draws a small picture by diffusion, then a large one from it with a second network (Ho et al. 2021,
arXiv:2106.15282; with words, Saharia et al. 2022, arXiv:2205.11487, section 2.4). Here one network is both. From a
noisy thumbnail, its level and the words it says the picture at full size, by regression. The mean colours of what it
says are its estimate of the thumbnail (the mean of an expected picture is the expected mean), with which a sampler goes
on; what it says of the last thumbnail is the picture. So at every level it learns from all pixels what words look like,
and only what words leave open, where things are, has to come from noise.

It suits pictures that are nearly settled by words and a thumbnail; of the rest it says the mean, which is blurred.

Shapes: B batch, f pixels of the picture to one of the thumbnail, h = H / f and w = W / f, S words of D numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.dit import DiT, DiTConfig
from genarium.models.plan import Planner, Words
from genarium.models.text_to_image import WORK_COPIES, Conditioning

N_LEVELS = 1000
"""What pure noise is told to the network as; t is this times the share of noise."""
COLOURS = (0.1, 0.5)
"""Mean and deviation of the colours of thumbnails, about, which are brought to 0 and 1."""
DETAIL = (0.25, 0.35)
"""The same of how much detail a cell has, from 0 to 1."""
FULL_DETAIL = 0.25
"""Standard deviation of the colours of a cell from which on it is full of detail."""


@dataclass(frozen=True)
class ThumbnailsConfig:
    """Everything that tells one of these models from another; the network says f² pixels and a detail of a cell."""

    sample_size: int = 64  # height and width of the pictures it was trained at
    factor: int = 8  # f
    last: float = 0.05  # the share of noise that is told where the picture itself is drawn
    network: DiTConfig = field(default_factory=lambda: DiTConfig(in_channels=4, out_channels=193))
    plan: Words | None = None  # what plans say, where it draws by them
    channels: int = 3  # colours; 4: colours premultiplied, and cover
    enlarges = True

    @property
    def latent_channels(self) -> int:
        return self.network.in_channels

    in_channels = latent_channels

    @property
    def cross_attention_dim(self) -> int:
        return self.network.cross_attention_dim

    def working_memory(self, width: int, height: int, context: int) -> int:
        """Every place looks at every place, of two prompts at once."""
        places = (width * height) // self.factor**2 + context
        widest = places * (self.network.n_heads * places + 4 * self.network.d_ff)
        return 2 * 4 * widest + width * height * 3 * 4 * WORK_COPIES


def spread(images: Tensor, factor: int) -> Tensor:
    """Standard deviation of the colours in each cell, mean over the channels: (B, 3, H, W) to (B, 1, h, w)."""
    mean = F.avg_pool2d(images, factor)
    return (F.avg_pool2d(images.square(), factor) - mean.square()).clamp(min=0).sqrt().mean(dim=1, keepdim=True)


class Thumbnails(nn.Module):
    """Denoiser of thumbnails (B, 4, h, w), mean colours and detail of each cell, and what makes pictures of them."""

    def __init__(self, config: ThumbnailsConfig):
        super().__init__()
        self.config = config
        self.plan: nn.Module | None
        self.network = DiT(config.network)
        self.plan = config.plan.embedding(config.network.d_model) if config.plan else None

    @property
    def factor(self) -> int:
        return self.config.factor

    def to_latents(self, images: Tensor) -> Tensor:
        """Thumbnails of pictures (B, 3, H, W) in [-1, 1], each number with a mean near 0 and a variance near 1."""
        detail = (spread(images, self.factor) / FULL_DETAIL).clamp(max=1)
        return torch.cat((self._colours(images), (detail - DETAIL[0]) / DETAIL[1]), dim=1)

    def from_latents(
        self, latents: Tensor, words: Tensor, mask: Tensor | None = None, plan: Tensor | None = None
    ) -> Tensor:
        """The picture (B, 3, H, W), not clipped, of a thumbnail, the states of its words (B, S, D) and its plan."""
        t = torch.full((len(latents),), N_LEVELS * self.config.last, device=latents.device)
        return self.say(latents, t, words, mask, plan)[0]

    def say(
        self, x: Tensor, t: Tensor, words: Tensor, mask: Tensor | None = None, plan: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What is expected behind noisy thumbnails x: the pictures (B, 3, H, W), and thumbnails (B, 4, h, w).

        `plan` (B, L) says what stands where (`models.plan`); None, and rows of zeros, leave it open.
        """
        told = None if plan is None or self.plan is None else self.plan(plan)
        said = self.network(x, t, words, mask, told)
        images = F.pixel_shuffle(said[:, :-1], self.factor)
        return images, torch.cat((self._colours(images), said[:, -1:]), dim=1)

    def forward(
        self, x: Tensor, t: Tensor, words: Tensor, mask: Tensor | None = None, plan: Tensor | None = None
    ) -> Tensor:
        """The flow, noise less thumbnail, of x = (1 - t / 1000) thumbnail + t / 1000 noise; as a `UNet` is called."""
        share = (t / N_LEVELS).clamp(min=1e-3)[:, None, None, None].to(x.dtype)
        return (x - self.say(x, t, words, mask, plan)[1]) / share

    def _colours(self, images: Tensor) -> Tensor:
        return (F.avg_pool2d(images, self.factor) - COLOURS[0]) / COLOURS[1]


class ThumbnailDiffusion:
    """A `TextToImage` of one network, which draws by the plans of a `planner` where there is one."""

    kind = "GenariumThumbnails"

    def __init__(self, denoiser: Thumbnails, planner: Planner | None = None):
        self.denoiser, self.planner = denoiser, planner

    @property
    def config(self) -> ThumbnailsConfig:
        return self.denoiser.config

    def to_latents(self, images: Tensor) -> Tensor:
        return self.denoiser.to_latents(images)

    def from_latents(self, latents: Tensor, conditioning: Conditioning) -> Tensor:
        return self.denoiser.from_latents(latents, **conditioning)

    def planned(
        self, asked: Conditioning, negative: Conditioning, generator: torch.Generator
    ) -> tuple[Conditioning, Conditioning]:
        """With a plan of what is asked for, and of the negative prompt none."""
        if self.planner is None:
            return asked, negative
        plan = self.planner.write(asked["words"], asked["mask"], generator)
        return asked.also(plan=plan), negative.also(plan=torch.zeros_like(plan))

    def looks(self, places: int) -> tuple[list[nn.Module], Callable[[Tensor], Tensor]]:
        """One attention sees both places and words."""
        return list(self.denoiser.network.blocks), lambda weights: weights[:, :, :places, places:]

"""The second half of a cascade: a picture from a thumbnail of it and the words that it shows.

Cascaded diffusion draws a small picture first, then a larger one from it (Ho et al. 2021, arXiv:2106.15282; with words,
Saharia et al. 2022, arXiv:2205.11487, section 2.4). Here the second network needs one step: where the thumbnail says
what stands where and the words what it is, so little is left open that it can say the mean. While it learns, noise is
added to thumbnails and its level told ("conditioning augmentation", Ho et al., section 4): it then believes them only
as far as the first network can be believed.

Shapes: B batch, f pixels of the picture to one of the thumbnail, h = H / f and w = W / f, S words of D numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.dit import DiT, DiTConfig

N_LEVELS = 1000
"""What a noise level of 1 is told to the network as."""


@dataclass(frozen=True)
class EnlargerConfig:
    """Everything that tells one enlarger from another; its network makes 3 f² numbers of a cell."""

    sample_size: int = 64  # height and width of the pictures it was trained at
    factor: int = 8  # f
    scaling_factor: float = 2.0  # thumbnails times this have a variance of about one
    shift_factor: float = 0.1  # and this is taken off them before
    noise: float = 0.1  # the level that is told where a picture is drawn
    network: DiTConfig = field(default_factory=lambda: DiTConfig(out_channels=192))

    @property
    def latent_channels(self) -> int:
        return self.network.in_channels


class Enlarger(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1] to thumbnails (B, 3, h, w), and with words back."""

    def __init__(self, config: EnlargerConfig):
        super().__init__()
        self.config = config
        self.network = DiT(config.network)

    @property
    def factor(self) -> int:
        return self.config.factor

    def to_latents(self, pictures: Tensor) -> Tensor:
        """The mean colour of each cell, brought to a mean of about zero and a variance of about one."""
        means = F.avg_pool2d(pictures, self.config.factor)
        return (means - self.config.shift_factor) * self.config.scaling_factor

    def from_latents(self, latents: Tensor, words: Tensor, real: Tensor | None = None) -> Tensor:
        """The picture (B, 3, H, W), not clipped, from a thumbnail and the states of its words (B, S, D)."""
        level = torch.full((len(latents),), self.config.noise, device=latents.device)
        return self(latents, level, words, real)

    def forward(self, latents: Tensor, level: Tensor, words: Tensor, real: Tensor | None = None) -> Tensor:
        """As `from_latents`, of thumbnails with noise of a `level` (B,), a standard deviation."""
        return F.pixel_shuffle(self.network(latents, N_LEVELS * level, words, real), self.config.factor)

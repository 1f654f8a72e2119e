"""What every model that draws what a prompt says has in common, whatever its networks are.

A family is a config and a model (`models/latent_diffusion.py`, `models/thumbnails.py`), and a layout that reads and
writes them (`checkpoints/layouts/`). The engine, training and benchmarks know nothing else of it.

Shapes: B images, Z channels of latents, f pixels of the image to one of its latents each way, h = H / f and w = W / f,
S words of D numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from torch import Generator, Tensor, nn

WORK_COPIES = 48
"""Feature maps of the first width at once, in the largest layer: an upper bound for the memory an image takes."""


class Conditioning(Mapping[str, Tensor]):
    """What a denoiser reads beside noisy images and their levels: `network(x, t, **conditioning)`.

    Tensors (B, ...) by the names of the network's arguments: `words` (B, S, D) and `mask` (B, S), true at real words,
    are what a text encoder says of prompts; a family adds what else its network was trained with, as `plan` (B, L).
    """

    def __init__(self, **parts: Tensor):
        self._parts = parts

    def __getitem__(self, name: str) -> Tensor:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def each(self, change: Callable[[Tensor], Tensor]) -> Conditioning:
        """With every part changed."""
        return Conditioning(**{name: change(part) for name, part in self.items()})

    def rows(self, rows: slice) -> Conditioning:
        """Of some of the images."""
        return self.each(lambda part: part[rows])

    def repeated(self, n: int) -> Conditioning:
        """Each row n times, one after the other."""
        return self.each(lambda part: part.repeat_interleave(n, 0))

    def expanded(self, n: int) -> Conditioning:
        """One row for n images."""
        return self.each(lambda part: part.expand(n, *part.shape[1:]))

    def also(self, **parts: Tensor) -> Conditioning:
        """With more that the network reads."""
        return Conditioning(**self._parts, **parts)


class TextToImageConfig(Protocol):
    """What is known of a model before any weights are read. `enlarges`: other sizes than `sample_size` are this one,
    enlarged."""

    @property
    def sample_size(self) -> int:
        """Height and width in pixels of the images it was trained on."""

    @property
    def factor(self) -> int:
        """f"""

    @property
    def latent_channels(self) -> int:
        """Z"""

    @property
    def cross_attention_dim(self) -> int:
        """D"""

    @property
    def enlarges(self) -> bool: ...

    def working_memory(self, width: int, height: int, context: int) -> int:
        """Bytes at most beside the weights, for an image of so many pixels and a prompt of `context` tokens."""


class TextToImage(Protocol):
    """Networks that draw what a prompt says, in evaluation mode or in training."""

    kind: str
    """The published name of the denoiser's class, by which its layout is found."""

    @property
    def config(self) -> TextToImageConfig: ...

    @property
    def denoiser(self) -> nn.Module:
        """From noisy latents x (B, Z, h, w), timesteps t (B,) and a conditioning to a prediction (B, Z, h, w)."""

    def to_latents(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] as latents of a mean near 0 and a variance near 1."""

    def from_latents(self, latents: Tensor, conditioning: Conditioning) -> Tensor:
        """Images (B, 3, H, W), not clipped."""

    def planned(
        self, asked: Conditioning, negative: Conditioning, generator: Generator
    ) -> tuple[Conditioning, Conditioning]:
        """Both with what is settled of one image before its noise is drawn; as they are where that is nothing."""

    def looks(self, places: int) -> tuple[list[nn.Module], Callable[[Tensor], Tensor]]:
        """The layers whose attention sees words, and which part of a layer's weights is `places` looking at words."""

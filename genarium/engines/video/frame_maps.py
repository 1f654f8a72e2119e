"""Which words each frame of a clip looked at (DAAM, Tang et al. 2022, arXiv:2210.04885, a frame at a time)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tokenizers import Tokenizer
from torch import Tensor, nn

from genarium.engines.vision.word_maps import Attribution, WordMaps, of_tokens
from genarium.models.attention import watching
from genarium.models.unet3d import UNet3D


class FrameMaps:
    """What the places of each frame looked at, summed over all steps, layer by layer.

    `latents` are frames, height and width of what is denoised; of `rows` clips at once the last is the prompt's.
    """

    def __init__(self, latents: tuple[int, int, int], rows: int):
        frames, *self.size = latents
        self.rows = rows
        self.frames = [Attribution((latents[1], latents[2])) for _ in range(frames)]
        self._told: dict[int, int] = {}  # frames of the pass that a layer has told already

    def add(self, layer: int, places: int, weights: Tensor) -> None:
        """Weights (1, H, K N, S) of the next K frames, N `places` each: a layer takes some frames at a time."""
        for part in weights.split(places, dim=2):
            number = self._told.get(layer, 0)
            if (frame := number - (self.rows - 1) * len(self.frames)) >= 0:
                self.frames[frame].add(layer, part)
            self._told[layer] = (number + 1) % (self.rows * len(self.frames))

    @contextmanager
    def watching(self, network: UNet3D) -> Iterator[None]:
        """Inside the block, what the network's places look at among the words is summed here."""
        layers: list[nn.Module] = []
        places: list[int] = []
        for name, module in network.named_modules():
            if ".attentions." in name and name.endswith("attn2"):
                layers.append(module)
                places.append(self._places(name, len(network.config.block_out_channels)))
        with watching(layers, lambda layer, weights: self.add(layer, places[layer], weights)):
            yield

    def _places(self, name: str, levels: int) -> int:
        """Of one frame, in a layer of that name."""
        part, number, *_ = name.split(".")
        level = {"down_blocks": int(number), "up_blocks": levels - 1 - int(number)} if number.isdigit() else {}
        height, width = self.size
        for _ in range(level.get(part, levels - 1)):
            height, width = -(-height // 2), -(-width // 2)
        return height * width

    def words(self, prompt: str, tokenizer: Tokenizer) -> list[WordMaps]:
        """A map of every word of the prompt, for each frame."""
        return [of_tokens(prompt, tokenizer, frame.maps()) for frame in self.frames]

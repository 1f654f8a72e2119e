"""How a folder wants its pictures: `preprocessor_config.json`, as transformers' image processors keep it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.checkpoints.folder import read_json
from genarium.errors import BadCheckpoint

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Pixels:
    """Size in pixels, of the whole picture squeezed or, with `crop`, of its middle; mean and deviation of a channel.

    `resample` is Pillow's number: 2 bilinear, 3 bicubic.
    """

    size: int
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    resample: int = 3
    crop: bool = False

    def fit(self, picture: Image) -> Image:
        """The picture as RGB, `size` pixels high and wide."""
        from PIL.Image import Resampling

        how = Resampling(self.resample)
        picture = picture.convert("RGB")
        if not self.crop:
            return picture if picture.size == (self.size, self.size) else picture.resize((self.size, self.size), how)
        short = min(picture.size)
        picture = middle(picture, 4 * short)  # a line of 20,000 pixels would else be made 100 million large
        width, height = (int(side * self.size / short) for side in picture.size)
        whole = picture.resize((width, height), how)
        return middle(whole, self.size)

    def tensor(self, pictures: Sequence[Image]) -> Tensor:
        """(n, 3, size, size) float32 as the network was trained on."""
        import numpy as np

        return self.scaled(np.stack([np.asarray(self.fit(picture)) for picture in pictures]))

    def scaled(self, pixels: np.ndarray) -> Tensor:
        """(n, H, W, 3) uint8 to (n, 3, H, W) float32 as the network was trained on."""
        import torch

        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std

    def as_json(self) -> dict[str, Any]:
        size = {"shortest_edge": self.size} if self.crop else {"height": self.size, "width": self.size}
        crop = {"do_center_crop": True, "crop_size": {"height": self.size, "width": self.size}} if self.crop else {}
        return {
            "do_resize": True,
            "size": size,
            "resample": self.resample,
            **crop,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "do_convert_rgb": True,
        }


def middle(picture: Image, most: int) -> Image:
    """The middle of a picture, at most `most` pixels wide and high."""
    width, height = (min(side, most) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def read(path: Path, size: int) -> Pixels:
    """What the folder says of its pictures; what it leaves unsaid is as BLIP's and CLIP's. Raises BadCheckpoint.

    `size` is the network's own, which the pictures come out at.
    """
    raw: dict[str, Any] = {}
    if (path / "preprocessor_config.json").exists():
        raw = read_json(path / "preprocessor_config.json")
    elif (path / "processor_config.json").exists():
        raw = read_json(path / "processor_config.json").get("image_processor") or {}
    try:
        crop = bool(raw.get("do_center_crop", "crop_size" in raw))
        return Pixels(
            size=size,
            mean=tuple(float(value) for value in raw.get("image_mean", CLIP_MEAN)),
            std=tuple(float(value) for value in raw.get("image_std", CLIP_STD)),
            resample=int(raw.get("resample", 3)),
            crop=crop,
        )
    except (TypeError, ValueError):
        raise BadCheckpoint(
            f"{path}: the preprocessor's config can't be understood; download the folder again"
        ) from None

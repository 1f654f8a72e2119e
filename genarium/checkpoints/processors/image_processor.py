"""How a folder wants its pictures: `preprocessor_config.json`, as transformers' image processors keep it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genarium.checkpoints.store.folder import read_json
from genarium.errors import BadCheckpoint

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


PROCESSORS = ("BlipImageProcessor", "CLIPImageProcessor", "ViTImageProcessor", "BitImageProcessor")
"""Classes that resize, crop, rescale and normalise as their fields say, and do nothing else."""
SQUEEZING = ("BlipImageProcessor", "ViTImageProcessor")
LONGEST = 64
"""Times the shorter side that is read of a picture: a line of 20,000 pixels would else be made 100 million large."""


@dataclass(frozen=True)
class Pixels:
    """Size in pixels, of the whole picture squeezed or, with `crop`, of its middle; mean and deviation of a channel.

    `resample` is Pillow's number: 2 bilinear, 3 bicubic. With `crop` the picture is resized to `resized` before: its
    shorter side (int), or height and width squeezed; `size` where it is None. Values are multiplied by `rescale` first.
    """

    size: int
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    resample: int = 3
    crop: bool = False
    resized: int | tuple[int, int] | None = None
    rescale: float = 1 / 255

    def fit(self, image: Image) -> Image:
        """The picture as RGB, `size` pixels high and wide."""
        from PIL.Image import Resampling

        how = Resampling(self.resample)
        image = image.convert("RGB")
        if not self.crop:
            return image if image.size == (self.size, self.size) else image.resize((self.size, self.size), how)
        if isinstance(self.resized, tuple):
            height, width = self.resized
        else:
            short = min(image.size)
            image = middle(image, LONGEST * short)
            width, height = (int((self.resized or self.size) * side / short) for side in image.size)
        return middle(image.resize((width, height), how), self.size)

    def box(self, image: Image) -> tuple[float, float, float, float]:
        """What is left of the picture, as shares of its width and height: left, top, right, bottom."""
        if not self.crop:
            return 0.0, 0.0, 1.0, 1.0
        width, height = image.size
        if isinstance(self.resized, tuple):
            kept = self.size / self.resized[1], self.size / self.resized[0]
        else:
            share = self.size / (self.resized or self.size)
            kept = min(width, height) / width * share, min(width, height) / height * share
        across, down = (1 - part for part in kept)
        return across / 2, down / 2, 1 - across / 2, 1 - down / 2

    def tensor(self, images: Sequence[Image]) -> Tensor:
        """(n, 3, size, size) float32 as the network was trained on."""
        import numpy as np

        return self.scaled(np.stack([np.asarray(self.fit(image)) for image in images]))

    def scaled(self, pixels: np.ndarray) -> Tensor:
        """(n, H, W, 3) uint8 to (n, 3, H, W) float32 as the network was trained on."""
        import torch

        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        values = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        return ((values / 255 if self.rescale == 1 / 255 else values * self.rescale) - mean) / std

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


def middle(image: Image, most: int) -> Image:
    """The middle of a picture, at most `most` pixels wide and high."""
    width, height = (min(side, most) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


class Fields(BaseModel):
    """`preprocessor_config.json`. A step that is not declared here is refused where it is switched on."""

    model_config = ConfigDict(extra="allow", strict=True)
    image_processor_type: str | None = None
    feature_extractor_type: str | None = None
    do_resize: bool = True
    do_center_crop: bool | None = None
    do_rescale: bool = True
    do_normalize: bool = True
    size: int | dict[str, int] | None = None
    crop_size: int | dict[str, int] | None = None
    resample: Annotated[int, Field(ge=0, le=5)] = 3
    rescale_factor: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1 / 255
    image_mean: Annotated[list[float], Field(min_length=3, max_length=3)] = list(CLIP_MEAN)
    image_std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)] = list(CLIP_STD)
    crop_pct: None = None
    use_square_size: bool = False


def read(path: Path, size: int, *, usual: str = "BlipImageProcessor") -> Pixels:
    """What the folder says of its pictures; what it leaves unsaid is as BLIP's and CLIP's.

    `size` is the network's own, `usual` the class of a file that names none. Raises BadCheckpoint where pictures would
    not come out at that size, and where a step is asked for that is not done here.
    """
    file, raw = path / "preprocessor_config.json", dict[str, Any]()
    if file.exists():
        raw = read_json(file)
    elif (path / "processor_config.json").exists():
        file = path / "processor_config.json"
        raw = read_json(file).get("image_processor") or {}
    try:
        fields = Fields.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise BadCheckpoint(
            f"{file}: {name} {first['input']!r:.60}: {first['msg'][:1].lower()}{first['msg'][1:]}; put it right, or "
            "download the folder again"
        ) from None
    kind = fields.image_processor_type or (fields.feature_extractor_type or "").replace(
        "FeatureExtractor", "ImageProcessor"
    )
    kind = kind.removesuffix("Fast").removesuffix("Pil")
    steps = [name for name, value in (fields.model_extra or {}).items() if name.startswith("do_") and value is True]
    if kind not in ("", *PROCESSORS) or set(steps) - {"do_convert_rgb"} or not fields.do_resize:
        what = f"{kind!r}" if kind not in ("", *PROCESSORS) else "do_resize false" if not fields.do_resize else steps[0]
        raise BadCheckpoint(
            f"{file} asks for pictures by {what}, which is not done here; run the checkpoint with transformers"
        )
    return _sized(file, fields, size, squeezes=(kind or usual) in SQUEEZING)


def _sized(file: Path, fields: Fields, size: int, *, squeezes: bool) -> Pixels:
    """`squeezes` is whether one number for a size means height and width, and no crop where none is named."""
    crops = fields.do_center_crop
    if crops is None:
        crops = fields.crop_size is not None if squeezes else True
    square = squeezes or fields.use_square_size
    to = _edges(file, "size", fields.size, square=square) if fields.size is not None else size
    cropped = _edges(file, "crop_size", fields.crop_size, square=True) if fields.crop_size is not None else (size, size)
    out = cropped if crops else to if isinstance(to, tuple) else (to, to) if fields.size is None else None
    smallest = min(to) if isinstance(to, tuple) else to
    if out != (size, size) or (crops and smallest < size):
        says = f"size {fields.size}" + (f" and crop_size {fields.crop_size}" if crops else ", without a crop")
        raise BadCheckpoint(
            f"{file} brings pictures to {says}, and the network takes {size} by {size} pixels; download the folder "
            "again, or run it with transformers"
        )
    return Pixels(
        size=size,
        mean=tuple(fields.image_mean) if fields.do_normalize else (0.0, 0.0, 0.0),
        std=tuple(fields.image_std) if fields.do_normalize else (1.0, 1.0, 1.0),
        resample=fields.resample,
        crop=crops,
        resized=to if crops and to != size else None,
        rescale=fields.rescale_factor if fields.do_rescale else 1.0,
    )


def _edges(file: Path, name: str, value: int | dict[str, int], *, square: bool) -> int | tuple[int, int]:
    """Height and width, or the shorter side alone."""
    if isinstance(value, int):
        edges: int | tuple[int, int] = (value, value) if square else value
    elif value.keys() == {"height", "width"}:
        edges = value["height"], value["width"]
    elif value.keys() == {"shortest_edge"}:
        edges = value["shortest_edge"]
    else:
        raise BadCheckpoint(f"{file} has {name} {value}, which is not done here; run the checkpoint with transformers")
    if (
        min(edges if isinstance(edges, tuple) else (edges,)) < 1
        or max(edges if isinstance(edges, tuple) else (edges,)) > 8192
    ):
        raise BadCheckpoint(f"{file} has {name} {value}, which is no size of a picture; download the folder again")
    return edges

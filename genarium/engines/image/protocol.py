"""What an engine that makes pictures is, and what it gives back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from genarium.engines.drawing import (
    DrawingLimits,
    Request,
    covering,
    refuse_what_it_lacks,
    require_enlargement,
    require_fitting,
    require_memory,
    settled_options,
    usual_size,
    written,
)
from genarium.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from genarium.engines.vision.word_maps import WordMaps

ELSEWHERE = "CompVis/stable-diffusion-v1-4"
"""Who draws what the starter can't."""
NOTHING_TO_EXPLAIN = (
    "has no cross-attention from places to words that could be explained (the U-Nets of Stable Diffusion 1, 2 and XL "
    "and starter/image have)"
)


@dataclass(frozen=True)
class ImageRequest(Request):
    """How to make pictures. `mask` (greyscale) says which part of `init` is painted anew: white."""

    mask: Image | None = None


@dataclass(frozen=True)
class GeneratedImage:
    """One finished picture: `row` is its place among the seeds, `pixels` (height, width, 3) uint8. `stats`: `seconds`.

    The pixels depend on the request and this seed alone, not on the other seeds. `explained` is where the denoiser
    looked for each word of the prompt.
    """

    row: int
    seed: int
    pixels: np.ndarray
    stats: dict[str, float] = field(default_factory=dict)
    explained: WordMaps | None = None


@dataclass(frozen=True, kw_only=True)
class Limits(DrawingLimits):
    """What a model of pictures can do; `mask` says whether it takes one, which comes with an image to start from."""

    mask: bool = False


class ImageEngine(Protocol):
    """Makes pictures. Steps are told as progress events `denoising`, with `item` the row and a small preview."""

    name: str

    @property
    def limits(self) -> Limits: ...

    def memory(self, request: ImageRequest) -> int:
        """The least bytes that a settled request takes beside what is loaded already, by estimate."""

    def generate(self, request: ImageRequest) -> Iterator[GeneratedImage]:
        """A picture for every seed of a settled request, as each is finished. Raises BadInput, BadCheckpoint."""


def settle(request: ImageRequest, engine: ImageEngine) -> ImageRequest:
    """The request with the model's choices filled in, `init` and `mask` brought to size. Nothing is loaded for it.

    Raises BadInput where the model can't do what is asked, or there is not the memory for it.
    """
    limits, name = engine.limits, engine.name
    starts = limits.init or limits.mask
    more = (
        ("init", request.init is not None and not starts, "can't start from a picture"),
        ("mask", request.mask is not None and not limits.mask, "can't paint a part of a picture anew"),
    )
    refuse_what_it_lacks(request, limits, name, unexplained=NOTHING_TO_EXPLAIN, more=more)
    _require_what_it_starts_from(request, limits, name)
    if request.mask is not None and request.init is not None and request.mask.size != request.init.size:
        raise BadInput(
            f"the mask is {written(request.mask.size)} and the picture {written(request.init.size)} pixels; "
            "make the mask as large as the picture"
        )
    size = request.size or usual_size(request.init, limits)
    if limits.enlarges and request.size is not None:
        require_enlargement(request.size, limits, name, "pictures", ELSEWHERE)
    else:
        require_fitting(size, limits, name, "pictures")
    settled = replace(
        request,
        size=size,
        options=settled_options(request, limits, name),
        init=covering(request.init, size),
        mask=covering(request.mask, size),
    )
    way_out = "choose a smaller size or a smaller model"
    require_memory(engine.memory(settled), f"a picture of {written(size)}", name, way_out)
    return settled


def with_unmasked(made: Image, request: ImageRequest) -> Image:
    """What was painted inside the mask, and outside of it the picture that was given, to the bit."""
    from PIL import Image as Pillow

    if request.mask is None or request.init is None:
        return made
    return Pillow.composite(made, request.init, request.mask)


def _require_what_it_starts_from(request: ImageRequest, limits: Limits, name: str) -> None:
    if request.mask is None and not limits.init and limits.mask and not limits.text:
        raise BadInput(f"{name} only paints parts of a picture anew; give one with init and mask")
    if request.mask is not None and request.init is None:
        raise BadInput("a mask says which part of a picture is painted anew; give that picture as init")
    if request.init is None and not limits.text:
        raise BadInput(f"{name} starts from a picture, which its prompt changes; give one as init")
    if request.init is not None and request.mask is None and not limits.init:
        raise BadInput(f"{name} can't start from a picture without a mask; give a mask, or leave out init")

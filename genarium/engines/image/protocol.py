"""What an engine that makes pictures is, and what it gives back.

An engine says what its model can do (`limits`) and how much memory a request takes (`memory`) from the folder's
configs alone; the weights are read by the first `generate`. So `settle` refuses what can't be made at once.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from genarium.devices import available_memory
from genarium.errors import BadInput
from genarium.progress import note

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from genarium.engines.vision.word_maps import WordMaps

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class ImageRequest:
    """How to make pictures of `prompt`, one for each of `seeds`. None is the model's own choice.

    `init` (RGB) is a picture to start from, changed by `strength`: 0 leaves it as it is, 1 all but forgets it. `mask`
    (greyscale) says which part of it is painted anew: white. Models that draw a picture's codes take `temperature` and
    `top_k`, or `truncation`, the probability that the likeliest codes hold. With `explain` each comes with its maps.
    With `strict` a prompt that the model doesn't read whole, or has words it doesn't know, is refused.
    """

    prompt: str
    seeds: tuple[int, ...]
    size: Size | None = None
    steps: int | None = None
    guidance: float | None = None
    negative_prompt: str = ""
    sampler: str | None = None
    init: Image | None = None
    strength: float | None = None
    mask: Image | None = None
    temperature: float | None = None
    top_k: int | None = None
    truncation: float | None = None
    explain: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Picture:
    """One finished picture: `row` is its place among the seeds, `pixels` (height, width, 3) uint8. `stats`: `seconds`.

    The pixels depend on the request and this seed alone, not on the other seeds. `explained` is where the denoiser
    looked for each word of the prompt.
    """

    row: int
    seed: int
    pixels: np.ndarray
    stats: dict[str, float] = field(default_factory=dict)
    explained: WordMaps | None = None


@dataclass(frozen=True)
class Limits:
    """What a model can do. `size` is what it was trained on; sizes are multiples of `multiple`, unless it is `fixed`.
    One that `enlarges` draws at `size` from words, and larger pictures of that shape are this one enlarged.

    `steps` is the usual number (None: the model takes no steps), `guidance` the usual scale (None: it has none),
    `samplers` those it runs with, the usual one first. `text` says whether it draws from words alone, `init` and `mask`
    whether it takes them (a mask comes with an image to start from), `strength` how far it usually leaves that image
    (None: its words say). `negative` says whether it takes a negative prompt: it is compared at a guidance above
    `negative_above` alone, and with `guidance_beside_negative` guidance is read beside one alone. `temperature`,
    `top_k` and `truncation` are the usual ones of a model that takes them.
    `explain` says whether its places look at words, so that there is something to explain.
    """

    size: Size
    multiple: int = 8
    fixed: bool = False
    enlarges: bool = False
    steps: int | None = None
    guidance: float | None = None
    samplers: tuple[str, ...] = ()
    text: bool = True
    negative: bool = False
    negative_above: float = 1.0
    guidance_beside_negative: bool = False
    init: bool = False
    mask: bool = False
    strength: float | None = 0.75
    temperature: float | None = None
    top_k: int | None = None
    truncation: float | None = None
    explain: bool = False


class ImageEngine(Protocol):
    """Makes pictures. Steps are told as progress events `denoising`, with `item` the row and a small preview."""

    name: str

    @property
    def limits(self) -> Limits: ...

    def memory(self, request: ImageRequest) -> int:
        """The least bytes that a settled request takes beside what is loaded already, by estimate."""

    def generate(self, request: ImageRequest) -> Iterator[Picture]:
        """A picture for every seed of a settled request, as each is finished. Raises BadInput, BadCheckpoint."""


def settle(request: ImageRequest, engine: ImageEngine) -> ImageRequest:
    """The request with the model's choices filled in, `init` and `mask` brought to size. Nothing is loaded for it.

    Raises BadInput where the model can't do what is asked, or there is not the memory for it.
    """
    limits, name = engine.limits, engine.name
    _refuse_what_it_lacks(request, limits, name)
    _require_what_it_starts_from(request, limits, name)
    if request.mask is not None and request.init is not None and request.mask.size != request.init.size:
        raise BadInput(
            f"the mask is {_written(request.mask.size)} and the picture {_written(request.init.size)} pixels; "
            "make the mask as large as the picture"
        )
    size = request.size or _usual_size(request, limits)
    if limits.enlarges and request.size is not None:
        _require_enlargement(request.size, limits, name)
    else:
        _require_fitting(size, limits, name)
    settled = replace(
        request,
        size=size,
        steps=request.steps or limits.steps,
        guidance=_guidance(request, limits, name),
        sampler=request.sampler or next(iter(limits.samplers), None),
        temperature=limits.temperature if request.temperature is None else request.temperature,
        top_k=request.top_k or limits.top_k,
        truncation=limits.truncation if request.truncation is None else request.truncation,
        strength=None if request.init is None else (request.strength or limits.strength),
        init=_covering(request.init, size),
        mask=_covering(request.mask, size),
    )
    if settled.strength is not None and settled.steps is not None and settled.steps * settled.strength < 1:
        raise BadInput(
            f"strength {settled.strength:g} of {settled.steps} steps is less than one step; raise strength or steps"
        )
    needed, there = engine.memory(settled), available_memory()
    if needed > there:
        raise BadInput(
            f"a picture of {_written(size)} by {name} takes about {needed / 2**30:.1f} GiB of memory and "
            f"{there / 2**30:.1f} GiB are free; choose a smaller size or a smaller model"
        )
    return settled


def with_unmasked(made: Image, request: ImageRequest) -> Image:
    """What was painted inside the mask, and outside of it the picture that was given, to the bit."""
    from PIL import Image as Pillow

    if request.mask is None or request.init is None:
        return made
    return Pillow.composite(made, request.init, request.mask)


def tell_what_is_cut(name: str, called: str, context: int, cut: str, *, strict: bool = False) -> None:
    """What `name` does not read of the prompt (or what it is `called`), whose first `context` tokens it reads.

    Raises BadInput instead where `strict`.
    """
    tell(f"the {called} is longer than the {context} tokens that {name} reads; left out: “{_short(cut)}”", strict)


def tell(sentence: str, strict: bool) -> None:
    """What becomes of a prompt: a note, or where `strict`, BadInput."""
    if strict:
        raise BadInput(f"{sentence} (strict)")
    note(sentence)


def _short(text: str) -> str:
    return textwrap.shorten(text, 200) if " " in text[:200] or len(text) < 200 else f"{text[:199]}…"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch, or a library on it, found no memory."""
    import torch

    # The last is what oneDNN says when it can't get the memory for what it has done before.
    words = ("can't allocate memory", "not enough memory", "bad_alloc", "out of memory", "could not create a primitive")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in str(error) for word in words)


ELSEWHERE = "CompVis/stable-diffusion-v1-4"
"""Who draws what the starter can't."""
NOTHING_TO_EXPLAIN = (
    "has no cross-attention from places to words that could be explained (the U-Nets of Stable Diffusion 1, 2 and XL "
    "and starter/image have)"
)


def _refuse_what_it_lacks(request: ImageRequest, limits: Limits, name: str) -> None:
    starts = limits.init or limits.mask
    lacks = (
        ("steps", request.steps is not None and limits.steps is None, "takes no steps"),
        ("guidance", request.guidance is not None and limits.guidance is None, "has no guidance"),
        ("negative prompt", bool(request.negative_prompt) and not limits.negative, "takes no negative prompt"),
        ("init", request.init is not None and not starts, "can't start from a picture"),
        ("mask", request.mask is not None and not limits.mask, "can't paint a part of a picture anew"),
        ("sampler", request.sampler is not None and not limits.samplers, "has no samplers"),
        ("temperature", request.temperature is not None and limits.temperature is None, "has no temperature"),
        ("top k", request.top_k is not None and limits.top_k is None, "has no top-k"),
        ("truncation", request.truncation is not None and limits.truncation is None, "has no truncation"),
        ("explain", request.explain and not limits.explain, NOTHING_TO_EXPLAIN),
        ("strength", request.strength is not None and limits.strength is None, "is told by its prompt how far to go"),
        ("strength", request.strength is not None and request.init is None, "needs init to change by a strength"),
    )
    for option, lacking, why in lacks:
        if lacking:
            raise BadInput(f"{name} {why}; leave out {option}")
    if request.sampler is not None and request.sampler not in limits.samplers:
        raise BadInput(f"{name} runs with the samplers {', '.join(limits.samplers)}; got {request.sampler}")


def _require_what_it_starts_from(request: ImageRequest, limits: Limits, name: str) -> None:
    if request.mask is None and not limits.init and limits.mask and not limits.text:
        raise BadInput(f"{name} only paints parts of a picture anew; give one with init and mask")
    if request.mask is not None and request.init is None:
        raise BadInput("a mask says which part of a picture is painted anew; give that picture as init")
    if request.init is None and not limits.text:
        raise BadInput(f"{name} starts from a picture, which its prompt changes; give one as init")
    if request.init is not None and request.mask is None and not limits.init:
        raise BadInput(f"{name} can't start from a picture without a mask; give a mask, or leave out init")


def _guidance(request: ImageRequest, limits: Limits, name: str) -> float | None:
    """The scale that is read, the model's own where none is asked for."""
    guidance = limits.guidance if request.guidance is None else request.guidance
    if limits.guidance_beside_negative and not request.negative_prompt:
        if request.guidance is not None:
            raise BadInput(f"{name} reads guidance beside a negative prompt alone; give one, or leave out guidance")
        return None
    if request.negative_prompt and guidance is not None and guidance <= limits.negative_above:
        raise BadInput(
            f"at guidance {guidance:g} {name} reads no negative prompt; choose a guidance above "
            f"{limits.negative_above:g}, or leave out the negative prompt"
        )
    return guidance


def _usual_size(request: ImageRequest, limits: Limits) -> Size:
    """The model's own; with a picture to start from, one of that picture's shape and about as many pixels."""
    if request.init is None or limits.fixed:
        return limits.size
    width, height = request.init.size
    scale = (limits.size[0] * limits.size[1] / (width * height)) ** 0.5
    step = limits.multiple
    return max(step, round(width * scale / step) * step), max(step, round(height * scale / step) * step)


def _require_fitting(size: Size, limits: Limits, name: str) -> None:
    if limits.fixed and size != limits.size:
        raise BadInput(f"{name} makes pictures of {_written(limits.size)} only, got {_written(size)}")
    for side, called in zip(size, ("width", "height"), strict=True):
        below = side // limits.multiple * limits.multiple
        if side % limits.multiple or side < limits.multiple:
            near = [str(value) for value in (below, below + limits.multiple) if value > 0]
            raise BadInput(f"{called} must be a multiple of {limits.multiple}, got {side}; try {' or '.join(near)}")


def _require_enlargement(size: Size, limits: Limits, name: str) -> None:
    (width, height), (own_width, own_height) = size, limits.size
    if width * own_height != height * own_width or width < own_width:
        larger = max(own_width, width, -(-height * own_width // own_height))
        near = _written((larger, larger * own_height // own_width))
        raise BadInput(
            f"{name} draws {_written(limits.size)} pixels, and larger pictures of that shape by enlarging it; got "
            f"{_written(size)}: choose {near}, or a model that draws other shapes, such as {ELSEWHERE}"
        )


def _covering(picture: Image | None, size: Size) -> Image | None:
    from genarium.data.pictures import cover

    return None if picture is None else cover(picture, size)


def _written(size: Size) -> str:
    return f"{size[0]}x{size[1]}"

"""What an engine that makes pictures is, and what it gives back.

An engine says what its model can do (`limits`) and how much memory a request takes (`memory`) from the folder's
configs alone; the weights are read by the first `generate`. So `settle` refuses what can't be made at once.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from genarium.devices import available_memory
from genarium.errors import BadInput
from genarium.progress import note

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from genarium.engines.vision.word_maps import WordMaps

Size = tuple[int, int]
"""Width and height in pixels."""


STRENGTH = 0.75
"""How far a model usually leaves the picture that it starts from."""
Option = int | float | str
"""The value of an option of a model: a number of steps, a scale, a sampler's name."""


@dataclass(frozen=True)
class ImageRequest:
    """How to make pictures of `prompt`, one for each of `seeds`. None is the model's own choice.

    `init` (RGB) is a picture to start from. `mask` (greyscale) says which part of it is painted anew: white. `options`
    are those of the task `image` that the model must have (`ModelOption` in its signature), by name; what is not given
    is the model's own choice: `strength` is how far to leave `init`, 0 leaves it as it is, 1 all but forgets it. With
    `explain` each comes with its maps. With `strict` a prompt that the model doesn't read whole, or has words it
    doesn't know, is refused.
    """

    prompt: str
    seeds: tuple[int, ...]
    size: Size | None = None
    negative_prompt: str = ""
    init: Image | None = None
    mask: Image | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    explain: bool = False
    strict: bool = False

    def option(self, name: str, usual: Any = None) -> Any:
        """An option's value; `usual` where the model has none of that name, or it is not settled yet."""
        return self.options.get(name, usual)


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


@dataclass(frozen=True)
class Limits:
    """What a model can do. `size` is what it was trained on; sizes are multiples of `multiple`, unless it is `fixed`.
    One that `enlarges` draws at `size` from words, and larger pictures of that shape are this one enlarged.

    `options` are those that the model takes beside the prompt, each with what it usually is: `steps`, `sampler`,
    `guidance`, `strength`, and whatever else the signature of the task `image` has. Others are refused by name.
    `samplers` are those it runs with. `text` says whether it draws from words alone, `init` and `mask` whether it takes
    them (a mask comes with an image to start from). `negative` says whether it takes a negative prompt: it is compared
    at a guidance above `negative_above` alone, and with `guidance_beside_negative` guidance is read beside one alone.
    `explain` says whether its places look at words, so that there is something to explain.
    """

    size: Size
    multiple: int = 8
    fixed: bool = False
    enlarges: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)
    samplers: tuple[str, ...] = ()
    text: bool = True
    negative: bool = False
    negative_above: float = 1.0
    guidance_beside_negative: bool = False
    init: bool = False
    mask: bool = False
    explain: bool = False


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
    options = _options(request, limits, name)
    settled = replace(
        request, size=size, options=options, init=_covering(request.init, size), mask=_covering(request.mask, size)
    )
    steps, strength = options.get("steps"), options.get("strength")
    if steps is not None and strength is not None and float(steps) * float(strength) < 1:
        raise BadInput(f"strength {float(strength):g} of {steps} steps is less than one step; raise strength or steps")
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


LACKS = {
    "steps": "takes no steps",
    "guidance": "has no guidance",
    "sampler": "has no samplers",
    "temperature": "has no temperature",
    "top_k": "has no top-k",
    "truncation": "has no truncation",
    "strength": "is told by its prompt how far to go",
}
"""What is said of a model that has no such option, where "takes no …" would not do."""


def _refuse_what_it_lacks(request: ImageRequest, limits: Limits, name: str) -> None:
    starts = limits.init or limits.mask
    unknown = [option for option in request.options if option not in limits.options]
    lacks = (
        ("negative prompt", bool(request.negative_prompt) and not limits.negative, "takes no negative prompt"),
        ("init", request.init is not None and not starts, "can't start from a picture"),
        ("mask", request.mask is not None and not limits.mask, "can't paint a part of a picture anew"),
        ("explain", request.explain and not limits.explain, NOTHING_TO_EXPLAIN),
        *((option.replace("_", " "), True, LACKS.get(option, f"takes no {option}")) for option in unknown),
        ("strength", "strength" in request.options and request.init is None, "needs init to change by a strength"),
    )
    for option, lacking, why in lacks:
        if lacking:
            raise BadInput(f"{name} {why}; leave out {option}")
    sampler = request.options.get("sampler")
    if sampler is not None and sampler not in limits.samplers:
        raise BadInput(f"{name} runs with the samplers {', '.join(limits.samplers)}; got {sampler}")


def _options(request: ImageRequest, limits: Limits, name: str) -> dict[str, Option]:
    """Every option that the model reads of this request, in the order of its limits."""
    settled = {**limits.options, **request.options}
    if request.init is None:
        settled.pop("strength", None)
    if (guidance := _guidance(request, limits, name)) is None:
        settled.pop("guidance", None)
    else:
        settled["guidance"] = guidance
    return settled


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
    asked: Any = request.options.get("guidance")
    guidance: Any = limits.options.get("guidance") if asked is None else asked
    if limits.guidance_beside_negative and not request.negative_prompt:
        if asked is not None:
            raise BadInput(f"{name} reads guidance beside a negative prompt alone; give one, or leave out guidance")
        return None
    if request.negative_prompt and guidance is not None and guidance <= limits.negative_above:
        raise BadInput(
            f"at guidance {guidance:g} {name} reads no negative prompt; choose a guidance above "
            f"{limits.negative_above:g}, or leave out the negative prompt"
        )
    return guidance  # type: ignore[no-any-return]


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


def _covering(image: Image | None, size: Size) -> Image | None:
    from genarium.data.images import cover

    return None if image is None else cover(image, size)


def _written(size: Size) -> str:
    return f"{size[0]}x{size[1]}"

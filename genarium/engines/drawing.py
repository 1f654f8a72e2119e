"""What engines that draw pictures and videos share: what is asked of them, what their models can, what is refused.

An engine says what its model can do (`limits`) and how much memory a request takes (`memory`) from the folder's
configs alone; the weights are read by the first `generate`. So `settle` refuses what can't be made at once.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genarium.devices import available_memory
from genarium.errors import BadInput
from genarium.progress import note

if TYPE_CHECKING:
    from PIL.Image import Image

Size = tuple[int, int]
"""Width and height in pixels."""
STRENGTH = 0.75
"""How far a model usually leaves the picture that it starts from."""
Option = int | float | str
"""The value of an option of a model: a number of steps, a scale, a sampler's name."""
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


@dataclass(frozen=True)
class Request:
    """What is asked of a model that draws: one result of `prompt` for each of `seeds`. None is the model's own choice.

    `init` (RGB) is a picture to start from. `options` are those of the task that the model must have (`ModelOption` in
    its signature), by name; what is not given is the model's own choice: `strength` is how far to leave `init`, 0
    leaves it as it is, 1 all but forgets it. With `explain` each comes with its maps. With `strict` a prompt that the
    model doesn't read whole, or has words it doesn't know, is refused.
    """

    prompt: str
    seeds: tuple[int, ...]
    size: Size | None = None
    negative_prompt: str = ""
    init: Image | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    explain: bool = False
    strict: bool = False

    def option(self, name: str, usual: Any = None) -> Any:
        """An option's value; `usual` where the model has none of that name, or it is not settled yet."""
        return self.options.get(name, usual)


@dataclass(frozen=True, kw_only=True)
class DrawingLimits:
    """What a model can do. `size` is what it was trained on; sizes are multiples of `multiple`, unless it is `fixed`.

    `options` are those that the model takes beside the prompt, each with what it usually is: `steps`, `sampler`,
    `guidance`, `strength`, and whatever else the signature of its task has. Others are refused by name. `samplers` are
    those it runs with. `text` says whether it draws from words alone, `init` whether it takes a picture to start from.
    `negative` says whether it takes a negative prompt: it is compared at a guidance above `negative_above` alone, and
    with `guidance_beside_negative` guidance is read beside one alone. `explain` says whether its places look at words,
    so that there is something to explain. One that `enlarges` draws at `size` from words, and larger results of that
    shape are this one enlarged.
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
    explain: bool = False


def refuse_what_it_lacks(
    request: Request, limits: DrawingLimits, name: str, *, unexplained: str, more: Iterable[tuple[str, bool, str]]
) -> None:
    """Raises BadInput that names what the model has not. `more` are further things asked for: name, lacking, why.

    `unexplained` says why there is nothing to explain.
    """
    unknown = [option for option in request.options if option not in limits.options]
    lacks = (
        ("negative prompt", bool(request.negative_prompt) and not limits.negative, "takes no negative prompt"),
        *more,
        ("explain", request.explain and not limits.explain, unexplained),
        *((option.replace("_", " "), True, LACKS.get(option, f"takes no {option}")) for option in unknown),
        ("strength", "strength" in request.options and request.init is None, "needs init to change by a strength"),
    )
    for option, lacking, why in lacks:
        if lacking:
            raise BadInput(f"{name} {why}; leave out {option}")
    sampler = request.options.get("sampler")
    if sampler is not None and sampler not in limits.samplers:
        raise BadInput(f"{name} runs with the samplers {', '.join(limits.samplers)}; got {sampler}")


def settled_options(request: Request, limits: DrawingLimits, name: str) -> dict[str, Option]:
    """Every option that the model reads of this request, in the order of its limits. Raises BadInput."""
    options = {**limits.options, **request.options}
    if request.init is None:
        options.pop("strength", None)
    if (guidance := _guidance(request, limits, name)) is None:
        options.pop("guidance", None)
    else:
        options["guidance"] = guidance
    steps, strength = options.get("steps"), options.get("strength")
    if steps is not None and strength is not None and float(steps) * float(strength) < 1:
        raise BadInput(f"strength {float(strength):g} of {steps} steps is less than one step; raise strength or steps")
    return options


def _guidance(request: Request, limits: DrawingLimits, name: str) -> float | None:
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


def usual_size(init: Image | None, limits: DrawingLimits) -> Size:
    """The model's own; with a picture to start from, one of that picture's shape and about as many pixels."""
    if init is None or limits.fixed:
        return limits.size
    width, height = init.size
    scale = (limits.size[0] * limits.size[1] / (width * height)) ** 0.5
    step = limits.multiple
    return max(step, round(width * scale / step) * step), max(step, round(height * scale / step) * step)


def require_fitting(size: Size, limits: DrawingLimits, name: str, what: str) -> None:
    """Raises BadInput where the model makes no `what` (pictures, videos) of this size."""
    if limits.fixed and size != limits.size:
        raise BadInput(f"{name} makes {what} of {written(limits.size)} only, got {written(size)}")
    for side, called in zip(size, ("width", "height"), strict=True):
        below = side // limits.multiple * limits.multiple
        if side % limits.multiple or side < limits.multiple:
            near = [str(value) for value in (below, below + limits.multiple) if value > 0]
            raise BadInput(f"{called} must be a multiple of {limits.multiple}, got {side}; try {' or '.join(near)}")


def require_enlargement(size: Size, limits: DrawingLimits, name: str, what: str, elsewhere: str) -> None:
    """Raises BadInput where `size` is not that of a model that enlarges, enlarged; `elsewhere` makes other shapes."""
    (width, height), (own_width, own_height) = size, limits.size
    if width * own_height != height * own_width or width < own_width:
        larger = max(own_width, width, -(-height * own_width // own_height))
        near = written((larger, larger * own_height // own_width))
        raise BadInput(
            f"{name} draws {written(limits.size)} pixels, and larger {what} of that shape by enlarging it; got "
            f"{written(size)}: choose {near}, or a model that draws other shapes, such as {elsewhere}"
        )


def require_memory(needed: int, what: str, name: str, way_out: str) -> None:
    """Raises BadInput where there is not the memory for `what`."""
    if needed > (there := available_memory()):
        raise BadInput(
            f"{what} by {name} takes about {needed / 2**30:.1f} GiB of memory and {there / 2**30:.1f} GiB are free; "
            f"{way_out}"
        )


def covering(image: Image | None, size: Size) -> Image | None:
    """The picture scaled and cropped so that it fills `size`."""
    from genarium.data.images import cover

    return None if image is None else cover(image, size)


def written(size: Size) -> str:
    """A size as people write it: 512x512."""
    return f"{size[0]}x{size[1]}"


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

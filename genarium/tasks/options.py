"""Options that several tasks share, each written once: how a token is chosen, how it is drawn, what to compute in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval, MaxLen

from genarium.devices import computed_by
from genarium.errors import BadInput
from genarium.recipe import MAX_SEED
from genarium.signature import ModelOption
from genarium.tasks.task import Pin, Task

if TYPE_CHECKING:
    import numpy as np

Temperature = Annotated[float, Doc("0 always takes the likeliest token; higher is bolder"), Interval(ge=0, le=10)]
UsualTemperature = Annotated[
    float | None,
    Doc("0 always takes the likeliest token; higher is bolder [default: what a starter's makers recommend, else 0.8]"),
    Interval(ge=0, le=10),
]
TopK = Annotated[int, Doc("choose among this many likeliest tokens; 0 for all"), Ge(0)]
TopP = Annotated[float, Doc("choose among the likeliest tokens that make up this probability"), Interval(gt=0, le=1)]
UsualTopP = Annotated[
    float | None,
    Doc("choose among the likeliest tokens that make up this probability [default: as temperature, else 0.95]"),
    Interval(gt=0, le=1),
]
MinP = Annotated[float, Doc("leave out tokens less likely than this share of the likeliest"), Interval(ge=0, le=1)]
RepetitionPenalty = Annotated[float, Doc("above 1 makes repeating less likely"), Gt(0)]
Stop = Annotated[
    list[Annotated[str, MaxLen(1000)]] | None, Doc("end before this text; may be repeated, up to 64 times"), MaxLen(64)
]
JsonSchema = Annotated[
    str | None, Doc("a JSON Schema, as JSON: what is written is JSON of this kind, unless it is cut at the longest")
]
LogProbs = Annotated[
    int | None,
    Doc("keep each token's log-probability, and those of so many likeliest in its place"),
    Interval(ge=0, le=20),
]
TextDtype = Annotated[
    Literal["auto", "float32", "bfloat16", "int8", "int4"],
    Doc(
        "what to compute in; auto is bfloat16 on a GPU, float32 on a CPU, or int8 for a GGUF of 8 bits or less; "
        "int8 is faster than float32, int4 faster where many texts are written at once"
    ),
]
Backend = Annotated[
    Literal["auto", "onnx", "torch"],
    Doc("which library computes: onnx starts fastest and needs no torch; auto is torch on a GPU, else onnx"),
]
Steps = Annotated[
    int | None,
    Doc("denoising steps: more is finer and slower [default: the model's]"),
    Interval(ge=1, le=1000),
    ModelOption(),
]
Guidance = Annotated[
    float | None,
    Doc("how closely to follow the prompt; 1 and below don't compare with the negative [default: the model's]"),
    Interval(ge=0, le=100),
    ModelOption(),
]
Sampler = Annotated[
    Literal["dpm++2m", "ddim", "ddpm", "euler", "euler-a", "heun", "pndm", "unipc", "own"] | None,
    Doc("how noise becomes a picture; own is what the checkpoint names [default: the model's best]"),
    ModelOption(),
]
Strict = Annotated[
    bool, Doc("refuse a prompt with words that the model doesn't know or doesn't read, in place of a note")
]
DrawDtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    Doc("what the networks compute in; auto takes what is fastest here"),
]
LARGEST_SIDE = 100_000
DAAM = "where the denoiser looked for each word, over all steps, layers and heads (DAAM, Tang et al. 2022)"
PREVIEW = 48
"""Pixels along the longer side of the small picture that is told with each finished one."""


def options_of(task: Task, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments that are options of the model and given."""
    return {p.name: asked[p.name] for p in task.parameters if p.of_model and asked[p.name] is not None}


def seeds_of(seed: int | None, n: int) -> tuple[int, ...]:
    """A seed for each of n results."""
    return tuple(((seed or 0) + place) % (MAX_SEED + 1) for place in range(n))


def read_pair(name: str, text: str, example: str, *, square: bool = False) -> tuple[int, int]:
    """Two whole numbers above 0 with an x between; with `square` one stands for both. Raises BadInput."""
    found = re.fullmatch(r"\s*(\d+)\s*(?:[xX×*]\s*(\d+)\s*)?", text)
    if found is None or not (found[2] or square):
        raise BadInput(f"{name} is written like {example}, got {text!r}")
    pair = int(found[1]), int(found[2] or found[1])
    if min(pair) < 1 or max(pair) > LARGEST_SIDE:
        raise BadInput(f"{name} must be between 1 and {LARGEST_SIDE:,} each way, got {text}")
    return pair


def read_size(text: str | None) -> tuple[int, int] | None:
    """Width and height. Raises BadInput."""
    return None if text is None else read_pair("size", text, "512x512", square=True)


def small(pixels: np.ndarray) -> np.ndarray:
    """The picture at most PREVIEW pixels along a side, (h, w, 3) uint8."""
    step = max(1, -(-max(pixels.shape[:2]) // PREVIEW))
    return pixels[step // 2 :: step, step // 2 :: step]


def _written(asked: str, values: Mapping[str, Any]) -> str:
    """onnx or torch: what computes is a part of the recipe, since each rounds in its own way."""
    dtype = values.get("dtype", "auto")
    if asked == "onnx" and dtype == "bfloat16":
        raise BadInput("bfloat16 is computed by torch; leave the backend to auto, or choose float32")
    if asked != "auto":
        return computed_by(asked)
    if dtype != "auto":
        return "torch"
    from genarium.engines.registry import computing

    return computing(values["model"])


BACKEND = Pin(_written, lambda recorded: recorded if recorded in ("onnx", "torch") else "torch")
"""Of the argument `backend`; a recipe of before there was one means torch."""


def usual(name: str, otherwise: float) -> Pin:
    """Of a setting that nobody gave: what is recommended of a starter, else `otherwise`."""

    def written(asked: float | None, values: Mapping[str, Any]) -> float:
        if asked is not None:
            return asked
        from genarium.engines.registry import recommended

        return recommended(values["model"].reference).get(name, otherwise)

    return Pin(written, lambda recorded: otherwise if recorded is None else recorded)


def _decoder(values: Mapping[str, Any]) -> tuple[str, str]:
    """Backend and dtype that the model of these arguments will be computed by and in; as asked, behind an endpoint."""
    from genarium.engines.text import decoders, llama_cpp_engine

    path = values["model"].path
    if version := llama_cpp_engine.version(values["model"]):
        return version, values["dtype"]
    return (
        (values["backend"], values["dtype"])
        if path is None
        else decoders.chosen(path, values["dtype"], values["backend"])
    )


def _recorded(backend: str | None) -> str:
    from genarium.engines.text import llama_cpp_engine

    if backend is not None and backend.startswith(llama_cpp_engine.NAME):
        llama_cpp_engine.tell_other(backend)
        return "auto"
    return backend or "torch"


DECODER = {
    "backend": Pin(lambda _, values: _decoder(values)[0], _recorded),
    "dtype": Pin(lambda _, values: _decoder(values)[1], lambda recorded: recorded or "auto"),
}
"""Of the arguments `backend` and `dtype` where a model writes: both as they were chosen for it on this machine."""

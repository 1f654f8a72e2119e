"""Options that several tasks share, each written once: how the next token is chosen, and what to compute in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval, MaxLen

from genarium.devices import computed_by
from genarium.errors import BadInput
from genarium.tasks.task import Pin

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

"""What commands that train ask for beside their own options. A command says only what is usual for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval

from genarium.errors import BadInput

if TYPE_CHECKING:
    from genarium.training.settings import Settings

Way = Literal["lora", "full"]
"""What of a policy is trained: adapters beside its layers, or every weight."""
Target = Literal["qkv", "out", "up", "down"]
TARGETS: tuple[Target, ...] = ("qkv", "out", "up", "down")

Rank = Annotated[int, Doc("width of the adapters"), Interval(ge=1, le=256)]
Alpha = Annotated[float | None, Doc("adapters are scaled by this over their rank [default: twice it]"), Gt(0)]
Targets = Annotated[list[Target] | None, Doc("layers that get an adapter; may be repeated [default: all four]")]
Delimiter = Annotated[
    str | None, Doc("what is between columns: comma, semicolon, tab, pipe or a character [default: found out]")
]
Encoding = Annotated[str | None, Doc("the files' encoding, as in cp1252 or gb18030 [default: by their mark, or UTF-8]")]
"""Of all files that are named; a file alone has `data.tables.Encoding`."""


def adapters(rank: int, alpha: float | None, targets: Sequence[Target] | None) -> dict[str, Any]:
    """How adapters are made where this is asked."""
    return {"rank": rank, "alpha": alpha or 2.0 * rank, "targets": list(targets or TARGETS)}


@dataclass(frozen=True)
class RunOptions:
    """Of every run. None is what the command's settings say."""

    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None
    learning_rate: Annotated[float | None, Doc("peak learning rate"), Gt(0)] = None
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 5.0
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto"
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto"
    seed: Annotated[int, Doc("same seed, data and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0

    def folder(self, usual: str) -> Path:
        """Where the run is: as asked, or else `usual` among the runs."""
        return Path(self.out) if self.out else Path("runs") / usual

    def settings(self, usual: Settings, *, falls: int) -> Settings:
        """`usual` with what was asked: a rate that is asked for falls to its `falls`-th part, and at most a tenth of
        the steps is spent on its rise."""
        from genarium.devices import pick_device

        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "out"}
        asked = {name: value for name, value in given.items() if value is not None}
        if self.learning_rate is not None:
            asked["min_learning_rate"] = self.learning_rate / falls
        made = replace(usual, **asked | {"device": pick_device(self.device)})
        return replace(made, warmup_steps=min(made.warmup_steps, made.steps // 10))


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """Of a run whose steps are counted."""

    steps: Annotated[int | None, Doc("optimiser updates"), Ge(1)] = None
    evaluate_every: Annotated[int | None, Doc("updates between evaluations"), Ge(1)] = None


def multiple_of(unit: int, **given: int) -> None:
    """Raises BadInput where a size is none of `unit`, with one that is near."""
    for name, value in given.items():
        if value % unit:
            near = max(unit, round(value / unit) * unit)
            raise BadInput(f"{name} must be a multiple of {unit}, got {value}; try {near}")

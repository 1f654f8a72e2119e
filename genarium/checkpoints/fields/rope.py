"""Rotary positions as configs describe them: `rope_parameters`, or `rope_scaling` as it was called."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from genarium.checkpoints.fields import Flag, Positive, Unneeded

Base = Annotated[float, Field(strict=True, gt=1, le=1e18, allow_inf_nan=False)]
"""What the wavelengths are powers of."""
Original = Annotated[int, Field(strict=True, ge=2, le=2**31 - 1)]
Whole = Annotated[Literal[1] | None, BeforeValidator(lambda given: 1 if given == 1 else given)]
"""How much of a head is turned by position: all of it."""


class Rope(BaseModel):
    """Which rotary positions, and how they are stretched. What it leaves out is told by the rest of the config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rope_type: Literal["default", "linear", "dynamic", "yarn", "longrope", "llama3"] = "default"
    rope_theta: Base | None = None
    factor: Positive | None = None
    original_max_position_embeddings: Original | None = None
    attention_factor: Positive | None = None
    beta_fast: Positive | None = None
    beta_slow: Positive | None = None
    mscale: Positive | None = None
    mscale_all_dim: Positive | None = None
    truncate: Flag = True
    short_factor: tuple[Positive, ...] | None = None
    long_factor: tuple[Positive, ...] | None = None
    low_freq_factor: Positive | None = None
    high_freq_factor: Positive | None = None
    partial_rotary_factor: Whole = None
    finetuned: Unneeded = None

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, given: Any) -> Any:
        """`type` is its older name."""
        if not isinstance(given, dict) or "type" not in given:
            return given
        return {"rope_type": given["type"]} | {name: value for name, value in given.items() if name != "type"}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        lacks = [name for name in NEEDED[self.rope_type] if getattr(self, name) is None]
        if lacks:
            raise ValueError(f"{self.rope_type} needs {lacks[0]}")
        return self


NEEDED = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": (),
    "longrope": ("short_factor", "long_factor"),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
}

"""How one trained denoiser is sampled: its forward process, what it predicts, and its usual sampler and levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from genarium.diffusion.samplers import SAMPLERS, AtLevel, Denoise, OnStep
from genarium.diffusion.schedules import DiffusionSchedule, FlowSchedule, Levels, Spacing
from genarium.diffusion.targets import Prediction
from genarium.errors import BadInput

# How timesteps lie where a checkpoint does not say, as in diffusers' scheduler of each sampler.
USUAL_SPACING: dict[str, Spacing] = {
    "ddim": "leading",
    "ddpm": "leading",
    "dpm++2m": "linspace",
    "euler": "linspace",
    "heun": "linspace",
}


@dataclass(frozen=True)
class Process:
    """What a `scheduler_config.json` says (`checkpoints.scheduler`).

    `spacing` None is the sampler's usual one. `set_alpha_to_one` false ends DDIM at timestep 0's level, `sigma_min`
    ends Euler and DPM-Solver++ there. `clip` keeps DDPM's and DDIM's pictures within ±clip.
    """

    schedule: DiffusionSchedule | FlowSchedule = field(default_factory=DiffusionSchedule)
    prediction: Prediction = "epsilon"
    sampler: str = "dpm++2m"
    spacing: Spacing | None = None
    offset: int = 0
    set_alpha_to_one: bool = True
    sigma_min: bool = False
    karras: bool = False
    clip: float | None = None

    def levels(self, steps: int, *, sampler: str | None = None) -> Levels:
        """The levels that this many steps walk down. Raises BadInput where it knows no such sampler or number."""
        name = require_sampler(sampler or self.sampler)
        if isinstance(self.schedule, FlowSchedule):
            spacing = self.spacing or "trailing"
            return self.schedule.levels(
                steps,
                spacing="linspace" if spacing == "linspace" else "trailing",
                skip_last=name == "dpm++2m",
            )
        ends_noisy = not self.set_alpha_to_one if name == "ddim" else self.sigma_min and name in ("euler", "dpm++2m")
        return self.schedule.levels(
            steps,
            spacing=self.spacing or USUAL_SPACING[name],
            offset=self.offset,
            whole=name not in ("euler", "heun"),
            skip_last=name == "dpm++2m",
            final="sigma_min" if ends_noisy else "zero",
            karras=self.karras and name in ("euler", "heun", "dpm++2m"),
        )

    def sample(
        self,
        denoise: Denoise,
        x: Tensor,
        levels: Levels,
        *,
        sampler: str | None = None,
        generators: Sequence[torch.Generator] | None = None,
        on_step: OnStep | None = None,
        at_level: AtLevel | None = None,
    ) -> Tensor:
        """x (B, ...) walked down `levels`; arguments as in `samplers`."""
        name = require_sampler(sampler or self.sampler)
        more: dict[str, Any] = {"clip": self.clip} if name in ("ddim", "ddpm") else {}
        return SAMPLERS[name](
            denoise,
            x,
            levels,
            prediction=self.prediction,
            generators=generators,
            on_step=on_step,
            at_level=at_level,
            **more,
        )


def require_sampler(name: str) -> str:
    """The name, where there is such a sampler. Raises BadInput."""
    if name not in SAMPLERS:
        raise BadInput(f"sampler must be one of {', '.join(SAMPLERS)}; got {name}")
    return name

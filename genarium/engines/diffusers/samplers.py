"""Which samplers may stand for a folder's own, and those samplers, at the noise levels of the folder's own.

A sampler may change how many steps are taken and how, not what noise the network was trained on: one that has no place
for a field of the folder's scheduler (zero terminal SNR, thresholding, a flow's shift) is not offered.
"""

from __future__ import annotations

import inspect
from typing import Any, Protocol

import torch

from genarium.errors import BadCheckpoint, first_line

# Schedulers of the same noise levels, which may stand for each other; ours by default where the folder names an
# older one. Any other scheduler (distilled for few steps, say) is kept as it is, and called `own`.
NOISE = {
    "dpm++2m": "DPMSolverMultistepScheduler",
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler-a": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "pndm": "PNDMScheduler",
    "unipc": "UniPCMultistepScheduler",
}
REPLACED = {"DDIMScheduler", "DDPMScheduler", "LMSDiscreteScheduler", "PNDMScheduler"}
FLOW = {"euler": "FlowMatchEulerDiscreteScheduler", "heun": "FlowMatchHeunDiscreteScheduler"}
# What says which noise the network was trained on, or what is done with its predictions, and the values that say
# nothing (none is needed where another field says whether it counts).
PROCESS: dict[str, tuple[Any, ...]] = {
    "num_train_timesteps": (1000,),
    "beta_start": (0.0001,),
    "beta_end": (0.02,),
    "beta_schedule": ("linear",),
    "trained_betas": (None,),
    "prediction_type": ("epsilon",),
    "rescale_betas_zero_snr": (False,),
    "thresholding": (False,),
    "dynamic_thresholding_ratio": (),
    "sample_max_value": (),
    "use_flow_sigmas": (False,),
    "flow_shift": (),
    "timestep_type": ("discrete",),
    "sigma_min": (None,),
    "sigma_max": (None,),
}
LEARNED = ("learned", "learned_range")
FLOW_PROCESS: dict[str, tuple[Any, ...]] = {
    "shift": (1.0,),
    "num_train_timesteps": (1000,),
    "use_dynamic_shifting": (False,),
    "shift_terminal": (None, False),
    "invert_sigmas": (False,),
    "use_karras_sigmas": (None, False),
    "use_exponential_sigmas": (None, False),
    "use_beta_sigmas": (None, False),
    "stochastic_sampling": (False,),
}


class Stepped(Protocol):
    """What of a family of pipelines says which samplers it runs with: see `families.py` of pictures and videos."""

    @property
    def heun(self) -> bool: ...
    @property
    def step_takes(self) -> tuple[str, ...]: ...


def choices(config: dict[str, Any], family: Stepped, channels: int) -> tuple[str, ...]:
    """The samplers that run with a scheduler's config, the usual one first; `own` where it has no other name.

    `channels` are those of what is denoised. Raises BadCheckpoint where the config's own scheduler can't be made of it.
    """
    import diffusers

    kind = str(config.get("_class_name"))
    own = getattr(diffusers, kind, None)
    if own is None:
        return ("own",)
    try:
        scheduler = own.from_config(config)
    except Exception as error:  # whatever the library says of values of another kind
        raise BadCheckpoint(
            f"scheduler_config.json can't be used by diffusers' {kind}: {first_line(error)}; download the folder again"
        ) from None
    if kind in FLOW.values():
        heun = kind == FLOW["heun"] or (family.heun and _keeps(FLOW["heun"], scheduler, FLOW_PROCESS))
        return ("euler", "heun") if family.heun and heun else ("euler",)
    named = next((name for name, other in NOISE.items() if other == kind), None)
    if named is None and kind not in REPLACED:
        return ("own",)
    found = [name for name in NOISE if name == named or _stands_for(scheduler, name, family, channels)]
    usual = "dpm++2m" if kind in REPLACED and "dpm++2m" in found else named
    return tuple(sorted(found, key=lambda name: name != usual)) or ("own",)


def make(own: Any, name: str | None) -> Any:
    """A fresh scheduler of that name, at the noise levels of the folder's own (which `own` and None are)."""
    import diffusers

    flow = type(own).__name__ in FLOW.values()
    kinds = FLOW if flow else NOISE
    kind = getattr(diffusers, kinds[name]) if name in kinds else type(own)
    if kind is type(own):
        return kind.from_config(own.config)
    known = inspect.signature(kind.__init__).parameters
    said: dict[str, Any] = {}
    if not flow:  # the classes' defaults differ
        said = {field: own.config[field] for field in PROCESS if field in known and field in own.config}
    # Latents are not within [-1, 1]: they are clipped where the folder says so alone. PNDM's first steps are not what
    # image-to-image may start amid.
    for field, value in (("clip_sample", False), ("skip_prk_steps", True)):
        if field in known:
            said[field] = own.config.get(field, value)
    return kind.from_config(own.config, **said)


def _stands_for(own: Any, name: str, family: Stepped, channels: int) -> bool:
    """Whether a sampler keeps to the noise of the folder's own, and takes a step as this family's pipelines ask."""
    if not _keeps(NOISE[name], own, PROCESS):
        return False
    learned = own.config.get("variance_type") in LEARNED
    try:
        sampler = make(own, name)
        if learned and "variance_type" not in inspect.signature(type(sampler).__init__).parameters:
            return False  # the pipeline would hand it predictions of the variance
        sampler.set_timesteps(10)
        taken = {"generator": torch.Generator()} if "generator" in family.step_takes else {}
        latents = torch.zeros(1, channels, 2, 2)
        predicted = torch.cat([latents, latents], 1) if learned else latents
        sampler.step(predicted, sampler.timesteps[0], latents, **taken)
    except Exception:  # whatever a scheduler says of a config that it can't be
        return False
    return True


def _keeps(kind: str, own: Any, fields: dict[str, tuple[Any, ...]]) -> bool:
    """Whether every field that says something has its place in that scheduler."""
    import diffusers

    known = inspect.signature(getattr(diffusers, kind).__init__).parameters
    counted = {field: unsaid for field, unsaid in fields.items() if unsaid and field in own.config}
    return all(field in known or own.config[field] in unsaid for field, unsaid in counted.items())

"""diffusers' `scheduler_config.json` <-> `diffusion.process.Process`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from genarium.checkpoints.store.folder import read_json
from genarium.diffusion.process import Process
from genarium.diffusion.schedules import DiffusionSchedule, FlowSchedule
from genarium.diffusion.targets import Prediction
from genarium.errors import BadCheckpoint
from genarium.files import write_atomically
from genarium.progress import note

FILE = "scheduler_config.json"
# diffusers' class -> our sampler. Those that we have no sampler like walk the same levels, so they get DPM-Solver++.
CLASSES = {
    "DDIMScheduler": "ddim",
    "DDPMScheduler": "ddpm",
    "DPMSolverMultistepScheduler": "dpm++2m",
    "EulerDiscreteScheduler": "euler",
    "HeunDiscreteScheduler": "heun",
    "EulerAncestralDiscreteScheduler": "dpm++2m",
    "LMSDiscreteScheduler": "dpm++2m",
    "PNDMScheduler": "dpm++2m",
    "UniPCMultistepScheduler": "dpm++2m",
    "FlowMatchEulerDiscreteScheduler": "euler",
    "FlowMatchHeunDiscreteScheduler": "heun",
}
BETAS = {"linear": "linear", "scaled_linear": "scaled_linear", "squaredcos_cap_v2": "cosine"}
PREDICTIONS: dict[str, Prediction] = {
    "epsilon": "epsilon",
    "v_prediction": "v",
    "flow_prediction": "flow",
    "sample": "sample",
}
# What is read of a config.
READ = frozenset(
    "num_train_timesteps beta_start beta_end beta_schedule trained_betas prediction_type rescale_betas_zero_snr "
    "timestep_spacing steps_offset set_alpha_to_one use_karras_sigmas final_sigmas_type clip_sample clip_sample_range "
    "use_flow_sigmas flow_shift shift".split()
)
# What changes the pictures, and the values at which it is what is done here.
ONLY: dict[str, tuple[Any, ...]] = {
    "thresholding": (False, None),
    "use_exponential_sigmas": (False, None),
    "use_beta_sigmas": (False, None),
    "use_lu_lambdas": (False, None),
    "use_dynamic_shifting": (False, None),
    "shift_terminal": (None, False, 0),
    "invert_sigmas": (False, None),
    "stochastic_sampling": (False, None),
    "variance_type": (None, "fixed_small"),
    "interpolation_type": ("linear",),
    "timestep_type": ("discrete",),
    "sigma_min": (None,),
    "sigma_max": (None,),
}
# The same, of the one solver that is here; schedulers that it stands for have others.
SOLVER: dict[str, tuple[Any, ...]] = {
    "solver_order": (2,),
    "algorithm_type": ("dpmsolver++",),
    "solver_type": ("midpoint",),
    "lower_order_final": (True,),
    "euler_at_final": (False,),
    "lambda_min_clipped": (float("-inf"), None),
}
# What changes nothing where the fields above have those values, or belongs to a solver that another stands for.
UNNEEDED = frozenset(
    "dynamic_thresholding_ratio sample_max_value time_shift_type base_shift max_shift base_image_seq_len "
    "max_image_seq_len skip_prk_steps predict_x0 disable_corrector solver_p".split()
)


def read(path: Path) -> Process:
    """The process described in a `scheduler/` folder. Raises BadCheckpoint."""
    file = path / FILE
    return from_config(read_json(file), str(file))


def from_config(raw: Mapping[str, Any], where: str) -> Process:
    """The process of a scheduler's config. Raises BadCheckpoint where it can't be one of ours."""
    kind = raw.get("_class_name")
    if kind not in CLASSES:
        raise BadCheckpoint(f"{where}: the native samplers do not know {kind}; open the folder with diffusers")
    _refuse_what_is_not_done(raw, ONLY | (SOLVER if kind == "DPMSolverMultistepScheduler" else {}), where)
    flow = kind.startswith("FlowMatch") or bool(raw.get("use_flow_sigmas"))
    said = raw.get("prediction_type", "flow_prediction" if flow else "epsilon")
    if said not in PREDICTIONS:
        raise BadCheckpoint(f"{where}: prediction_type {said!r} is not one of {', '.join(PREDICTIONS)}")
    process = Process(
        schedule=_flow(raw) if flow else _diffusion(raw, where),
        prediction=PREDICTIONS[said],
        sampler=CLASSES[kind],
        karras=bool(raw.get("use_karras_sigmas")),
    )
    if flow:
        if process.karras:
            raise BadCheckpoint(f"{where}: the native samplers do not know Karras' levels on a flow")
        # diffusers' flow schedulers know one spacing and ignore the key, which ours write.
        return replace(process, spacing=raw.get("timestep_spacing", "linspace"))
    clips = raw.get("clip_sample", kind in ("DDIMScheduler", "DDPMScheduler"))
    return replace(
        process,
        spacing=raw.get("timestep_spacing"),
        offset=raw.get("steps_offset", 0),
        set_alpha_to_one=raw.get("set_alpha_to_one", True),
        sigma_min=raw.get("final_sigmas_type", "zero") == "sigma_min",
        clip=raw.get("clip_sample_range", 1.0) if clips else None,
    )


def _refuse_what_is_not_done(raw: Mapping[str, Any], only: Mapping[str, tuple[Any, ...]], where: str) -> None:
    for name, values in only.items():
        if raw.get(name, values[0]) not in values:
            raise BadCheckpoint(
                f"{where}: the native samplers do not know {name} {raw[name]!r}; open the folder with diffusers"
            )
    known = READ | UNNEEDED | ONLY.keys() | SOLVER.keys()
    if unknown := sorted(name for name in raw if name not in known and not name.startswith("_")):
        note(f"{where}: nothing here reads these fields: {', '.join(unknown)[:200]}")


def write(process: Process, path: Path) -> None:
    """Write `scheduler_config.json` into a `scheduler/` folder, as diffusers reads it."""
    path.mkdir(parents=True, exist_ok=True)
    write_atomically(path / FILE, json.dumps(to_config(process), indent=2).encode() + b"\n")


def to_config(process: Process) -> dict[str, Any]:
    """The config of diffusers' scheduler for a process."""
    schedule = process.schedule
    if isinstance(schedule, FlowSchedule):
        kinds = {"heun": "FlowMatchHeunDiscreteScheduler", "dpm++2m": "DPMSolverMultistepScheduler"}
        kind = kinds.get(process.sampler, "FlowMatchEulerDiscreteScheduler")
        common = {"_class_name": kind, "num_train_timesteps": schedule.n_timesteps}
        common["timestep_spacing"] = process.spacing or "trailing"
        if kind == "DPMSolverMultistepScheduler":
            said = next(name for name, ours in PREDICTIONS.items() if ours == process.prediction)
            return common | {"prediction_type": said, "use_flow_sigmas": True, "flow_shift": schedule.shift}
        if process.prediction != "flow":
            raise BadCheckpoint(f"diffusers' {kind} has no place for prediction {process.prediction!r}; train flow")
        return common | {"shift": schedule.shift}
    kind = next(name for name, ours in CLASSES.items() if ours == process.sampler)
    config: dict[str, Any] = {
        "_class_name": kind,
        "num_train_timesteps": schedule.n_timesteps,
        "beta_schedule": next(name for name, ours in BETAS.items() if ours == schedule.kind),
        "beta_start": schedule.beta_start,
        "beta_end": schedule.beta_end,
        "trained_betas": list(schedule.trained_betas) if schedule.trained_betas is not None else None,
        "rescale_betas_zero_snr": schedule.zero_snr,
        "prediction_type": next(name for name, ours in PREDICTIONS.items() if ours == process.prediction),
        "steps_offset": process.offset,
        "use_karras_sigmas": process.karras,
        "final_sigmas_type": "sigma_min" if process.sigma_min else "zero",
        "set_alpha_to_one": process.set_alpha_to_one,
        "clip_sample": process.clip is not None,
    }
    if process.clip is not None:
        config["clip_sample_range"] = process.clip
    if process.spacing is not None:
        config["timestep_spacing"] = process.spacing
    return config


def _flow(raw: Mapping[str, Any]) -> FlowSchedule:
    return FlowSchedule(
        shift=float(raw.get("flow_shift" if raw.get("use_flow_sigmas") else "shift", 1.0)),
        n_timesteps=int(raw.get("num_train_timesteps", 1000)),
    )


def _diffusion(raw: Mapping[str, Any], where: str) -> DiffusionSchedule:
    kind = raw.get("beta_schedule", "linear")
    trained = raw.get("trained_betas")
    if kind not in BETAS and trained is None:
        raise BadCheckpoint(f"{where}: beta_schedule {kind!r} is not one of {', '.join(BETAS)}")
    heun = raw["_class_name"] == "HeunDiscreteScheduler"  # whose own defaults are Stable Diffusion's
    return DiffusionSchedule(
        kind=BETAS.get(kind, "linear"),  # type: ignore[arg-type]
        beta_start=float(raw.get("beta_start", 0.00085 if heun else 0.0001)),
        beta_end=float(raw.get("beta_end", 0.012 if heun else 0.02)),
        n_timesteps=len(trained) if trained is not None else int(raw.get("num_train_timesteps", 1000)),
        zero_snr=bool(raw.get("rescale_betas_zero_snr", False)),
        trained_betas=tuple(trained) if trained is not None else None,
    )

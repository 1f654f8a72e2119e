"""`genarium train planner`: from a caption, what stands where in a picture of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval

from genarium.errors import BadInput
from genarium.progress import emit

SIZE = 64
"""Pixels of the scenes; a plan says the same of any size."""


def train_planner(
    *,
    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None,
    text_encoder: Annotated[str, Doc("frozen encoder that captions enter through")] = "starter/encoder",
    width: Annotated[int, Doc("width of the Transformer, a multiple of 64"), Interval(ge=64, le=1024)] = 256,
    layers: Annotated[int, Doc("blocks"), Interval(ge=1, le=24)] = 3,
    steps: Annotated[int, Doc("optimiser updates"), Ge(1)] = 4000,
    batch_size: Annotated[int, Doc("scenes in a batch"), Ge(1)] = 128,
    learning_rate: Annotated[float, Doc("peak learning rate"), Gt(0)] = 1e-3,
    ema: Annotated[float, Doc("kept of the weights' running mean at each step"), Interval(ge=0, lt=1)] = 0.995,
    evaluate_every: Annotated[int, Doc("updates between evaluations"), Ge(1)] = 500,
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 5.0,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto",
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto",
    seed: Annotated[int, Doc("same seed and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0,
) -> dict[str, Any]:
    """Train a planner of composed scenes, by whose plans `train diffusion --planner` draws.

    It learns from scenes alone, which know where everything stands. Returns the figures: the loss in nats a plan, and
    the share of held-out prompts whose plan shows what was asked.
    """
    import torch

    from genarium.checkpoints.layouts import planner as layout
    from genarium.devices import pick_device
    from genarium.models.plan import Planner, PlannerConfig
    from genarium.training import report, start
    from genarium.training.loop import fit
    from genarium.training.objectives.plans import WritePlans, plan_words
    from genarium.training.settings import Settings
    from genarium.training.sources.images import SNAP_CELLS, Scenes

    if width % 64:
        raise BadInput(f"width must be a multiple of 64, got {width}; try {max(64, round(width / 64) * 64)}")
    folder = Path(out) if out else Path("runs") / "planner-scenes"
    settings = Settings(
        steps=steps,
        learning_rate=learning_rate,
        min_learning_rate=learning_rate / 50,
        warmup_steps=min(200, steps // 10),
        weight_decay=0.01,
        ema=ema,
        evaluate_every=evaluate_every,
        checkpoint_minutes=checkpoint_minutes,
        precision=precision,
        compile="off",
        device=pick_device(device),
        seed=seed,
    )
    prompts, reads = start.prompts(text_encoder, device=settings.device)
    torch.manual_seed(seed)
    config = PlannerConfig(plan_words(), width, layers, width // 64, prompts.model.config.d_model)
    model = Planner(config).to(settings.device)
    objective = WritePlans(model, prompts, Scenes(SIZE, snap=SIZE // SNAP_CELLS, seed=seed), batch_size=batch_size)
    objective.identity["text_encoder"] = reads
    log = fit(objective, settings, folder)
    emit("saving")
    layout.save(model.eval(), folder, dtype=torch.float16)
    figures: dict[str, Any] = {name: log[-1][name] for name in ("loss", "right", "seconds")}
    report.write_recipe(folder, "planner", objective, settings, figures)
    report.plot_losses(log, folder / "loss.png", title="Planner of scenes", unit="nats a plan")
    return figures | {"folder": str(folder)}

"""`genarium train planner`: from a caption, what stands where in a picture of it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium.training.command import command
from genarium.training.options import TrainOptions, multiple_of

SIZE = 64
"""Pixels of the scenes; a plan says the same of any size."""


@command("A planner of composed scenes: from a caption, what stands where.")
def train_planner(
    *,
    text_encoder: Annotated[str, Doc("frozen encoder that captions enter through")] = "starter/encoder",
    width: Annotated[int, Doc("width of the Transformer, a multiple of 64"), Interval(ge=64, le=1024)] = 256,
    layers: Annotated[int, Doc("blocks"), Interval(ge=1, le=24)] = 3,
    batch_size: Annotated[int, Doc("scenes in a batch"), Ge(1)] = 128,
    ema: Annotated[float, Doc("kept of the weights' running mean at each step"), Interval(ge=0, lt=1)] = 0.995,
    options: TrainOptions = TrainOptions(steps=4000, learning_rate=1e-3, evaluate_every=500),
) -> dict[str, Any]:
    """Train a planner of composed scenes, by whose plans `train diffusion --planner` draws.

    It learns from scenes alone, which know where everything stands. Returns the figures: the loss in nats a plan, and
    the share of held-out prompts whose plan shows what was asked.
    """
    import torch

    from genarium.checkpoints.layouts import planner as layout
    from genarium.models.plan import Planner, PlannerConfig
    from genarium.training import run, start
    from genarium.training.objectives.plans import WritePlans, plan_words
    from genarium.training.settings import Settings
    from genarium.training.sources.images import SNAP_CELLS, Scenes

    multiple_of(64, width=width)
    folder = options.folder("planner-scenes")
    usual = Settings(warmup_steps=200, weight_decay=0.01, ema=ema, compile="off")
    settings = options.settings(usual, falls=50)
    prompts, reads = start.prompts(text_encoder, device=settings.device)
    torch.manual_seed(settings.seed)
    config = PlannerConfig(plan_words(), width, layers, width // 64, prompts.model.config.d_model)
    model = Planner(config).to(settings.device)
    source = Scenes(SIZE, snap=SIZE // SNAP_CELLS, seed=settings.seed)
    objective = WritePlans(model, prompts, source, batch_size=batch_size)
    objective.identity["text_encoder"] = reads
    save = partial(layout.save, model, folder, dtype=torch.float16)
    return run.train(
        "planner",
        objective,
        settings,
        folder,
        save=save,
        figures=("loss", "right", "seconds"),
        title="Planner of scenes",
        unit="nats a plan",
    )

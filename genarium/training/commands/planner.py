"""`genarium train planner`: from a caption, what stands where in a picture of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium.training.command import command
from genarium.training.options import TrainOptions, multiple_of

if TYPE_CHECKING:
    from genarium.models.plan import Words
    from genarium.training.objectives.plans import WritePlans

SIZE = 64
"""Pixels of the scenes; a plan says the same of any size."""


@command("A planner of composed scenes: from a caption, what stands where.")
def train_planner(
    *,
    data: Annotated[Literal["scenes", "moving"], Doc("composed pictures, or scenes that move")] = "scenes",
    text_encoder: Annotated[str, Doc("frozen encoder that captions enter through")] = "starter/encoder",
    width: Annotated[int, Doc("width of the Transformer, a multiple of 64"), Interval(ge=64, le=1024)] = 256,
    layers: Annotated[int, Doc("blocks"), Interval(ge=1, le=24)] = 3,
    batch_size: Annotated[int, Doc("scenes in a batch"), Ge(1)] = 128,
    ema: Annotated[float, Doc("kept of the weights' running mean at each step"), Interval(ge=0, lt=1)] = 0.995,
    options: TrainOptions = TrainOptions(steps=4000, learning_rate=1e-3, evaluate_every=500),
) -> dict[str, Any]:
    """Train a planner of composed scenes, by whose plans `train diffusion --planner` draws; of those that move,
    `train video`.

    It learns from scenes alone, which know where everything stands. Returns the figures: the loss in nats a plan, and
    the share of held-out prompts whose plan shows what was asked.
    """
    import torch

    from genarium.checkpoints.layouts import planner as layout
    from genarium.models.plan import Planner, PlannerConfig
    from genarium.training import run, start
    from genarium.training.settings import Settings

    multiple_of(64, width=width)
    folder = options.folder(f"planner-{data}")
    usual = Settings(warmup_steps=200, weight_decay=0.01, ema=ema, compile="off")
    settings = options.settings(usual, falls=50)
    prompts, reads = start.prompts(text_encoder, device=settings.device)
    torch.manual_seed(settings.seed)
    words, learn = _moving(settings.seed) if data == "moving" else _still(settings.seed)
    config = PlannerConfig(words, width, layers, width // 64, prompts.model.config.d_model)
    objective = learn(Planner(config).to(settings.device), prompts, batch_size=batch_size)
    objective.identity["text_encoder"] = reads
    save = partial(layout.save, objective.model, folder, dtype=torch.float16)
    return run.train(
        "planner",
        objective,
        settings,
        folder,
        save=save,
        figures=("loss", "right", "seconds"),
        title=f"Planner of {'moving scenes' if data == 'moving' else data}",
        unit="nats a plan",
    )


def _still(seed: int) -> tuple[Words, Callable[..., WritePlans]]:
    """What plans of composed pictures say, and the objective that writes them, of a planner and prompts."""
    from genarium.training.objectives.plans import WritePlans, plan_words
    from genarium.training.sources.images import SNAP_CELLS, Scenes

    return plan_words(), partial(WritePlans, source=Scenes(SIZE, snap=SIZE // SNAP_CELLS, seed=seed))


def _moving(seed: int) -> tuple[Words, Callable[..., WritePlans]]:
    """The same of scenes that move."""
    from genarium.training.objectives.moving_plans import WriteMovingPlans, moving_plan_words
    from genarium.training.sources.moving import MovingScenes

    words = moving_plan_words(SIZE)
    return words, partial(WriteMovingPlans, source=MovingScenes(SIZE, seed=seed, most=words.most))

"""`genarium train planner`: from a caption, what stands where in a picture of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium import files
from genarium.checkpoints.store.folder import WEIGHTS
from genarium.errors import BadInput
from genarium.training.command import command
from genarium.training.options import TrainOptions, multiple_of

if TYPE_CHECKING:
    from genarium.models.plan import Planner, Words
    from genarium.training.objectives.plans import WritePlans

SIZE = 64
"""Pixels of the scenes; a plan says the same of any size."""


@command("A planner of composed scenes: from a caption, what stands where.")
def train_planner(
    *,
    data: Annotated[Literal["scenes", "moving"], Doc("composed pictures, or scenes that move")] = "scenes",
    init_from: Annotated[
        str | None, Doc("planner, or model that has one such as starter/image, to continue from")
    ] = None,
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
    model = Planner(config)
    if init_from is not None:
        begin(model, known := _planner(init_from))
    objective = learn(model.to(settings.device), prompts, batch_size=batch_size)
    objective.identity |= {"text_encoder": reads}
    if init_from is not None:
        objective.identity["init_from"] = files.sha256(known / WEIGHTS)
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


def _planner(reference: str) -> Path:
    """Where the planner of a model is. Raises BadInput."""
    from genarium.checkpoints.layouts import planner as layout
    from genarium.checkpoints.layouts.thumbnails import PLANNER
    from genarium.checkpoints.store.find import find

    found = find(reference, default="image").path
    for path in (found, found / PLANNER) if found is not None else ():
        if layout.is_planner(path):
            return path
    raise BadInput(f"--init-from {reference} has no planner; name a folder that `genarium train planner` made")


def begin(model: Planner, path: Path) -> None:
    """Give a planner what another knows, which may plan other things: what both say, by its name. Raises BadInput."""
    import torch

    from genarium.checkpoints.layouts import planner as layout

    known = layout.load(path)
    learned, begins = known.state_dict(), model.state_dict()
    if learned["norm.weight"].shape != begins["norm.weight"].shape or len(known.blocks) != len(model.blocks):
        raise BadInput(f"the planner in {path} is of another width or depth; leave out --width and --layers")
    said, says = known.config.words, model.config.words
    if said == says:
        model.load_state_dict(learned)
        return
    tokens = torch.arange(says.n_tokens)
    tokens[0] = 0
    for slot, (first, end) in enumerate(says.slots):
        # Slots that it doesn't have begin as its last, places.
        then, last = said.slots[min(slot, len(said.slots) - 1)]
        tokens[first:end] = then + torch.arange(end - first) % (last - then)
    positions = [
        next(p for p in range(said.length) if said.slot(p) == min(says.slot(position), 4))
        for position in range(says.length)
    ]
    for name, tensor in begins.items():
        if name in ("token_embedding.weight", "head.weight", "head.bias"):
            begins[name] = learned[name][tokens].clone()
        elif name == "position_embedding.weight":
            begins[name] = learned[name][positions].clone()
        elif learned[name].shape == tensor.shape:
            begins[name] = learned[name].clone()
    model.load_state_dict(begins)


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

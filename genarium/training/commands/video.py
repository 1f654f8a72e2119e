"""`genarium train video`: diffusion of the layers that clips are made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium import files
from genarium.errors import BadInput
from genarium.training.command import command
from genarium.training.options import TrainOptions

if TYPE_CHECKING:
    from genarium.models.moving_plan import MovingPlanWords
    from genarium.models.thumbnails import Thumbnails

SIZE, FACTOR = 64, 8
"""Pixels of a side of the clips, and of a cell."""


@command("Moving pictures of composed scenes: diffusion of their layers.")
def train_video(
    *,
    planner: Annotated[str, Doc("folder that `genarium train planner --data moving` made")],
    init_from: Annotated[
        str | None,
        Doc("model trained before, to continue from: of clips, or of pictures by plans such as starter/image"),
    ] = None,
    text_encoder: Annotated[str, Doc("frozen encoder that captions enter through")] = "starter/encoder",
    batch_size: Annotated[int, Doc("clips in a batch, each at two levels of noise"), Ge(1)] = 16,
    ema: Annotated[float, Doc("kept of the weights' running mean at each step"), Interval(ge=0, lt=1)] = 0.998,
    options: TrainOptions = TrainOptions(steps=4000, learning_rate=3e-3, evaluate_every=500),
) -> dict[str, Any]:
    """Train what draws moving pictures by a planner's plans: each thing once, as a layer, and the background.

    Frames move, scale and turn the layers as the plan says. Writes the networks in half precision and how they go
    together. Sheets of clips are written along the way. Returns the figures.
    """
    import torch

    from genarium.checkpoints.layouts import planner as planners
    from genarium.checkpoints.layouts.pipeline import VIDEO_PIPELINE
    from genarium.checkpoints.store.find import find
    from genarium.checkpoints.store.folder import WEIGHTS
    from genarium.models.moving_plan import MovingPlanWords
    from genarium.models.thumbnails import ThumbnailDiffusion
    from genarium.training import start
    from genarium.training.commands.diffusion import drawn
    from genarium.training.objectives.layers import DrawLayers
    from genarium.training.settings import Settings
    from genarium.training.sources.images import channels_last
    from genarium.training.sources.moving import MovingScenes

    folder = options.folder("video-moving")
    settings = options.settings(Settings(optimizer="muon", warmup_steps=200, ema=ema, compile="off"), falls=50)
    if not planners.is_planner(Path(planner)):
        raise BadInput(f"--planner {planner} holds no planner; name a folder that `genarium train planner` made")
    plans = planners.load(Path(planner), device=settings.device)
    words = plans.config.words
    if not isinstance(words, MovingPlanWords):
        raise BadInput(f"--planner {planner} plans pictures; name one made with `train planner --data moving`")
    prompts, reads = start.prompts(text_encoder, device=settings.device)
    torch.manual_seed(settings.seed)
    model = channels_last(_begin(words, init_from, prompts.model.config.d_model).to(settings.device))
    source = MovingScenes(SIZE, seed=settings.seed, most=words.most)
    objective = DrawLayers(
        ThumbnailDiffusion(model, plans),
        prompts,
        source,
        batch_size=batch_size,
        folder=folder,
        seed=settings.seed,
        shown=source.sheet_prompts(),
    )
    begun = find(init_from, default="video").digest if init_from is not None else None
    objective.identity |= {
        "text_encoder": reads,
        "init_from": begun,
        "planner": files.sha256(Path(planner) / WEIGHTS),
    }
    return drawn(
        objective,
        settings,
        "video",
        text_encoder=text_encoder,
        world=source.world_name,
        title="Moving pictures",
        pipeline=VIDEO_PIPELINE,
    )


def _begin(words: MovingPlanWords, init_from: str | None, width: int) -> Thumbnails:
    """The network that is continued from, or one of random weights. Raises BadInput."""
    from genarium.checkpoints.layouts import text_to_image as layout
    from genarium.checkpoints.store.find import find
    from genarium.models.dit import DiTConfig
    from genarium.models.thumbnails import ThumbnailDiffusion, Thumbnails, ThumbnailsConfig

    n_pixels = 4 * FACTOR**2
    inner = DiTConfig(in_channels=5, out_channels=n_pixels + 1, sample_size=words.side, cross_attention_dim=width)
    config = ThumbnailsConfig(sample_size=SIZE, factor=FACTOR, network=inner, plan=words, channels=4)
    if init_from is None:
        return Thumbnails(config)
    found = find(init_from, default="video").path
    assert found is not None
    begun = layout.load(found)
    if begun.kind != ThumbnailDiffusion.kind or begun.config.plan is None:  # type: ignore[attr-defined]
        raise BadInput(
            f"{init_from} draws no thumbnails by plans; name a folder that `train video` made, or starter/image"
        )
    known: Any = begun.denoiser
    if known.config.plan == words:
        return known.requires_grad_(True)  # type: ignore[no-any-return]
    return _of_pictures(known, Thumbnails(replace(config, network=replace(inner, d_ff=known.config.network.d_ff))))


def _of_pictures(known: Thumbnails, model: Thumbnails) -> Thumbnails:
    """A network of layers with what one of pictures knows: how things of the layers' size look, and backgrounds.

    It says cover beside colours, so that its first and last matrices have more rows, which begin at zero.
    """
    import torch

    learned, begins = known.state_dict(), model.state_dict()
    said, says = known.config.plan, model.config.plan
    assert said is not None
    assert says is not None
    for name, tensor in begins.items():
        if not name.startswith("plan.") and learned[name].shape == tensor.shape:
            begins[name] = learned[name].clone()
    cells = "network.cell_embedding.weight"
    begins[cells] = torch.zeros_like(begins[cells])
    begins[cells][:, :3], begins[cells][:, -1] = learned[cells][:, :3], learned[cells][:, 3]
    for part in ("weight", "bias"):
        head, before = begins[f"network.head.{part}"].zero_(), learned[f"network.head.{part}"]
        head[: len(before) - 1], head[-1] = before[:-1], before[-1]
        for layer in ("up", "down"):
            begins[f"plan.{layer}.{part}"] = learned[f"plan.{layer}.{part}"].clone()
    tokens = "plan.token_embedding.weight"
    for slot in range(3):  # backgrounds, kinds and colours are the first in both
        (first, end), (then, last) = said.slots[slot], says.slots[slot]
        begins[tokens][then:last] = learned[tokens][first:end]
    for axis in ("row", "column"):  # a layer is a thing of its largest side
        of_side = (says.thing - 1) * said.side  # type: ignore[attr-defined]
        named = f"plan.{axis}_embedding.weight"
        begins[named] = learned[named][of_side : of_side + says.thing].clone()  # type: ignore[attr-defined]
    model.load_state_dict(begins)
    return model

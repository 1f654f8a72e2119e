"""`genarium train distil`: a latent diffusion model that needs fewer steps, from one that needs many."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium.errors import BadInput
from genarium.training.command import command
from genarium.training.options import TrainOptions

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.models.latent_diffusion import LatentDiffusion


@command("Distil a latent diffusion model into one that draws in fewer steps.")
def train_distil(
    *,
    teacher: Annotated[str, Doc("folder that `genarium train diffusion` or this command made")],
    data: Annotated[str, Doc("`scenes`: composed pictures, or a folder of pictures with captions")] = "scenes",
    draw_steps: Annotated[int, Doc("steps that the student draws in"), Interval(ge=1, le=50)] = 8,
    substeps: Annotated[int, Doc("the teacher's steps within one of the student's"), Interval(ge=1, le=8)] = 2,
    guidance: Annotated[float | None, Doc("the teacher's guidance [default: what its folder says]"), Ge(0.0)] = None,
    batch_size: Annotated[int, Doc("pictures in a batch, each at two levels of noise"), Ge(1)] = 16,
    ema: Annotated[float, Doc("kept of the weights' running mean at each step"), Interval(ge=0, lt=1)] = 0.995,
    options: TrainOptions = TrainOptions(steps=1000, learning_rate=2e-4, evaluate_every=250),
) -> dict[str, Any]:
    """Distil a latent diffusion model into one that draws in fewer steps.

    Progressive distillation (Salimans and Ho 2022): the student starts from the teacher's weights and learns to go in
    one step where the guided teacher goes in several. It needs no guidance, so that each of its steps costs half of
    the teacher's. Writes a folder like its teacher's. Returns the figures.
    """
    import torch

    from genarium.checkpoints.store.find import find
    from genarium.conditioning.prompts import PromptEncoder
    from genarium.models.latent_diffusion import LatentDiffusion
    from genarium.training.commands.diffusion import drawn
    from genarium.training.objectives.progressive_distillation import FewerSteps
    from genarium.training.settings import Settings
    from genarium.training.sources.images import channels_last, source_of

    old = Path(teacher)
    folder = options.folder(f"{old.name}-{draw_steps}-steps")
    settings = options.settings(Settings(warmup_steps=50, weight_decay=0.0, ema=ema, compile="off"), falls=50)
    index, networks = _teacher(teacher, device=settings.device)
    path, reads = _reader(teacher, index)
    frozen, images = channels_last(networks.denoiser), channels_last(networks.autoencoder)
    model = deepcopy(frozen).requires_grad_(True)
    source = source_of(data, images.config.sample_size, seed=settings.seed, captioned=True)
    torch.manual_seed(settings.seed)
    objective = FewerSteps(
        LatentDiffusion(model, images),
        frozen,
        steps=draw_steps,
        substeps=substeps,
        teacher_guidance=float(index["guidance"]) if guidance is None else guidance,
        prompts=PromptEncoder(path, context=int(index["context"]), device=settings.device),
        source=source,
        batch_size=batch_size,
        folder=folder,
        seed=settings.seed,
        shown=source.sheet_prompts(),
    )
    objective.identity |= {"text_encoder": reads.digest, "teacher": find(teacher, default="image").digest}
    text_encoder, title = str(index["text_encoder"]), f"{draw_steps} steps of {old.name}"
    return drawn(objective, settings, "distil", text_encoder=text_encoder, world=index.get("world"), title=title)


def _teacher(teacher: str, *, device: str) -> tuple[dict[str, Any], LatentDiffusion]:
    """What the teacher's folder says, and its networks. Raises BadInput."""
    from genarium.checkpoints.layouts import latent_diffusion
    from genarium.checkpoints.layouts import text_to_image as layout
    from genarium.checkpoints.store.folder import read_json
    from genarium.models.latent_diffusion import LatentDiffusion

    index = read_json(Path(teacher) / "model_index.json")
    if not layout.is_text_to_image(Path(teacher)):
        raise BadInput(f"{teacher} isn't a folder that `genarium train diffusion` wrote")
    if layout.kind_of(Path(teacher)) != LatentDiffusion.kind:
        raise BadInput(
            f"{teacher} draws thumbnails, whose steps cost next to nothing; ask for fewer with --steps where it draws"
        )
    return index, latent_diffusion.load(Path(teacher), device=device)


def _reader(teacher: str, index: dict[str, Any]) -> tuple[Path, Found]:
    """The encoder that prompts enter through. Raises BadInput."""
    from genarium.checkpoints.store.find import find

    reads = find(str(index["text_encoder"]), default="encoder")
    if reads.path is None:
        raise BadInput(f"{teacher} reads prompts with {reads.reference}, which is behind an endpoint")
    return reads.path, reads

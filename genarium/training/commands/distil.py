"""`genarium train distil`: a latent diffusion model that needs fewer steps, from one that needs many."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval

from genarium.errors import BadInput


def train_distil(
    *,
    teacher: Annotated[str, Doc("folder that `genarium train diffusion` or this command made")],
    data: Annotated[str, Doc("`scenes`: composed pictures, or a folder of pictures with captions")] = "scenes",
    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None,
    draw_steps: Annotated[int, Doc("steps that the student draws in"), Interval(ge=1, le=50)] = 8,
    substeps: Annotated[int, Doc("the teacher's steps within one of the student's"), Interval(ge=1, le=8)] = 2,
    guidance: Annotated[float | None, Doc("the teacher's guidance [default: what its folder says]"), Ge(0.0)] = None,
    steps: Annotated[int, Doc("optimiser updates"), Ge(1)] = 1000,
    batch_size: Annotated[int, Doc("pictures in a batch, each at two levels of noise"), Ge(1)] = 16,
    learning_rate: Annotated[float, Doc("peak learning rate"), Gt(0)] = 2e-4,
    ema: Annotated[float, Doc("kept of the weights' running mean at each step"), Interval(ge=0, lt=1)] = 0.995,
    evaluate_every: Annotated[int, Doc("updates between evaluations and sheets"), Ge(1)] = 250,
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 5.0,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto",
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto",
    seed: Annotated[int, Doc("same seed, data and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0,
) -> dict[str, Any]:
    """Distil a latent diffusion model into one that draws in fewer steps.

    Progressive distillation (Salimans and Ho 2022): the student starts from the teacher's weights and learns to go in
    one step where the guided teacher goes in several. It needs no guidance, so that each of its steps costs half of
    the teacher's. Writes a folder like its teacher's. Returns the figures.
    """
    import torch

    from genarium.checkpoints.layouts import text_to_image as layout
    from genarium.checkpoints.store.find import find
    from genarium.checkpoints.store.folder import read_json
    from genarium.conditioning.prompts import PromptEncoder
    from genarium.devices import pick_device
    from genarium.models.unet import UNet
    from genarium.training.commands.diffusion import fitted, shown
    from genarium.training.objectives.progressive_distillation import FewerSteps
    from genarium.training.settings import Settings
    from genarium.training.sources.images import channels_last, source_of

    old = Path(teacher)
    folder = Path(out) if out else Path("runs") / f"{old.name}-{draw_steps}-steps"
    index = read_json(old / "model_index.json")
    if not layout.is_text_to_image(old):
        raise BadInput(f"{teacher} isn't a folder that `genarium train diffusion` wrote")
    device = pick_device(device)
    frozen, pictures = layout.load(old, device=device)
    if not isinstance(frozen, UNet):
        raise BadInput(
            f"{teacher} draws thumbnails, whose steps cost next to nothing; ask for fewer with --steps where it draws"
        )
    settings = Settings(
        steps=steps,
        learning_rate=learning_rate,
        min_learning_rate=learning_rate / 50,
        warmup_steps=min(50, steps // 10),
        weight_decay=0.0,
        ema=ema,
        evaluate_every=evaluate_every,
        checkpoint_minutes=checkpoint_minutes,
        precision=precision,
        compile="off",
        device=device,
        seed=seed,
    )
    reads = find(str(index["text_encoder"]), default="encoder")
    if reads.path is None:
        raise BadInput(f"{teacher} reads prompts with {reads.reference}, which is behind an endpoint")
    channels_last(frozen)
    channels_last(pictures)
    model = deepcopy(frozen).requires_grad_(True)
    source = source_of(data, pictures.config.sample_size, seed=seed, captioned=True)
    torch.manual_seed(seed)
    objective = FewerSteps(
        model,
        frozen,
        steps=draw_steps,
        substeps=substeps,
        teacher_guidance=float(index["guidance"]) if guidance is None else guidance,
        autoencoder=pictures,
        prompts=PromptEncoder(reads.path, context=int(index["context"]), device=settings.device),
        source=source,
        batch_size=batch_size,
        folder=folder,
        seed=seed,
        shown=shown(data, source),
    )
    objective.identity |= {"text_encoder": reads.digest, "teacher": find(teacher, default="image").digest}
    return fitted(
        objective,
        settings,
        "distil",
        text_encoder=str(index["text_encoder"]),
        world=index.get("world"),
        title=f"{draw_steps} steps of {old.name}",
    )

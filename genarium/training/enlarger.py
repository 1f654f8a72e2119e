"""`genarium train enlarger`: the second half of a cascade, from thumbnails and words to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval

from genarium.errors import BadInput
from genarium.progress import emit


def train_enlarger(
    *,
    data: Annotated[str, Doc("`scenes`: composed pictures, or a folder of pictures with captions")] = "scenes",
    text_encoder: Annotated[str, Doc("frozen encoder that captions enter through")] = "starter/encoder",
    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None,
    init_from: Annotated[str | None, Doc("enlarger to go on from, a folder")] = None,
    size: Annotated[int, Doc("height and width of the pictures, in pixels"), Interval(ge=16, le=512)] = 64,
    factor: Annotated[Literal[4, 8, 16], Doc("pixels to a cell of the thumbnail, each way")] = 8,
    width: Annotated[int, Doc("width of the network, a multiple of 64"), Interval(ge=64, le=1024)] = 256,
    layers: Annotated[int, Doc("blocks of the network"), Interval(ge=1, le=48)] = 6,
    steps: Annotated[int, Doc("optimiser updates"), Ge(1)] = 4000,
    batch_size: Annotated[int, Doc("pictures in a batch"), Ge(1)] = 48,
    optimizer: Annotated[Literal["adamw", "muon"], Doc("what turns gradients into updates")] = "muon",
    learning_rate: Annotated[float, Doc("peak learning rate"), Gt(0)] = 3e-3,
    ema: Annotated[float, Doc("kept of the weights' running mean at each step"), Interval(ge=0, lt=1)] = 0.998,
    evaluate_every: Annotated[int, Doc("updates between evaluations and sheets"), Ge(1)] = 250,
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 5.0,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto",
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto",
    seed: Annotated[int, Doc("same seed, data and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0,
) -> dict[str, Any]:
    """Train what makes a picture of a thumbnail of it and the words that it shows.

    `genarium train diffusion --autoencoder` takes its folder and learns to draw the thumbnails. Sheets of pictures
    and what comes back are written along the way. Returns the figures: loss, PSNR in dB, seconds.
    """
    import torch

    from genarium import files
    from genarium.checkpoints import cascade
    from genarium.checkpoints.find import find
    from genarium.checkpoints.prompts import PromptEncoder
    from genarium.devices import pick_device
    from genarium.models.dit import DiTConfig
    from genarium.models.enlarger import Enlarger, EnlargerConfig
    from genarium.training import report
    from genarium.training.diffusion import CONTEXT
    from genarium.training.enlarge import Enlarge
    from genarium.training.loop import fit
    from genarium.training.pictures import source_of
    from genarium.training.settings import Settings

    if size % factor:
        raise BadInput(f"pictures of {size} pixels can't be cut into cells of {factor}; choose a --factor that divides")
    folder = Path(out) if out else Path("runs") / f"enlarger-{Path(data).stem}"
    settings = Settings(
        steps=steps,
        optimizer=optimizer,
        learning_rate=learning_rate,
        min_learning_rate=learning_rate / 50,
        warmup_steps=min(50, steps // 10),
        weight_decay=0.0,
        ema=ema,
        evaluate_every=evaluate_every,
        checkpoint_minutes=checkpoint_minutes,
        precision=precision,
        compile="off",
        device=pick_device(device),
        seed=seed,
    )
    reads = find(text_encoder, default="encoder")
    if reads.path is None:
        raise BadInput(f"{text_encoder} is behind an endpoint; name an encoder that is on this machine")
    prompts = PromptEncoder(reads.path, context=CONTEXT, device=settings.device)
    torch.manual_seed(seed)
    if init_from is not None:
        model = cascade.load_enlarger(Path(init_from)).requires_grad_(True)
    else:
        network = DiTConfig(
            out_channels=3 * factor**2,
            sample_size=size // factor,
            d_model=width,
            n_layers=layers,
            n_heads=heads(width),
            d_ff=feed_forward(width),
            cross_attention_dim=prompts.model.config.d_model,
        )
        model = Enlarger(EnlargerConfig(sample_size=size, factor=factor, network=network))
    model.to(settings.device)
    source = source_of(data, model.config.sample_size, seed=seed, captioned=True)
    objective = Enlarge(model, prompts, source, batch_size=batch_size, folder=folder, seed=seed)
    objective.identity |= {"text_encoder": reads.digest}
    if init_from is not None:
        objective.identity["init_from"] = files.sha256(Path(init_from) / cascade.WEIGHTS)
    log = fit(objective, settings, folder)
    figures: dict[str, Any] = {name: log[-1][name] for name in ("loss", "psnr", "seconds")}
    emit("saving")
    cascade.save_enlarger(model.eval(), folder)
    report.write_recipe(folder, "enlarger", objective, settings, figures)
    report.plot_losses(log, folder / "loss.png", title=f"Enlarger of {Path(data).stem}", unit="weighed error")
    return figures | {"folder": str(folder)}


def heads(width: int) -> int:
    """Of 64 numbers each. Raises BadInput where they don't fill the width."""
    if width % 64:
        raise BadInput(f"a width of {width} isn't a multiple of 64; try {max(64, round(width / 64) * 64)}")
    return width // 64


def feed_forward(width: int) -> int:
    """Eight thirds of the width, rounded down to a multiple of 32: as many weights as four times it without a gate."""
    return width * 8 // 3 // 32 * 32

"""`genarium train clip`: pictures and texts in one space."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval

from genarium.errors import BadInput
from genarium.progress import emit

CONTEXT = 32
"""Tokens of a caption that are read."""


def train_clip(
    *,
    data: Annotated[str, Doc("`scenes`: composed pictures, or a folder of pictures with captions")] = "scenes",
    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None,
    init_from: Annotated[
        str | None, Doc("CLIP to go on from: a folder or a hub id; its network and words are kept")
    ] = None,
    tokenizer: Annotated[str, Doc("model whose tokenizer reads the captions")] = "starter/encoder",
    size: Annotated[int, Doc("height and width of the pictures, in pixels"), Interval(ge=16, le=512)] = 64,
    patch: Annotated[int, Doc("height and width of the patches a picture is cut into"), Interval(ge=2, le=64)] = 8,
    width: Annotated[int, Doc("width of both towers, a multiple of 64"), Interval(ge=64, le=1280)] = 192,
    layers: Annotated[int, Doc("layers of the picture tower"), Interval(ge=1, le=48)] = 4,
    text_layers: Annotated[int, Doc("layers of the text tower"), Interval(ge=1, le=48)] = 2,
    dimensions: Annotated[int, Doc("numbers a picture or a text becomes"), Interval(ge=8, le=2048)] = 128,
    steps: Annotated[int, Doc("optimiser updates"), Ge(1)] = 2000,
    batch_size: Annotated[int, Doc("pictures in a batch, each told from the others"), Ge(2)] = 128,
    learning_rate: Annotated[float, Doc("peak learning rate"), Gt(0)] = 1e-3,
    evaluate_every: Annotated[int, Doc("updates between evaluations and sheets"), Ge(1)] = 250,
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 5.0,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto",
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto",
    seed: Annotated[int, Doc("same seed, data and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0,
) -> dict[str, Any]:
    """A contrastive pair of pictures and texts, CLIP.

    Writes transformers' layout, which opens as CLIPModel and CLIPProcessor. Sheets of the pictures found for
    held-out captions are written along the way. Returns the figures: loss, and recall at 1 among up to 256
    held-out pictures of distinct captions, both ways.
    """
    import torch

    from genarium.checkpoints.layouts import clip as layout
    from genarium.checkpoints.processors.image_processor import Pixels
    from genarium.checkpoints.store.find import find
    from genarium.devices import pick_device
    from genarium.models.clip import CLIP, CLIPConfig, VisionConfig
    from genarium.training import report
    from genarium.training.loop import fit
    from genarium.training.objectives.contrastive import Contrast
    from genarium.training.settings import Settings
    from genarium.training.sources.images import source_of

    if size % patch:
        raise BadInput(f"pictures of {size} pixels can't be cut into patches of {patch}; choose a --patch that divides")
    if width % 64:
        raise BadInput(f"width must be a multiple of 64, got {width}; try {max(64, round(width / 64) * 64)}")
    folder = Path(out) if out else Path("runs") / f"clip-{Path(data).stem}"
    settings = Settings(
        steps=steps,
        learning_rate=learning_rate,
        min_learning_rate=learning_rate / 50,
        warmup_steps=min(200, steps // 10),
        beta2=0.98,
        evaluate_every=evaluate_every,
        checkpoint_minutes=checkpoint_minutes,
        precision=precision,
        compile="off",
        device=pick_device(device),
        seed=seed,
    )
    reads = find(tokenizer if init_from is None else init_from, default="encoder")
    if reads.path is None:
        raise BadInput(f"{reads.reference} is behind an endpoint; name a model that is on this machine")
    torch.manual_seed(seed)
    if init_from is not None:
        model = layout.load(reads.path).requires_grad_(True)
        preprocessing = layout.load_preprocessing(reads.path, model.config.vision_config.image_size)
        words = layout.load_tokenizer(reads.path, config=model.config.text_config)
    else:
        text, words = layout.reading_with(reads.path, context=CONTEXT)
        tower = VisionConfig(
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            image_size=size,
            patch_size=patch,
            hidden_act="gelu",
        )
        alike = ("hidden_size", "intermediate_size", "num_attention_heads", "hidden_act")
        model = CLIP(
            CLIPConfig(
                replace(text, num_hidden_layers=text_layers, **{name: getattr(tower, name) for name in alike}),
                tower,
                projection_dim=dimensions,
            )
        )
        preprocessing = Pixels(size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), crop=True)
    model.to(settings.device)
    source = source_of(data, model.config.vision_config.image_size, seed=seed, captioned=True)
    objective = Contrast(model, words, preprocessing, source, batch_size=batch_size, folder=folder)
    objective.identity["init_from" if init_from else "tokenizer"] = reads.digest
    log = fit(objective, settings, folder)
    model.eval()
    emit("saving")
    layout.save(model, folder, words, preprocessing)
    figures: dict[str, Any] = {name: log[-1][name] for name in ("loss", "image_to_text", "text_to_image", "seconds")}
    figures["candidates"] = objective.group
    report.write_recipe(folder, "clip", objective, settings, figures)
    report.plot_losses(log, folder / "loss.png", title=f"CLIP of {Path(data).stem}", unit="nats a picture")
    return figures | {"folder": str(folder)}

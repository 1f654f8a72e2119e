"""`genarium train clip`: pictures and texts in one space."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium.errors import BadInput
from genarium.training.command import command
from genarium.training.options import TrainOptions, multiple_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from genarium.checkpoints.processors.image_processor import Pixels
    from genarium.models.clip import CLIP

CONTEXT = 32
"""Tokens of a caption that are read."""


@command("A contrastive pair of pictures and texts, CLIP.")
def train_clip(
    *,
    data: Annotated[str, Doc("`scenes`: composed pictures, or a folder of pictures with captions")] = "scenes",
    init_from: Annotated[
        str | None, Doc("CLIP to continue from: a folder or a hub id; its network and words are kept")
    ] = None,
    tokenizer: Annotated[str, Doc("model whose tokenizer reads the captions")] = "starter/encoder",
    size: Annotated[int, Doc("height and width of the pictures, in pixels"), Interval(ge=16, le=512)] = 64,
    patch: Annotated[int, Doc("height and width of the patches a picture is cut into"), Interval(ge=2, le=64)] = 8,
    width: Annotated[int, Doc("width of both towers, a multiple of 64"), Interval(ge=64, le=1280)] = 192,
    layers: Annotated[int, Doc("layers of the picture tower"), Interval(ge=1, le=48)] = 4,
    text_layers: Annotated[int, Doc("layers of the text tower"), Interval(ge=1, le=48)] = 2,
    dimensions: Annotated[int, Doc("numbers a picture or a text becomes"), Interval(ge=8, le=2048)] = 128,
    batch_size: Annotated[int, Doc("pictures in a batch, each told from the others"), Ge(2)] = 128,
    options: TrainOptions = TrainOptions(steps=2000, learning_rate=1e-3, evaluate_every=250),
) -> dict[str, Any]:
    """A contrastive pair of pictures and texts, CLIP.

    Writes transformers' layout, which opens as CLIPModel and CLIPProcessor. Sheets of the pictures found for
    held-out captions are written along the way. Returns the figures: loss, and recall at 1 among up to 256
    held-out pictures of distinct captions, both ways.
    """
    import torch

    from genarium.checkpoints.layouts import clip as layout
    from genarium.training import run, start
    from genarium.training.objectives.contrastive import Contrast
    from genarium.training.settings import Settings
    from genarium.training.sources.images import source_of

    if size % patch:
        raise BadInput(f"pictures of {size} pixels can't be cut into patches of {patch}; choose a --patch that divides")
    multiple_of(64, width=width)
    folder = options.folder(f"clip-{Path(data).stem}")
    settings = options.settings(Settings(warmup_steps=200, beta2=0.98, compile="off"), falls=50)
    path, reads = start.local(tokenizer if init_from is None else init_from, default="encoder", kind="a model")
    torch.manual_seed(settings.seed)
    if init_from is None:
        sizes = {"size": size, "patch": patch, "width": width, "layers": layers}
        model, words, preprocessing = _new(path, **sizes, text_layers=text_layers, dimensions=dimensions)
    else:
        model, words, preprocessing = _before(path)
    model.to(settings.device)
    source = source_of(data, model.config.vision_config.image_size, seed=settings.seed, captioned=True)
    objective = Contrast(model, words, preprocessing, source, batch_size=batch_size, folder=folder)
    objective.identity["init_from" if init_from else "tokenizer"] = reads.digest
    return run.train(
        "clip",
        objective,
        settings,
        folder,
        save=partial(layout.save, model, folder, words, preprocessing),
        measure=lambda: {"candidates": objective.group},
        figures=("loss", "image_to_text", "text_to_image", "seconds"),
        title=f"CLIP of {Path(data).stem}",
        unit="nats a picture",
    )


def _before(path: Path) -> tuple[CLIP, Tokenizer, Pixels]:
    """What is continued from, its words, and how it sees pictures."""
    from genarium.checkpoints.layouts import clip as layout

    model = layout.load(path).requires_grad_(True)
    words = layout.load_tokenizer(path, config=model.config.text_config)
    return model, words, layout.load_preprocessing(path, model.config.vision_config.image_size)


def _new(
    reads: Path, *, size: int, patch: int, width: int, layers: int, text_layers: int, dimensions: int
) -> tuple[CLIP, Tokenizer, Pixels]:
    """One of random weights, whose text tower is as wide as the picture tower and reads with the tokenizer there."""
    from genarium.checkpoints.layouts import clip as layout
    from genarium.checkpoints.processors.image_processor import Pixels
    from genarium.models.clip import CLIP, CLIPConfig, VisionConfig

    tower = VisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        image_size=size,
        patch_size=patch,
        hidden_act="gelu",
    )
    text, words = layout.reading_with(reads, context=CONTEXT)
    alike = ("hidden_size", "intermediate_size", "num_attention_heads", "hidden_act")
    text = replace(text, num_hidden_layers=text_layers, **{name: getattr(tower, name) for name in alike})
    model = CLIP(CLIPConfig(text, tower, projection_dim=dimensions))
    return model, words, Pixels(size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), crop=True)

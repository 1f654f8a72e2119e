"""`genarium train caption`: a BLIP captioner of composed scenes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium import files
from genarium.training.command import command
from genarium.training.options import TrainOptions

if TYPE_CHECKING:
    from genarium.models.blip import BlipConfig


@command("A BLIP captioner of composed scenes.")
def train_caption(
    *,
    init_from: Annotated[str | None, Doc("folder of a captioner to continue from, which has its own sizes")] = None,
    width: Annotated[int, Doc("width of both Transformers, a multiple of 32"), Interval(ge=32, le=1024)] = 128,
    image_layers: Annotated[int, Doc("blocks that see"), Interval(ge=1, le=24)] = 4,
    text_layers: Annotated[int, Doc("blocks that write"), Interval(ge=1, le=24)] = 3,
    batch_size: Annotated[int, Doc("pictures in a batch"), Ge(1)] = 64,
    options: TrainOptions = TrainOptions(steps=1700, learning_rate=2e-3, evaluate_every=250, checkpoint_minutes=2.0),
) -> dict[str, Any]:
    """Train a BLIP captioner on composed scenes, which are drawn as it goes.

    Writes transformers' layout. Returns the figures: loss, the share of held-out captions with nothing wrong, seconds.
    """
    import torch

    from genarium.checkpoints.layouts import blip as layout
    from genarium.models.blip import Captioner
    from genarium.training import run
    from genarium.training.objectives.describe import Tell
    from genarium.training.settings import Settings
    from genarium.training.sources import captions

    folder, tokenizer = options.folder("caption"), captions.tokenizer()
    settings = options.settings(Settings(optimizer="muon", weight_decay=0.02, compile="off"), falls=100)
    torch.manual_seed(settings.seed)
    if init_from is not None:
        model = layout.load_captioner(Path(init_from)).requires_grad_(True)
    else:
        model = Captioner(_config(width, image_layers, text_layers, tokenizer.get_vocab_size()))
    source = captions.Scenes(settings.seed)
    objective = Tell(model, tokenizer, source, batch_size=batch_size, seed=settings.seed)
    if init_from is not None:
        objective.identity["init_from"] = files.sha256(Path(init_from) / "model.safetensors")
    objective.model.to(settings.device)
    save = partial(captions.write, model, tokenizer, folder)
    return run.train(
        "caption",
        objective,
        settings,
        folder,
        save=save,
        figures=("loss", "right", "seconds"),
        title="Captions of scenes",
        unit="nats a token",
    )


def _config(width: int, image_layers: int, text_layers: int, vocab_size: int) -> BlipConfig:
    from genarium.models.blip import BlipConfig
    from genarium.models.encoder_config import EncoderConfig
    from genarium.models.vit import ViTConfig
    from genarium.training.sources import captions

    image = ViTConfig(
        image_size=captions.SIZE,
        patch_size=8,
        n_layers=image_layers,
        n_heads=width // 32,
        d_model=width,
        d_ff=4 * width,
    )
    text = EncoderConfig(
        vocab_size=vocab_size,
        context_length=captions.CONTEXT,
        n_types=0,
        n_layers=text_layers,
        n_heads=width // 32,
        d_model=width,
        d_ff=4 * width,
        dropout=0.0,
        pooler=False,
    )
    return BlipConfig(image, text, start_token=captions.START, end_token=captions.END, projection=16)

"""`genarium train match`: a BLIP matcher of pictures and captions, on composed scenes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge

from genarium import files
from genarium.training.command import command
from genarium.training.options import TrainOptions


@command("A BLIP matcher of pictures and captions.")
def train_match(
    *,
    init_from: Annotated[str, Doc("folder of the captioner that it begins as")],
    frozen: Annotated[bool, Doc("keep the captioner's image encoder as it is: about half the time")] = False,
    grounding: Annotated[
        float, Doc("weight of looking at what a word names, which scenes know: its heat maps then point there"), Ge(0.0)
    ] = 0.2,
    batch_size: Annotated[int, Doc("pictures in a batch, four captions each"), Ge(1)] = 32,
    options: TrainOptions = TrainOptions(steps=1000, learning_rate=1e-3, evaluate_every=250, checkpoint_minutes=2.0),
) -> dict[str, Any]:
    """Train a BLIP matcher on composed scenes: whether a caption is true of a picture, or has one word wrong.

    It begins with a captioner's weights, and learns to read in both directions. Writes transformers' layout.
    Returns the figures: loss, the share of held-out captions judged rightly, seconds.
    """
    import torch

    from genarium.checkpoints.layouts import blip as layout
    from genarium.checkpoints.processors import tokenizer as tokenizers
    from genarium.models.blip import BlipForMatching
    from genarium.training import run
    from genarium.training.objectives.describe import Match
    from genarium.training.settings import Settings
    from genarium.training.sources import captions

    folder, before = options.folder("match"), Path(init_from)
    begin = layout.load_captioner(before)
    tokenizer = tokenizers.load(before)
    settings = options.settings(Settings(optimizer="muon", weight_decay=0.02, compile="off"), falls=100)
    seed = settings.seed
    torch.manual_seed(seed)
    model = BlipForMatching(begin.config)
    model.image.load_state_dict(begin.image.state_dict())
    model.text.load_state_dict(begin.text.state_dict())
    model.to(settings.device)
    source = captions.Scenes(seed + 1)  # other scenes than the captioner's
    objective = Match(model, tokenizer, source, batch_size=batch_size, seed=seed, frozen=frozen, grounding=grounding)
    objective.identity["init_from"] = files.sha256(before / "model.safetensors")
    objective.identity["tokenizer"] = files.sha256(before / "tokenizer.json")
    save = partial(captions.write, model, tokenizer, folder)
    return run.train(
        "match",
        objective,
        settings,
        folder,
        save=save,
        figures=("loss", "right", "seconds"),
        title="Matching scenes and captions",
        unit="nats a caption",
    )

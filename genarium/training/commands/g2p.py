"""`genarium train g2p`: how words are said that no lexicon has, from a lexicon."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium.training.command import command
from genarium.training.options import TrainOptions

if TYPE_CHECKING:
    from genarium.models.g2p import G2P


@command("Letters to phonemes: how words are said that no lexicon has.")
def train_g2p(
    *,
    lexicon: Annotated[str, Doc("folder with us_gold.json, us_silver.json, gb_gold.json, gb_silver.json (misaki's)")],
    width: Annotated[int, Doc("hidden units"), Interval(ge=8, le=1024)] = 112,
    batch_size: Annotated[int, Doc("words in a batch"), Ge(1)] = 256,
    options: TrainOptions = TrainOptions(steps=6000, learning_rate=4e-3, evaluate_every=500, checkpoint_minutes=2.0),
) -> dict[str, Any]:
    """Train an encoder-decoder from letters to phonemes, in American and British English.

    Writes g2p.safetensors in half precision, which `genarium speak` reads without torch. One word in fifty is held out.
    Returns the figures on those: loss, share of phonemes and of words that are wrong, seconds.
    """
    import torch

    from genarium.data.lexicon import pairs
    from genarium.models.g2p import G2P, G2PConfig
    from genarium.training import run
    from genarium.training.objectives.pronounce import Pronounce
    from genarium.training.settings import Settings

    train, held_out = pairs(Path(lexicon))
    folder = options.folder("g2p")
    settings = options.settings(Settings(weight_decay=0.01, compile="off", precision="float32"), falls=100)
    torch.manual_seed(settings.seed)
    letters = "".join(sorted({letter for word, _ in train + held_out for letter in word}))
    sounds = "".join(sorted({sound for _, said in train + held_out for sound in said}))
    model = G2P(G2PConfig(letters, sounds, width=width)).to(settings.device)
    objective = Pronounce(model, train, held_out, batch_size=batch_size, seed=settings.seed)
    return run.train(
        "g2p",
        objective,
        settings,
        folder,
        save=partial(_save, model, folder),
        measure=lambda: objective.measure(held_out) | {"held_out": len(held_out), "words": len(train)},
        figures=("loss", "seconds"),
        title="Letters to phonemes",
        unit="nats a phoneme",
    )


def _save(model: G2P, folder: Path) -> None:
    from genarium.checkpoints.layouts import g2p

    g2p.save(model, folder / g2p.FILE)

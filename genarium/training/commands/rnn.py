"""`genarium train rnn`: an LSTM or a GRU that writes, from text files to a folder that `genarium text` opens."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium.training.command import command
from genarium.training.options import TrainOptions
from genarium.training.sources.text import TextOptions, TextSource

if TYPE_CHECKING:
    from genarium.models.rnn import RNN
    from genarium.training.objectives.next_token import NextToken


@command("A recurrent network (LSTM or GRU) from text: next-token prediction.")
def train_rnn(
    *,
    source: TextOptions,
    cell: Annotated[Literal["lstm", "gru"], Doc("kind of layer")] = "lstm",
    layers: Annotated[int, Doc("layers, one above the other"), Interval(ge=1, le=64)] = 2,
    width: Annotated[int, Doc("hidden units of a layer, and width of the embedding"), Interval(ge=1, le=16384)] = 256,
    untied: Annotated[bool, Doc("give the head a matrix of its own, not the embedding's")] = False,
    context: Annotated[int, Doc("tokens that gradients go back through; writing has no such bound"), Ge(2)] = 256,
    dropout: Annotated[float, Doc("share of each layer's output dropped in training"), Interval(ge=0, lt=1)] = 0.0,
    batch_size: Annotated[int, Doc("rows of one context each in a batch"), Ge(1)] = 16,
    options: TrainOptions = TrainOptions(steps=2000, learning_rate=3e-3, evaluate_every=250),
) -> dict[str, Any]:
    """Train a recurrent language model on text.

    Writes a checkpoint folder in this project's own layout, with the log, a loss plot, the recipe, and a plot of how
    far back it looks. Returns the figures: losses in nats a token, bits per byte, seconds, and the folder.
    """
    import torch

    from genarium.models.rnn import RNN, RNNConfig
    from genarium.training import run
    from genarium.training.settings import Settings

    text = TextSource.read(source)
    name = Path(source.data).stem
    folder = options.folder(f"{cell}-{name}")
    # torch.compile unrolls a recurrent layer's time: minutes, for nothing.
    settings = options.settings(Settings(weight_decay=0.01, compile="off"), falls=30)
    torch.manual_seed(settings.seed)
    config = RNNConfig(text.tokenizer.get_vocab_size(), cell, layers, width, not untied, dropout)
    model = RNN(config).to(settings.device)
    objective = text.objective(model, context=context, batch_size=batch_size, seed=settings.seed)
    return run.train(
        "rnn",
        objective,
        settings,
        folder,
        save=partial(_save, model, text, objective, folder),
        measure=partial(text.measure, model, context=context),
        figures=("seconds", "loss", "bits_per_byte"),
        title=f"{cell.upper()} on {name}",
        unit="nats a token",
        **text.recipe(),
    )


def _save(model: RNN, text: TextSource, objective: NextToken, folder: Path) -> None:
    from genarium.checkpoints.layouts import rnn as layout
    from genarium.training import memory

    layout.save(model, folder, extra={"bos_token_id": text.end, "eos_token_id": text.end})
    text.save_tokenizer(folder, context=model.config.context_length)
    name = f"{model.config.cell.upper()} ({model.config.n_layers} x {model.config.hidden_size})"
    memory.report(model, objective.validation.tokens, folder, name=name, trained=objective.context)

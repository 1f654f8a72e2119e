"""`genarium train gpt`: a GPT from scratch or from a checkpoint, from text files to a folder others can open."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium.errors import BadInput
from genarium.training.command import command
from genarium.training.options import TrainOptions
from genarium.training.sources.text import TextOptions, TextSource

if TYPE_CHECKING:
    from genarium.models.gpt import GPT


@command("A GPT from text: next-token prediction.")
def train_gpt(
    *,
    source: TextOptions,
    init_from: Annotated[
        str | None, Doc("checkpoint to continue from (starter, folder, hub id): its network and tokenizer are kept")
    ] = None,
    preset: Annotated[Literal["tiny", "small", "gpt2"], Doc("size of the network and settings to match")] = "small",
    context: Annotated[int | None, Doc("tokens the model reads at once"), Ge(2)] = None,
    dropout: Annotated[
        float | None, Doc("share of each layer's output dropped in training"), Interval(ge=0, lt=1)
    ] = None,
    batch_size: Annotated[int | None, Doc("rows of one context each in a batch"), Ge(1)] = None,
    grad_accumulation: Annotated[int | None, Doc("batches added up for one update"), Ge(1)] = None,
    optimizer: Annotated[Literal["adamw", "muon"] | None, Doc("what turns gradients into updates")] = None,
    learning_rate: Annotated[float | None, Doc("peak learning rate"), Ge(0.0)] = None,
    warmup_steps: Annotated[int | None, Doc("updates over which the learning rate rises"), Ge(0)] = None,
    compile: Annotated[Literal["auto", "on", "off"], Doc("compile the loss with torch.compile")] = "auto",
    options: TrainOptions = TrainOptions(),
) -> dict[str, Any]:
    """Train a GPT on text, from scratch or from a checkpoint.

    Writes a checkpoint folder in a published layout (GPT-2's or Llama's), with the log, a loss plot and the
    recipe. Returns the figures: losses in nats a token, bits per byte, seconds, and the folder.
    """
    from genarium.training import run, start
    from genarium.training.presets import PRESETS

    path, begun = start.local(init_from, default="text", kind="a checkpoint") if init_from else (None, None)
    text = TextSource.read(source, begun=path)
    folder = options.folder(f"gpt-{preset}-{Path(source.data).stem}")
    _, usual, rows = PRESETS[preset]
    asked = {"grad_accumulation": grad_accumulation, "optimizer": optimizer, "warmup_steps": warmup_steps}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    options = replace(options, learning_rate=learning_rate)
    settings = options.settings(replace(usual, **given, compile=compile), falls=10)
    model = _begin(text, init_from, preset, context, dropout, settings.seed).to(settings.device)
    window = context or model.config.context_length
    objective = text.objective(model, context=window, batch_size=batch_size or rows, seed=settings.seed)
    recipe = text.recipe()
    if begun is not None:
        objective.identity["init_from"] = begun.digest
        recipe = {"init_from": {"reference": begun.reference, "digest": begun.digest}} | recipe
    return run.train(
        "gpt",
        objective,
        settings,
        folder,
        save=partial(_save, model, text, folder),
        measure=partial(text.measure, model, context=window),
        figures=("seconds", "loss", "bits_per_byte"),
        title=f"GPT {preset} on {Path(source.data).stem}",
        unit="nats a token",
        **recipe,
    )


def _begin(
    text: TextSource, init_from: str | None, preset: str, context: int | None, dropout: float | None, seed: int
) -> GPT:
    """The checkpoint that is continued from, or a network of a preset's size with random weights. Raises BadInput."""
    import torch

    from genarium.checkpoints.layouts import gpt as layout
    from genarium.models.gpt import GPT
    from genarium.training.presets import PRESETS

    before = None
    if text.begun is not None:
        before = layout.load(text.begun)
        config = before.config
        if context is not None and context > config.context_length:
            raise BadInput(f"context must be at most that of {init_from}, {config.context_length}; got {context}")
    else:
        config, *_ = PRESETS[preset]
        words = text.tokenizer.get_vocab_size()
        config = replace(config, vocab_size=words, context_length=context or config.context_length)
    torch.manual_seed(seed)
    model = GPT(replace(config, dropout=config.dropout if dropout is None else dropout))
    if before is not None:
        model.load_state_dict(before.state_dict())
    return model


def _save(model: GPT, text: TextSource, folder: Path) -> None:
    from genarium.checkpoints.layouts import gpt as layout

    layout.save(model, folder, extra={"bos_token_id": text.end, "eos_token_id": text.end})
    text.save_tokenizer(folder, context=model.config.context_length)

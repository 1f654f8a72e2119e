"""`genarium train gpt`: a GPT from scratch or from a checkpoint, from text files to a folder others can open."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Interval, Le

from genarium import files
from genarium.errors import BadInput
from genarium.progress import emit, note

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from genarium.data.text import Split


def train_gpt(
    *,
    data: Annotated[str, Doc("text file, folder of .txt and .md files, or a name under GENARIUM_DATA")],
    init_from: Annotated[
        str | None, Doc("checkpoint to go on from (starter, folder, hub id): its network and tokenizer are kept")
    ] = None,
    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None,
    preset: Annotated[Literal["tiny", "small", "gpt2"], Doc("size of the network and settings to match")] = "small",
    tokenizer: Annotated[Literal["char", "bpe"], Doc("one token a character, or byte-pair encoding")] = "bpe",
    vocab_size: Annotated[int, Doc("tokens in the byte-pair vocabulary"), Interval(ge=257, le=262_144)] = 4096,
    holdout: Annotated[list[str] | None, Doc("file to keep out and measure at the end; may be repeated")] = None,
    validation: Annotated[float, Doc("share at the end of each file to watch, not learn"), Ge(0.0), Le(0.5)] = 0.1,
    steps: Annotated[int | None, Doc("optimiser updates"), Ge(1)] = None,
    batch_size: Annotated[int | None, Doc("rows of one context each in a batch"), Ge(1)] = None,
    context: Annotated[int | None, Doc("tokens the model reads at once"), Ge(2)] = None,
    grad_accumulation: Annotated[int | None, Doc("batches added up for one update"), Ge(1)] = None,
    optimizer: Annotated[Literal["adamw", "muon"] | None, Doc("what turns gradients into updates")] = None,
    learning_rate: Annotated[float | None, Doc("peak learning rate"), Ge(0.0)] = None,
    warmup_steps: Annotated[int | None, Doc("updates over which the learning rate rises"), Ge(0)] = None,
    dropout: Annotated[
        float | None, Doc("share of each layer's output dropped in training"), Interval(ge=0, lt=1)
    ] = None,
    evaluate_every: Annotated[int | None, Doc("updates between evaluations"), Ge(1)] = None,
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 5.0,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto",
    compile: Annotated[Literal["auto", "on", "off"], Doc("compile the loss with torch.compile")] = "auto",
    prompt: Annotated[str, Doc("what the samples along the way begin with")] = "Once upon a time",
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto",
    seed: Annotated[int, Doc("same seed, data and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0,
) -> dict[str, Any]:
    """Train a GPT on text, from scratch or from a checkpoint.

    Writes a checkpoint folder in a published layout (GPT-2's or Llama's), with the log, a loss plot and the
    recipe. Returns the figures: losses in nats a token, bits per byte, seconds, and the folder.
    """
    import torch

    from genarium.checkpoints.layouts import gpt as layout
    from genarium.checkpoints.processors import tokenizer as tokenizers
    from genarium.checkpoints.store import folder as folders
    from genarium.checkpoints.store.find import find
    from genarium.data import text
    from genarium.devices import pick_device
    from genarium.models.gpt import GPT
    from genarium.training import report
    from genarium.training.loop import fit
    from genarium.training.objectives.next_token import NextToken, likelihood
    from genarium.training.presets import PRESETS

    paths = text.find(data)
    digests = {name: files.sha256(path) for name, path in zip(text.names_of(paths), paths, strict=True)}
    parts = text.split(paths, validation=validation, holdout=holdout or ())
    if not any(parts.train):
        raise BadInput(f"{data} holds no text; name a file with some")
    folder = Path(out) if out else Path("runs") / f"gpt-{preset}-{Path(data).stem}"
    config, settings, rows = PRESETS[preset]
    begun = find(init_from, default="text") if init_from else None
    before = None
    emit("tokenizing")
    if begun is not None:
        if begun.path is None:
            raise BadInput(f"{init_from} is behind an endpoint; name a checkpoint that is on this machine")
        before, made = layout.load(begun.path), tokenizers.load(begun.path)
        config, end = before.config, tokenizers.separator(begun.path, made)
        if context is not None and context > config.context_length:
            raise BadInput(f"context must be at most that of {init_from}, {config.context_length}; got {context}")
    else:
        made, end = _new_tokenizer(tokenizer, vocab_size, parts)
        config = replace(config, vocab_size=made.get_vocab_size(), context_length=context or config.context_length)
    config = replace(config, dropout=config.dropout if dropout is None else dropout)
    window = context or config.context_length
    asked = {
        "steps": steps,
        "grad_accumulation": grad_accumulation,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "warmup_steps": warmup_steps,
        "evaluate_every": evaluate_every,
    }
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if learning_rate is not None:
        given["min_learning_rate"] = learning_rate / 10
    settings = replace(
        settings,
        **given,
        checkpoint_minutes=checkpoint_minutes,
        precision=precision,
        compile=compile,
        device=pick_device(device),
        seed=seed,
    )
    settings = replace(settings, warmup_steps=min(settings.warmup_steps, settings.steps // 10))
    torch.manual_seed(seed)
    model = GPT(config).to(settings.device)
    if before is not None:
        model.load_state_dict(before.state_dict())
    text.say_changes(made, [*parts.train, *parts.validation], "the text")
    _say_known(parts)
    objective = NextToken(
        model,
        made,
        text.encode(made, parts.train, end),
        text.Measured.of(made, parts.validation, end),
        context=window,
        batch_size=batch_size or rows,
        seed=seed,
        prompt=prompt,
    )
    if begun is not None:
        objective.identity["init_from"] = begun.digest
    log = fit(objective, settings, folder)
    figures: dict[str, Any] = {k: v for k, v in log[-1].items() if k in ("loss", "bits_per_byte", "seconds")}
    objective.model.eval()
    for name, document in parts.holdout.items():
        emit("measuring", preview=name)
        text.say_changes(made, [document], name)
        measured = text.Measured.of(made, [document], end)
        found = likelihood(objective.model, measured, context=window, stride=max(1, window // 2))
        figures[f"bits_per_byte on {name}"] = found["bits_per_byte"]
    layout.save(model, folder, extra={"bos_token_id": end, "eos_token_id": end})
    if begun is not None and begun.path is not None:
        folders.copy_tokenizer(begun.path, folder)
    else:
        _write_tokenizer(made, config.context_length, folder)
    report.write_recipe(
        folder,
        "gpt",
        objective,
        settings,
        figures,
        **({"init_from": {"reference": begun.reference, "digest": begun.digest}} if begun is not None else {}),
        files=text.names_of(paths),
        sha256=digests,
        holdout=list(parts.holdout),
        validation=validation,
    )
    report.plot_losses(log, folder / "loss.png", title=f"GPT {preset} on {Path(data).stem}")
    return figures | {"folder": str(folder)}


def _say_known(parts: Split) -> None:
    """Say where much of what is measured is learned as well, as it is of a file that is there twice."""
    from genarium.data import text

    for name, document in {"what is watched": "\n".join(parts.validation), **parts.holdout}.items():
        known, lines = text.known_lines(parts.train, document)
        if known > lines / 100:
            note(
                f"{known:,} of {lines:,} long lines of {name} are in what is learned as well; its figures gain by that"
            )


def _new_tokenizer(kind: str, vocab_size: int, parts: Split) -> tuple[Tokenizer, int]:
    """A tokenizer of these texts, and its end-of-text token."""
    from genarium.data import text

    made = (
        text.char_tokenizer([*parts.train, *parts.validation])
        if kind == "char"
        else text.bpe_tokenizer(parts.train, vocab_size)
    )
    end = made.token_to_id(text.END_OF_TEXT)
    assert end is not None  # both kinds are given it
    return made, end


def _write_tokenizer(made: Tokenizer, context_length: int, folder: Path) -> None:
    from genarium.data.text import END_OF_TEXT

    files.write_atomically(folder / "tokenizer.json", made.to_str().encode())
    described = {
        "eos_token": END_OF_TEXT,
        "bos_token": END_OF_TEXT,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_length,
    }
    files.write_atomically(folder / "tokenizer_config.json", json.dumps(described, indent=2).encode())

"""`genarium finetune`: a published encoder learns a task from a file of examples."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval, Le

from genarium import files
from genarium.errors import BadInput
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.models.encoder import SpanReader, TextClassifier

# What is learned with when nothing else is said: the peak learning rate of each way.
LEARNING_RATES = {"lora": 7e-4, "head-only": 2e-3, "full": 5e-5}
FIGURES = ("loss", "accuracy", "f1", "exact_match", "mrr")
TARGETS = ("qkv", "out", "up", "down")
MAX_LENGTHS = {"classify": 256, "rank": 256, "answer": 384}


def finetune(
    *,
    data: Annotated[Path, Doc("examples to learn from: CSV, TSV or JSON Lines")],
    also: Annotated[Path | None, Doc("more examples to learn from, in the same form, none of them watched")] = None,
    pieces: Annotated[
        int, Doc("classify: learn from up to this many pieces of each text as well, with its label"), Ge(0)
    ] = 0,
    task: Annotated[Literal["classify", "answer", "rank"], Doc("what is learned")] = "classify",
    from_: Annotated[str, Doc("what it begins with: encoder, a folder or a hub id")] = "encoder",
    lora: Annotated[bool, Doc("learn small adapters beside the layers, and the head (this is the default)")] = False,
    head_only: Annotated[bool, Doc("learn the head alone")] = False,
    full: Annotated[bool, Doc("learn every weight, and write a whole checkpoint")] = False,
    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None,
    text_column: Annotated[str | None, Doc("classify: the column with the texts [default: text]")] = None,
    label_column: Annotated[str | None, Doc("classify: the column with the labels [default: label]")] = None,
    delimiter: Annotated[
        str | None, Doc("what is between columns: comma, semicolon, tab, pipe or a character [default: found out]")
    ] = None,
    encoding: Annotated[
        str | None, Doc("the files' encoding, as in cp1252 or gb18030 [default: by their mark, or UTF-8]")
    ] = None,
    no_header: Annotated[bool, Doc("the first line is a row already; columns are called 1, 2, …")] = False,
    name: Annotated[
        list[str] | None, Doc("call a label of the data something else, as in 1=positive; may be repeated")
    ] = None,
    examples: Annotated[int | None, Doc("learn from this many rows only, drawn evenly over the labels"), Ge(2)] = None,
    validation: Annotated[float, Doc("share of the data to watch, not learn"), Ge(0.0), Le(0.5)] = 0.1,
    validation_data: Annotated[Path | None, Doc("watch this file instead of a share of the data")] = None,
    holdout: Annotated[Path | None, Doc("file to measure once, at the end")] = None,
    epochs: Annotated[float, Doc("how often each example is seen"), Gt(0)] = 3.0,
    batch_size: Annotated[int, Doc("examples for one update"), Ge(1)] = 32,
    learning_rate: Annotated[float | None, Doc("peak learning rate [default: by the way it learns]"), Gt(0)] = None,
    rank: Annotated[int, Doc("width of the adapters"), Interval(ge=1, le=256)] = 8,
    alpha: Annotated[
        float | None, Doc("adapters are scaled by this over their rank [default: twice it]"), Gt(0)
    ] = None,
    targets: Annotated[
        list[Literal["qkv", "out", "up", "down"]] | None,
        Doc("layers that get an adapter; may be repeated [default: all four]"),
    ] = None,
    consistency: Annotated[
        float, Doc("classify: read each batch twice and draw the two answers together, this strongly (R-Drop)"), Ge(0.0)
    ] = 0.0,
    pool: Annotated[Literal["first", "mean"], Doc("what is judged: the first token or the mean of all")] = "first",
    max_length: Annotated[int | None, Doc("tokens read of a text [default: 256; 384 for answer]"), Ge(8)] = None,
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 5.0,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto",
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto",
    runs: Annotated[int, Doc("learn this many times in other orders, and average the weights"), Ge(1)] = 1,
    seed: Annotated[int, Doc("same seed, data and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0,
) -> dict[str, Any]:
    """Teach an encoder a task from a file of examples.

    classify reads columns text and label; answer reads SQuAD's question, context, answer_start and text (an empty
    text where there is no answer); rank reads query, passage and label 0 or 1, or query, positive and negatives.
    Writes a PEFT adapter of the base, or with --full a whole checkpoint; others open both. Returns the figures.
    """
    asked = {key: value.name if isinstance(value, Path) else value for key, value in locals().items()}
    import torch

    from genarium.checkpoints.processors import tokenizer
    from genarium.checkpoints.store.find import find
    from genarium.data.tables import How
    from genarium.devices import pick_device
    from genarium.models.encoder import TextClassifier
    from genarium.training import report, start
    from genarium.training.adapters import average
    from genarium.training.loop import fit
    from genarium.training.settings import Settings
    from genarium.training.sources import examples as parts_of

    way = _way(lora=lora, head_only=head_only, full=full)
    found = find("starter/encoder" if from_ == "encoder" else from_, default="encoder")
    base = _base(found, from_, way, pool)
    for option, given in (("--consistency", consistency), ("--pieces", pieces)):
        if given and task != "classify":
            raise BadInput(f"{option} is for --task classify; leave it out")
    emit("reading", preview=data.name)
    # Before they are read: who changes a file while this learns from it has not changed what is learned.
    named = {"data": data, "also": also, "validation_data": validation_data, "holdout": holdout}
    digests = {option: files.sha256(file) for option, file in named.items() if file is not None}
    how = How(delimiter, encoding, header=not no_header)
    read = parts_of.reader(task, text=text_column, label=label_column, how=how, names=name or ())
    parts = parts_of.split(
        read,
        data,
        also=also,
        validation=validation,
        validation_data=validation_data,
        holdout=holdout,
        pieces=pieces,
        examples=examples,
        seed=seed,
    )
    labels = parts_of.labels_of(parts, data) if task == "classify" else []

    adapters: dict[str, Any] = {"rank": rank, "alpha": alpha or 2.0 * rank, "targets": list(targets or TARGETS)}
    peak = learning_rate or LEARNING_RATES[way]
    settings = Settings(
        learning_rate=peak,
        min_learning_rate=peak / 50,
        weight_decay=0.01,
        beta2=0.98,
        checkpoint_minutes=checkpoint_minutes,
        precision=precision,
        compile="off",  # batches differ in length, and each length would be compiled anew
        device=pick_device(device),
    )
    folder = Path(out) if out else Path("runs") / f"{task}-{data.stem}"
    learned = []
    for run in range(runs):
        torch.manual_seed(seed)  # every run begins with the same weights; `fit` draws the rest from its own seed
        model = start.reader(base) if task == "answer" else start.classifier(base, labels, pool=pool)
        start.choose_trained(model, way, **adapters)
        objective, measure_holdout = parts_of.objective(
            task,
            model.to(settings.device),
            tokenizer.load(base),
            parts,
            labels,
            max_length=min(max_length or MAX_LENGTHS[task], model.config.context_length),
            batch_size=batch_size,
            seed=seed + run,
            **({"consistency": consistency} if consistency else {}),
            identity={
                "task": task,
                "way": way,
                "base": found.digest,
                "network": asdict(model.config),
                "head": asdict(model.head) if isinstance(model, TextClassifier) else None,
                "adapters": adapters if way == "lora" else None,
            },
        )
        steps = max(1, round(objective.batches.per_epoch * epochs))
        settings = replace(
            settings,
            steps=steps,
            warmup_steps=steps // 16,
            evaluate_every=max(objective.batches.per_epoch, -(-steps // 5)),
            seed=seed + run,
        )
        place = folder if runs == 1 else folder / f"run-{run}"
        log = fit(objective, settings, place)
        report.plot_losses(log, place / "loss.png", title=f"{task} on {data.stem}", unit="nats an example")
        learned.append(model)

    model = objective.model = average(learned) if runs > 1 else model
    model.eval()
    figures: dict[str, Any] = {k: v for k, v in log[-1].items() if k in FIGURES}
    with torch.inference_mode():
        if runs > 1:
            figures = objective.evaluate()
        if holdout is not None:
            emit("measuring", preview=holdout.name)
            figures |= {f"{key} on {holdout.name}": value for key, value in measure_holdout().items()}
    _save(model, folder, found, way, labels)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    report.write_recipe(
        folder,
        "finetune",
        objective,
        replace(settings, seed=seed),
        figures,
        **{"from": found.reference},
        data={"file": data.name, "sha256": digests.pop("data"), "rows": objective.n_examples} | digests,
        options={key: value for key, value in asked.items() if value is not None and key != "out"},
        trained_weights=trained,
    )
    return figures | {"trained_weights": trained, "folder": str(folder)}


def _way(*, lora: bool, head_only: bool, full: bool) -> Literal["lora", "head-only", "full"]:
    if lora + head_only + full > 1:
        raise BadInput("choose one of --lora, --head-only and --full")
    return "full" if full else "head-only" if head_only else "lora"


def _base(found: Found, asked: str, way: str, pool: str) -> Path:
    """The folder to begin with, where it can be begun with this way."""
    from genarium.checkpoints.layouts import encoder as layout
    from genarium.checkpoints.store import adapters
    from genarium.checkpoints.store.folder import read_config

    if found.path is None:
        raise BadInput(f"{asked} is behind an endpoint; name an encoder that is on this machine")
    if adapters.is_adapter(found.path) and way != "full":
        raise BadInput(f"{asked} is an adapter itself, and another can't stand on it; name its base, or use --full")
    if way == "full" and pool == "mean":
        raise BadInput("no published layout has a head over the mean of all tokens; use --pool first, or --lora")
    layout.read_config(read_config(found.path), asked)  # the kinds of network that can be
    return found.path


def _save(model: TextClassifier | SpanReader, folder: Path, found: Found, way: str, labels: list[str]) -> None:
    """The adapter, or the whole checkpoint with its tokenizer."""
    from genarium.checkpoints.layouts import encoder as layout
    from genarium.checkpoints.store import adapters, find
    from genarium.checkpoints.store.folder import copy_tokenizer, read_config
    from genarium.models.encoder import TextClassifier
    from genarium.training.adapters import save_adapter

    assert found.path is not None
    raw = read_config(found.path)
    named = layout.label_names(labels or ["LABEL_0"]) if isinstance(model, TextClassifier) else {}
    if way == "full":
        layout.save(model, folder, layout=raw["model_type"], extra=named)
        copy_tokenizer(find.base_of(found.path) if adapters.is_adapter(found.path) else found.path, folder)
    else:
        save_adapter(model, folder, base=found.reference, base_path=found.path, config=raw | named)

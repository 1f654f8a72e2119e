"""`genarium finetune`: a published encoder learns a task from a file of examples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Le

from genarium import files
from genarium.errors import BadInput
from genarium.progress import emit
from genarium.training.command import command
from genarium.training.options import Alpha, Delimiter, Encoding, Rank, RunOptions, Targets, adapters

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.training.sources.examples import Parts
    from genarium.training.start import Way

# What is learned with when nothing else is said: the peak learning rate of each way.
LEARNING_RATES = {"lora": 7e-4, "head-only": 2e-3, "full": 5e-5}


@dataclass(frozen=True)
class ExampleOptions:
    """Which examples, and how their files are read."""

    data: Annotated[Path, Doc("examples to learn from: CSV, TSV or JSON Lines")]
    also: Annotated[Path | None, Doc("more examples to learn from, of the same form, never in validation")] = None
    pieces: Annotated[
        int, Doc("classify: learn from up to this many pieces of each text as well, with its label"), Ge(0)
    ] = 0
    task: Annotated[Literal["classify", "answer", "rank"], Doc("what is learned")] = "classify"
    text_column: Annotated[str | None, Doc("classify: the column with the texts [default: text]")] = None
    label_column: Annotated[str | None, Doc("classify: the column with the labels [default: label]")] = None
    delimiter: Delimiter = None
    encoding: Encoding = None
    no_header: Annotated[bool, Doc("the first line is a row already; columns are called 1, 2, …")] = False
    name: Annotated[
        list[str] | None, Doc("call a label of the data something else, as in 1=positive; may be repeated")
    ] = None
    examples: Annotated[int | None, Doc("learn from this many rows only, drawn evenly over the labels"), Ge(2)] = None
    validation: Annotated[float, Doc("share of the data to watch, not learn"), Ge(0.0), Le(0.5)] = 0.1
    validation_data: Annotated[Path | None, Doc("watch this file instead of a share of the data")] = None
    holdout: Annotated[Path | None, Doc("file to measure once, at the end")] = None

    def digests(self) -> dict[str, str]:
        """sha256 of each file that is named, by its option."""
        named = {"data": self.data, "also": self.also}
        named |= {"validation_data": self.validation_data, "holdout": self.holdout}
        return {option: files.sha256(file) for option, file in named.items() if file is not None}

    def read(self, seed: int) -> Parts:
        """The examples in their parts. Raises BadInput."""
        from genarium.data.tables import How
        from genarium.training.sources import examples as source

        how = How(self.delimiter, self.encoding, header=not self.no_header)
        named = self.name or ()
        reader = source.reader(self.task, text=self.text_column, label=self.label_column, how=how, names=named)
        return source.split(
            reader,
            self.data,
            also=self.also,
            validation=self.validation,
            validation_data=self.validation_data,
            holdout=self.holdout,
            pieces=self.pieces,
            examples=self.examples,
            seed=seed,
        )


@dataclass(frozen=True)
class WayOptions:
    """What it begins with, and what of that is trained."""

    from_: Annotated[str, Doc("what it begins with: encoder, a folder or a hub id")] = "encoder"
    lora: Annotated[bool, Doc("learn small adapters beside the layers, and the head (this is the default)")] = False
    head_only: Annotated[bool, Doc("learn the head alone")] = False
    full: Annotated[bool, Doc("learn every weight, and write a whole checkpoint")] = False
    rank: Rank = 8
    alpha: Alpha = None
    targets: Targets = None
    pool: Annotated[Literal["first", "mean"], Doc("what is judged: the first token or the mean of all")] = "first"
    max_length: Annotated[int | None, Doc("tokens read of a text [default: 256; 384 for answer]"), Ge(8)] = None

    @property
    def way(self) -> Way:
        """Raises BadInput where several are asked for."""
        if self.lora + self.head_only + self.full > 1:
            raise BadInput("choose one of --lora, --head-only and --full")
        return "full" if self.full else "head-only" if self.head_only else "lora"

    @property
    def adapters(self) -> dict[str, Any]:
        """How adapters are made."""
        return adapters(self.rank, self.alpha, self.targets)


@command("Teach an encoder a task from a file of examples.", group="")
def finetune(
    *,
    source: ExampleOptions,
    begin: WayOptions = WayOptions(),
    epochs: Annotated[float, Doc("how often each example is seen"), Gt(0)] = 3.0,
    batch_size: Annotated[int, Doc("examples for one update"), Ge(1)] = 32,
    learning_rate: Annotated[float | None, Doc("peak learning rate [default: by the way it learns]"), Gt(0)] = None,
    consistency: Annotated[
        float, Doc("classify: read each batch twice and draw the two answers together, this strongly (R-Drop)"), Ge(0.0)
    ] = 0.0,
    runs: Annotated[int, Doc("learn this many times in other orders, and average the weights"), Ge(1)] = 1,
    options: RunOptions = RunOptions(),
) -> dict[str, Any]:
    """Teach an encoder a task from a file of examples.

    classify reads columns text and label; answer reads SQuAD's question, context, answer_start and text (an empty
    text where there is no answer); rank reads query, passage and label 0 or 1, or query, positive and negatives.
    Writes a PEFT adapter of the base, or with --full a whole checkpoint; others open both. Returns the figures.
    """
    from genarium.checkpoints.store.find import find
    from genarium.training import finetuning, report
    from genarium.training.settings import Settings
    from genarium.training.sources.examples import labels_of

    asked = {**vars(source), **vars(begin), **vars(options), "epochs": epochs, "batch_size": batch_size}
    asked |= {"consistency": consistency, "runs": runs}
    task, data, way = source.task, source.data, begin.way
    found = find("starter/encoder" if begin.from_ == "encoder" else begin.from_, default="encoder")
    base = _base(found, begin.from_, way, begin.pool)
    for option, given in (("--consistency", consistency), ("--pieces", source.pieces)):
        if given and task != "classify":
            raise BadInput(f"{option} is for --task classify; leave it out")
    emit("reading", preview=data.name)
    # Before they are read: who changes a file while this learns from it has not changed what is learned.
    digests = source.digests()
    parts = source.read(options.seed)
    labels = labels_of(parts, data) if task == "classify" else []
    kept = begin.pool, begin.max_length, batch_size, consistency
    lesson = finetuning.Lesson(task, parts, labels, found, base, way, begin.adapters, *kept)
    # Batches differ in length, and each length would be compiled anew.
    usual = Settings(weight_decay=0.01, beta2=0.98, compile="off")
    settings = replace(options, learning_rate=learning_rate or LEARNING_RATES[way]).settings(usual, falls=50)
    folder, title = options.folder(f"{task}-{data.stem}"), f"{task} on {data.stem}"
    objective, settings, figures = finetuning.learn(
        lesson, settings, folder, epochs=epochs, runs=runs, holdout=source.holdout, title=title
    )
    lesson.save(objective.model, folder)
    more = _recipe(objective, found, asked, digests)
    report.write_recipe(folder, "finetune", objective, settings, figures, **more)
    return figures | {"trained_weights": more["trained_weights"], "folder": str(folder)}


def _recipe(objective: Any, found: Found, asked: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    """What `training.json` says beside settings and figures; `asked` are all options by name."""
    options = {key: value.name if isinstance(value, Path) else value for key, value in asked.items()}
    return {
        "from": found.reference,
        "data": {"file": options["data"], "sha256": digests.pop("data"), "rows": objective.n_examples} | digests,
        "options": {key: value for key, value in options.items() if value is not None and key != "out"},
        "trained_weights": sum(p.numel() for p in objective.model.parameters() if p.requires_grad),
    }


def _base(found: Found, asked: str, way: str, pool: str) -> Path:
    """The folder to begin with, where it can be begun with this way."""
    from genarium.checkpoints.layouts import encoder_config
    from genarium.checkpoints.store.adapters import is_adapter
    from genarium.checkpoints.store.folder import read_config

    if found.path is None:
        raise BadInput(f"{asked} is behind an endpoint; name an encoder that is on this machine")
    if found.path.is_file():
        raise BadInput(
            f"{asked} is one file, its weights rounded; training begins with an encoder's folder, so name one"
        )
    if is_adapter(found.path) and way != "full":
        raise BadInput(f"{asked} is an adapter itself, and another can't stand on it; name its base, or use --full")
    if way == "full" and pool == "mean":
        raise BadInput("no published layout has a head over the mean of all tokens; use --pool first, or --lora")
    encoder_config.read_config(read_config(found.path), asked)  # the kinds of network that can be
    return found.path

"""`align NAME`: the steps that teach a model of language what people want, found as `train`'s commands are; `compare`.

What a step learns from may be the ledger: its rows are written into a file first, so that a run which was stopped
continues with the same, whatever was rated since.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genarium.cli.common import aside
from genarium.cli.compare import compare
from genarium.cli.learning import Kind, rows_of
from genarium.cli.train import Commands, click_command, plainly
from genarium.errors import BadCheckpoint, BadInput

if TYPE_CHECKING:
    from genarium.training.command import Command

LEARNS: dict[str, Kind] = {"sft": "examples", "reward": "pairs", "dpo": "pairs"}
"""What each step that can learn from the ledger takes from it."""


class Steps(Commands):
    """The commands there are in `training/commands/align`; what comes of one is a version."""

    of = "align"

    def as_click(self, name: str, made: Command) -> click.Command:
        return click_command(name, made, carry_out=step, more=_ledger_options() if name in LEARNS else ())


@click.group(cls=Steps)
def align() -> None:
    """Teach a model of language what people want. Stopped at any moment, the same command continues to the same end."""


align.add_command(compare)


def _ledger_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--from-ledger"], is_flag=True, help="learn from what was rated and edited here, in place of --data"
        ),
        click.Option(
            ["--task"],
            type=click.Choice(["chat", "text"]),
            help="of which task in the ledger [default: the one that has some]",
        ),
    ]


def step(made: Command, values: dict[str, Any]) -> dict[str, Any]:
    """Train, and put what came of it into the line of versions; the figures, with the version's name."""
    from genarium.checkpoints.store import versions

    from_ledger, task = values.pop("from_ledger", False), values.pop("task", None)
    if from_ledger:
        values = _from_ledger(made, values, task)
    elif task is not None:
        raise BadInput("--task says what to take from the ledger; give --from-ledger with it, or leave it out")
    figures = plainly(made, values)
    try:
        return figures | {"version": versions.register(Path(figures["folder"])).name}
    except (BadCheckpoint, KeyError):  # another package's command, which leaves no such folder
        return figures


def _from_ledger(made: Command, values: dict[str, Any], task: str | None) -> dict[str, Any]:
    """The values with the ledger's rows as the data, and over the model that is in use where none is named."""
    from genarium import files
    from genarium.checkpoints.store import promoted
    from genarium.rows import line

    if values.get("data") is not None:
        raise BadInput("choose one of --data and --from-ledger")
    kind = LEARNS[made.name.removeprefix("align ")]
    task, rows = rows_of(kind, task)
    content = b"".join(map(line, rows))
    file = files.home() / "learned" / f"ledger-{task}-{kind}-{hashlib.sha256(content).hexdigest()[:12]}.jsonl"
    files.write_atomically(file, content)
    found = values | {"data": str(file)}
    if values.get("model") is None:
        used = promoted.find_in_use(task)
        found["model"] = used.reference if used else f"starter/{task}"
    aside(f"{len(rows)} {kind} of {task} from the ledger ({file}), over {found['model']}")
    return found

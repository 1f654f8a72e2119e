"""`align compare`: which of two models answers better."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from genarium.cli.common import aside, json_option
from genarium.cli.completion import models as complete_models
from genarium.cli.display import Display
from genarium.cli.terminal import next_line, printable

if TYPE_CHECKING:
    from genarium.comparison.answers import Pair
    from genarium.comparison.compare import Ask, Outcome

HOW = "1 the first is better, 2 the second, = neither, q stops (run the same again to continue)"
VERDICTS = {"1": "left", "2": "right", "=": "equal"}


@click.command()
@click.argument("first", metavar="A", shell_complete=complete_models)
@click.argument("second", metavar="B", shell_complete=complete_models)
@click.option("--prompts", "file", type=click.Path(), required=True, help="lines, a column prompt, or conversations")
@click.option(
    "--judge",
    default="me",
    show_default=True,
    help="me, a reward model, a classifier's label (starter/sentiment:positive), or a model to be asked in both orders",
)
@click.option(
    "--task", type=click.Choice(["chat", "text"]), help="[default: chat where both models were taught to talk]"
)
@click.option("--max-new-tokens", type=click.IntRange(1), help="longest answer, in tokens [default: the task's]")
@click.option("--temperature", type=click.FloatRange(0), help="how freely both answer [default: the task's]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="draws the answers and their sides")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="write what was compared to this file, as JSON Lines"
)
@json_option
def compare(
    first: str, second: str, file: str, judge: str, task: str | None, output: str | None, as_json: bool, **how: Any
) -> None:
    """Compare two models by their answers to the same prompts.

    The judge does not know which answer is whose: sides are drawn at random, by the seed. What comes out is how often A
    is better than B, with its interval; a tie counts half.
    """
    from genarium import files
    from genarium.checkpoints.store.find import find
    from genarium.comparison import answers, judges
    from genarium.comparison.compare import Outcome, by_model, by_person
    from genarium.data.conversations import read_prompts
    from genarium.ledger import Ledger
    from genarium.progress import listening
    from genarium.rows import line

    with Display() as display, listening(display), Ledger() as ledger:
        prompts = read_prompts(files.named(file))
        models = (find(first, default="chat"), find(second, default="chat"))
        judges.require_two(models)
        opened = None if judge == "me" else judges.open_judge(judge)
        if opened is not None:
            judges.require_fair(opened, models)
        seed = how.pop("seed")
        settings = {name: value for name, value in how.items() if value is not None}
        task = answers.task_for(models, prompts, task)
        pairs = list(answers.pairs(models, prompts, task=task, settings=settings, seed=seed, ledger=ledger))
        outcome = Outcome(models, task, "me" if opened is None else opened.way)
        if opened is not None:
            by_model(opened, pairs, outcome)
        else:
            display.close_bar()
            by_person(_asking(pairs), pairs, outcome, ledger)
    if output is not None:
        files.write_output(files.named(output), b"".join(map(line, outcome.rows)))
    if as_json:
        click.echo(json.dumps(outcome.as_dict(), indent=2, ensure_ascii=False))
    else:
        _print(outcome)


def _asking(pairs: list[Pair]) -> Ask:
    aside(HOW)

    def ask(pair: Pair, judged: int) -> str | None:
        """Show the pair and read a verdict; None at q or the end of input."""
        from genarium.comparison.answers import as_read

        left, right = pair.sides
        shown = f"{as_read(pair.prompt)}\n\n1: {left.text}\n\n2: {right.text}"
        click.echo(printable(f"\n[{judged + 1} of {len(pairs)}] {shown}\n"), err=True)
        while (typed := next_line()) is not None and typed.strip() != "q":
            if verdict := VERDICTS.get(typed.strip()):
                return verdict
            click.echo(HOW, err=True)
        return None

    return ask


def _described(side: dict[str, Any]) -> str:
    """How long a model's answers are, and how much they differ."""
    differ = ", ".join(
        f"distinct-{n} {side[f'distinct_{n}']:.3f}" for n in (1, 2, 3) if side[f"distinct_{n}"] is not None
    )
    return f"{side['words']:.1f} words an answer{', ' if differ else ''}{differ}"


def _print(outcome: Outcome) -> None:
    a, b = (found.reference for found in outcome.models)
    rate, judged = outcome.win_rate, len(outcome.rows)
    if judged < outcome.total:
        aside(f"{judged} of {outcome.total} are judged; run the same again to continue")
    if not judged:
        return
    width = max(len(a), len(b), len("neither"))
    told = outcome.as_dict()
    for name, count, side in ((a, rate.wins, "a"), (b, rate.losses, "b"), ("neither", rate.ties, "")):
        about = f"  {_described(told[side])}" if side else ""
        click.echo(printable(f"{name:<{width}}  {count:>4}{about}"))
    click.echo(printable(f"{a} is better in {rate}"))
    if outcome.alike:
        aside(f"{outcome.alike} times both said the same")
    if outcome.swayed:
        aside(f"{outcome.swayed} times the judge named the same place in both orders: those are ties")
    if outcome.silent:
        aside(f"{outcome.silent} times the judge named neither: those are ties")

"""Compare two models: their answers to the same prompts, judged pair by pair, and what that comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from genarium.checkpoints.store.find import Found
from genarium.comparison.answers import Pair
from genarium.comparison.diversity import diversity
from genarium.comparison.judges import ChatJudge, Judge
from genarium.comparison.win_rate import WinRate
from genarium.ledger import Ledger, comparisons
from genarium.progress import emit

Ask = Callable[[Pair, int], str | None]
"""Shows a pair, and how many are judged; left, right or equal, or None where the person stops."""


@dataclass
class Outcome:
    """`rows` are the pairs that were judged, in order; `alike` of them said the same, which nobody was asked about."""

    models: tuple[Found, Found]
    task: str
    judge: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    alike: int = 0
    swayed: int = 0
    silent: int = 0

    @property
    def win_rate(self) -> WinRate:
        """Of the first model over the second."""
        won = [row["better"] for row in self.rows]
        return WinRate(won.count("a"), won.count("equal"), won.count("b"))

    def add(self, pair: Pair, better: str) -> None:
        left, right = pair.sides
        self.rows.append(
            {
                "prompt": pair.prompt if isinstance(pair.prompt, str) else list(pair.prompt),
                "a": {"text": pair.a.text, "artefact": pair.a.artefact},
                "b": {"text": pair.b.text, "artefact": pair.b.artefact},
                "left": "b" if pair.b_is_left else "a",
                "better": better,
            }
        )
        self.alike += left.text == right.text

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        named = {
            name: {"reference": found.reference, "digest": found.digest}
            for name, found in zip("ab", self.models, strict=True)
        }
        told: dict[str, Any] = {
            "task": self.task,
            **named,
            "judge": self.judge,
            "prompts": self.total,
            **self.win_rate.as_dict(),
        }
        for name in "ab":
            told[name] |= diversity([row[name]["text"] for row in self.rows])
        return told | {"alike": self.alike, "swayed": self.swayed, "silent": self.silent, "rows": self.rows}


def by_model(judge: Judge, pairs: Sequence[Pair], outcome: Outcome) -> None:
    """Judge all pairs; of two that say the same neither is better."""
    outcome.total = len(pairs)
    for number, pair in enumerate(pairs):
        emit("judging", number, len(pairs))
        left, right = (side.text for side in pair.sides)
        verdict = "equal" if left == right else judge.verdict(pair.prompt, left, right)
        outcome.add(pair, pair.winner(verdict))
    if isinstance(judge, ChatJudge):
        outcome.swayed, outcome.silent = judge.swayed, judge.silent


def by_person(ask: Ask, pairs: Sequence[Pair], outcome: Outcome, ledger: Ledger) -> None:
    """Judge pairs until the person stops; each verdict is kept at once, and what was judged before counts."""
    outcome.total = len(pairs)
    for pair in pairs:
        left, right = pair.sides
        if left.text == right.text:
            outcome.add(pair, "equal")
            continue
        shown = comparisons.begin(ledger, left.artefact, right.artefact)
        if shown.verdict is None:
            verdict = ask(pair, len(outcome.rows))
            if verdict is None:
                return
            shown = comparisons.judge(ledger, shown.id, "equal" if verdict == "equal" else _side(shown, pair, verdict))
        better = shown.left.id if shown.verdict == "left" else shown.right.id
        outcome.add(pair, "equal" if shown.verdict == "equal" else "a" if better == pair.a.artefact else "b")


def _side(shown: comparisons.Comparison, pair: Pair, verdict: str) -> str:
    """Where the answer on that side of the pair stands in a comparison, which may have been begun the other way."""
    meant = pair.sides[0 if verdict == "left" else 1].artefact
    return "left" if shown.left.id == meant else "right"

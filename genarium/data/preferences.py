"""What people prefer, from files: pairs, rankings of 2 to 9 answers, scores from 0 to 5.

Pairs are TRL's `prompt`, `chosen` and `rejected`; each may be a text or a list of messages. Without a `prompt` it is
what the two conversations begin with alike.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from genarium.data.conversations import (
    ANSWERS,
    PROMPTS,
    Example,
    Prompt,
    answer_of,
    column,
    messages_of,
    prompt_of,
    rows_of,
)
from genarium.data.tables import AS_IT_LOOKS, How, Table
from genarium.errors import BadInput, excerpt
from genarium.progress import note

FEWEST, MOST = 2, 9
"""Answers of a ranking: InstructGPT's labellers ranked between four and nine (Ouyang et al. 2022, 3.5)."""
LOWEST, HIGHEST = 0.0, 5.0
"""Scores."""


@dataclass(frozen=True)
class Preference:
    """Of two answers to one prompt, the better and the other."""

    prompt: Prompt
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Ranking:
    """Answers to one prompt; `ranks` are their places, the lowest the best, equal where nobody could tell."""

    prompt: Prompt
    answers: tuple[str, ...]
    ranks: tuple[float, ...]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Places of the better and the other answer, of all that differ in rank."""
        return [
            (i, j) if self.ranks[i] < self.ranks[j] else (j, i)
            for i, j in combinations(range(len(self.answers)), 2)
            if self.ranks[i] != self.ranks[j]
        ]


@dataclass(frozen=True)
class Scored:
    """One answer, and how good it is: from 0 to 5."""

    prompt: Prompt
    answer: str
    score: float


def read_judged(path: Path, how: How = AS_IT_LOOKS) -> list[Ranking] | list[Scored]:
    """Rankings; or of scored answers, of which most have none beside them to be compared with, each with its score.

    Says which. Raises BadInput.
    """
    table = rows_of(path, how)
    if "score" not in table.columns or {"chosen", "answers"} & set(table.columns):
        return _rankings(table)
    scored = [_scored(row, f"{path}, row {number}") for row, number in zip(table.dicts(), table.numbers, strict=True)]
    comparable = sum(len(ranking.answers) for ranking in _by_prompt(scored) if ranking.pairs)
    if 2 * comparable >= len({(_key(example.prompt), example.answer) for example, _ in scored}):
        return _rankings(table)
    if len({score for _, score in scored}) < 2:
        raise BadInput(f"{path} gives every answer the score {scored[0][1]:g}; give some another one")
    note(f"most prompts in {path.name} have one answer: its score is learned by itself, not which of two is better")
    return [Scored(example.prompt, example.answer, score) for example, score in scored]


def read_preferences(path: Path, how: How = AS_IT_LOOKS) -> list[Preference]:
    """Pairs; of rankings and scores all that differ. What can teach nothing is left out, and said. Raises BadInput."""
    return [
        Preference(ranking.prompt, ranking.answers[better], ranking.answers[other])
        for ranking in read_rankings(path, how)
        for better, other in ranking.pairs
    ]


def read_rankings(path: Path, how: How = AS_IT_LOOKS) -> list[Ranking]:
    """Rankings, pairs (as rankings of two), or scored answers put together by prompt. Raises BadInput.

    Says what teaches nothing and is left out (one answer, equal answers, ties), and what is judged both ways.
    """
    return _rankings(rows_of(path, how))


def _rankings(table: Table) -> list[Ranking]:
    path = table.path
    rows = list(zip(table.dicts(), (f"{path}, row {number}" for number in table.numbers), strict=True))
    first = rows[0][0]
    if "chosen" in table.columns or "rejected" in table.columns:
        found = [_pair(row, where) for row, where in rows]
    elif "answers" in table.columns:
        found = [_ranking(row, where) for row, where in rows]
    elif "score" in table.columns:
        found = _by_prompt(_scored(row, where) for row, where in rows)
    else:
        raise BadInput(
            f"{path} has the columns {', '.join(map(repr, first)) or 'nothing'}; preferences have prompt, chosen and "
            "rejected, or prompt and answers (best first), or prompt, answer and score"
        )
    kept = _teaching(found, table)
    _say_both_ways(kept, path)
    return kept


def _pair(row: Mapping[str, Any], where: str) -> Ranking:
    sides = [row[column(row, (name,), where)] for name in ("chosen", "rejected")]
    if row.get("prompt") is None:
        if not all(isinstance(side, list) for side in sides):
            raise BadInput(f"{where}: has no 'prompt'; only of two conversations it is what they begin with alike")
        whole = [
            messages_of(side, f"{where}, {name}") for side, name in zip(sides, ("chosen", "rejected"), strict=True)
        ]
        shared = next(
            (i for i, (one, other) in enumerate(zip(*whole, strict=False)) if one != other), min(map(len, whole)) - 1
        )
        prompt: Prompt = prompt_of([dict(message) for message in whole[0][:shared]], f"{where}, prompt")
        sides = [[dict(message) for message in side[shared:]] for side in whole]
    else:
        prompt = prompt_of(row["prompt"], f"{where}, prompt")
    chosen, rejected = (
        answer_of(side, f"{where}, {name}") for side, name in zip(sides, ("chosen", "rejected"), strict=True)
    )
    return Ranking(prompt, (chosen, rejected), (0, 1))


def _ranking(row: Mapping[str, Any], where: str) -> Ranking:
    """`answers`, best first; an inner list holds equal ones. With `ranks` or `scores` they are in any order."""
    prompt = prompt_of(row[column(row, PROMPTS, where)], f"{where}, prompt")
    given = row.get("answers")
    if not isinstance(given, list) or not given:
        raise BadInput(f"{where}: answers must be a list of texts, best first")
    if (told := next((name for name in ("ranks", "scores") if row.get(name) is not None), None)) is not None:
        ranks = [_number(one, f"{where}, {told}") for one in row[told]] if isinstance(row[told], list) else []
        if len(ranks) != len(given):
            raise BadInput(f"{where}: {told} must be a list of {len(given)} numbers, one an answer")
        if told == "scores":
            ranks = [-_within(score, f"{where}, scores") for score in ranks]
        tied = [[answer] for answer in given]
    else:
        tied = [one if _is_tie(one) else [one] for one in given]
        ranks = [float(place) for place, group in enumerate(tied) for _ in group]
    answers = tuple(answer_of(answer, f"{where}, answers") for group in tied for answer in group)
    if len(answers) > MOST:
        raise BadInput(f"{where}: ranks {len(answers)} answers; at most {MOST} are compared at once, so split the row")
    return Ranking(prompt, answers, tuple(ranks))


def _is_tie(value: Any) -> bool:
    """Whether it is a list of equal answers, and not one answer as a list of messages."""
    return isinstance(value, list) and bool(value) and not isinstance(value[0], dict)


def _scored(row: Mapping[str, Any], where: str) -> tuple[Example, float]:
    name = column(row, PROMPTS, where)
    given = column(row, ANSWERS, where)
    score = _within(_number(row[column(row, ("score",), where)], f"{where}, score"), f"{where}, score")
    return Example(prompt_of(row[name], f"{where}, {name}"), answer_of(row[given], f"{where}, {given}")), score


def _number(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"{where}: must be a number, got {excerpt(str(value))!r}")
    return number


def _within(score: float, where: str) -> float:
    if not LOWEST <= score <= HIGHEST:
        raise BadInput(f"{where}: must be from {LOWEST:g} to {HIGHEST:g}, got {score:g}")
    return score


def _by_prompt(scored: Iterable[tuple[Example, float]]) -> list[Ranking]:
    """Rankings of all answers that one prompt has, at most `MOST` together; an answer judged twice has its mean."""
    prompts: dict[str, tuple[Prompt, dict[str, list[float]]]] = {}
    for example, score in scored:
        _, answers = prompts.setdefault(_key(example.prompt), (example.prompt, {}))
        answers.setdefault(example.answer, []).append(score)
    found = []
    for prompt, answers in prompts.values():
        means = [(answer, -sum(scores) / len(scores)) for answer, scores in answers.items()]
        parts = -(-len(means) // MOST)  # dealt out by rank, so that each part has good and bad ones
        dealt = sorted(means, key=lambda one: one[1])
        found += [Ranking(prompt, *map(tuple, zip(*dealt[part::parts], strict=True))) for part in range(parts)]
    return found


def _teaching(rankings: Sequence[Ranking], table: Table) -> list[Ranking]:
    """Those with at least one pair that differs, without answers that are there twice."""
    alone = [r for r in rankings if len(r.answers) < FEWEST]
    distinct = [_distinct(ranking) for ranking in rankings if len(ranking.answers) >= FEWEST]
    kept = [ranking for ranking in distinct if ranking.pairs]
    tied = sum(math.comb(len(r.answers), 2) - len(r.pairs) for r in distinct if len(r.answers) >= FEWEST)
    name = table.path.name
    if not kept:
        why = "every prompt has one answer" if len(alone) == len(rankings) else "all answers of a prompt are equal"
        raise BadInput(f"{table.path} prefers nothing: {why}; give prompts two answers or more, of which one is better")
    if alone:
        note(
            f"{len(alone)} of {len(rankings)} prompts in {name} have one answer, which is compared with none: left out"
        )
    if tied:
        note(f"{tied} pairs of answers in {name} are tied; nothing is learned of those")
    if same := sum(len(r.answers) < FEWEST for r in distinct):
        note(f"{same} rows in {name} prefer an answer to itself and are left out")
    return kept


def _distinct(ranking: Ranking) -> Ranking:
    """Each answer once, at its best place."""
    best: dict[str, float] = {}
    for answer, rank in zip(ranking.answers, ranking.ranks, strict=True):
        best[answer] = min(rank, best.get(answer, rank))
    return Ranking(ranking.prompt, tuple(best), tuple(best.values()))


def _say_both_ways(rankings: Sequence[Ranking], path: Path) -> None:
    """Count the pairs that are judged both ways. Raises BadInput where there is nothing else."""
    judged = Counter(
        (_key(r.prompt), r.answers[better], r.answers[other]) for r in rankings for better, other in r.pairs
    )
    torn = [(prompt, a, b) for prompt, a, b in judged if a < b and (prompt, b, a) in judged]
    if torn and 2 * len(torn) == len(judged) and all(judged[p, a, b] == judged[p, b, a] for p, a, b in torn):
        raise BadInput(f"{path} prefers nothing: every pair is judged both ways, equally often; decide some of them")
    if torn:
        note(
            f"{len(torn)} pairs in {path.name} are judged both ways, as {excerpt(torn[0][1])!r} and "
            f"{excerpt(torn[0][2])!r}; both judgements are learned from, and pull against each other"
        )


def _key(prompt: Prompt) -> str:
    return json.dumps(prompt, sort_keys=True)

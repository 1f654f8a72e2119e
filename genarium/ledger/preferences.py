"""Ratings as training data: of two answers to one prompt, the chosen and the rejected one.

The layouts are those that preference training reads (TRL's DPO and reward trainers, through `datasets`): texts as
`{"prompt", "chosen", "rejected"}`, conversations as the same with lists of messages.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from genarium.ledger.ledger import Entry, Ledger
from genarium.messages import conversation

TASKS = ("text", "chat")


def preferences(ledger: Ledger, task: str) -> Iterator[dict[str, Any]]:
    """A row for each pair of artefacts of `task` with one prompt, of which one was rated higher; oldest first.

    What a person said of two side by side counts; else the latest stars or thumb of each, where both have one of the
    same scale and they differ. Of equal texts, and where a pair was judged both ways, the latest word counts.
    """
    entries = {entry.id: entry for entry in reversed(ledger.history(-1, task=task, rated=True))}
    for better, other in _pairs(entries):
        chosen, rejected = _said(entries[better]), _said(entries[other])
        if chosen != rejected:
            yield {"prompt": _prompt(entries[better]), "chosen": chosen, "rejected": rejected}


def _pairs(entries: dict[str, Entry]) -> list[tuple[str, str]]:
    by_prompt = defaultdict(list)
    for entry in entries.values():
        by_prompt[json.dumps(_prompt(entry), sort_keys=True)].append(entry)
    found: dict[frozenset[str], tuple[str, str]] = {}
    for alike in by_prompt.values():
        for one, two in itertools.combinations(alike, 2):
            verdict = _by_scores(one, two)
            if verdict is not None:
                found[frozenset(verdict)] = verdict
        here = {entry.id for entry in alike}
        said = [
            (rating.number, entry.id, rating.other)
            for entry in alike
            for rating in entry.ratings
            if rating.other in here
        ]
        for _, better, other in sorted(said, key=lambda row: row[0]):
            assert other is not None
            found[frozenset((better, other))] = (better, other)
    return list(found.values())


def _by_scores(one: Entry, two: Entry) -> tuple[str, str] | None:
    """The better and the other one, where the latest ratings of one scale differ."""
    for scale in ("stars", "thumb"):
        scores = [[rating.value for rating in entry.ratings if rating.scale == scale] for entry in (one, two)]
        if all(scores) and scores[0][-1] != scores[1][-1]:
            return (one.id, two.id) if scores[0][-1] > scores[1][-1] else (two.id, one.id)
    return None


def _prompt(entry: Entry) -> Any:
    if entry.recipe.task != "chat":
        return entry.facts["prompt"]
    said = entry.recipe.arguments
    return conversation(said.get("system"), said.get("messages") or [], said["message"])


def _said(entry: Entry) -> Any:
    text = entry.facts["text"]
    return [{"role": "assistant", "content": text}] if entry.recipe.task == "chat" else text

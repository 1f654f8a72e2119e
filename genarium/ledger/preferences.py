"""Ratings and edits as training data: of two answers to one prompt the chosen and the rejected one, and good answers.

The layouts are those that training reads elsewhere. Preferences are as TRL's trainers have them: texts as
`{"prompt", "chosen", "rejected"}`, conversations as the same with lists of messages. Examples are conversations as
`{"messages"}`, OpenAI's for fine-tuning, and texts as TRL's `{"prompt", "completion"}`.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from genarium.ledger.entry import Entry
from genarium.ledger.ledger import EDITED, Ledger
from genarium.messages import conversation

TASKS = EDITED
GOOD_STARS = 4
"""From so many stars on an answer is an example of how to answer."""


def preferences(ledger: Ledger, task: str) -> Iterator[dict[str, Any]]:
    """A row for each pair of artefacts of `task` with one prompt, of which one was rated higher; oldest first.

    What a person said of two side by side counts; else the latest stars or thumb of each, where both have one of the
    same scale and they differ. Of equal texts, and where a pair was judged both ways, the latest word counts. Then
    a row for each edited artefact: what was made of it, and what it was.
    """
    entries = _rated(ledger, task)
    for better, other in _pairs(entries):
        chosen, rejected = _said(entries[better]), _said(entries[other])
        if chosen != rejected:
            yield {"prompt": _prompt(entries[better]), "chosen": chosen, "rejected": rejected}
    for entry in entries.values():
        if entry.edits:
            yield {"prompt": _prompt(entry), "chosen": _as_said(entry, entry.text), "rejected": _said(entry)}


def examples(ledger: Ledger, task: str) -> Iterator[dict[str, Any]]:
    """A row for each artefact of `task` that shows how to answer, oldest first: as it was edited, else one whose latest
    rating is a thumb up or four stars and more.
    """
    for entry in _rated(ledger, task).values():
        if not entry.edits and not _is_good(entry):
            continue
        prompt, said = _prompt(entry), _as_said(entry, entry.text)
        yield {"messages": prompt + said} if task == "chat" else {"prompt": prompt, "completion": said}


def _rated(ledger: Ledger, task: str) -> dict[str, Entry]:
    return {entry.id: entry for entry in reversed(ledger.history(-1, task=task, rated=True))}


def _is_good(entry: Entry) -> bool:
    alone = [rating for rating in entry.ratings if rating.other is None]
    if not alone:
        return False
    latest = alone[-1]
    return latest.value >= GOOD_STARS if latest.scale == "stars" else latest.value == 1


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
        said = [(rating, entry.id) for entry in alike for rating in entry.ratings if rating.other in here]
        for rating, better in sorted(said, key=lambda row: row[0].number):
            assert rating.other is not None
            pair = (better, rating.other)
            if rating.scale == "better":
                found[frozenset(pair)] = pair
            else:
                found.pop(frozenset(pair), None)
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
    return _as_said(entry, entry.facts["text"])


def _as_said(entry: Entry, text: str) -> Any:
    return [{"role": "assistant", "content": text}] if entry.recipe.task == "chat" else text

"""The loop end to end: people with a taste rate over HTTP, one round of DPO learns it, and blind they find the new one
better; then it is promoted, and used."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from genarium.checkpoints.store import versions
from genarium.cli.main import genarium as command
from genarium.ledger import Ledger
from genarium.ledger.preferences import preferences
from tests.server.conftest import Running, Serve

RATERS, ERRS = 40, 0.1
"""People, and how often one says the opposite of what they like."""
PROMPTS = ("The fox", "The moon", "Over the hill", "And then", "Der Fuchs", "She sang")


class Rater:
    """Likes texts with many of the letter e, and errs at times."""

    def __init__(self, number: int, server: Running):
        self.dice, self.http = random.Random(number), server.http

    def likes(self, text: str) -> int:
        return text.count("e")

    def rates(self) -> None:
        """Ask for twelve texts, and say of six twos which is better."""
        seed = self.dice.randrange(2**31)
        asked = {"prompt": self.dice.choice(PROMPTS), "model": "tiny", "n": 12, "max_new_tokens": 16, "seed": seed}
        made = self.http.post("/v1/tasks/text", json=asked).json()["artefacts"]
        liked = sorted(made, key=lambda one: self.likes(one["text"]), reverse=True)
        for better, worse in zip(liked[:6], liked[6:], strict=True):
            if self.likes(better["text"]) == self.likes(worse["text"]):
                continue
            said = (worse, better) if self.dice.random() < ERRS else (better, worse)
            chosen, rejected = (one["id"] for one in said)
            assert self.http.post("/v1/feedback", json={"chosen": chosen, "rejected": rejected}).status_code == 200

    def judges(self, *models: str) -> None:
        """Compare two models, blind."""
        said = {"prompt": self.dice.choice(PROMPTS), "max_new_tokens": 16, "seed": self.dice.randrange(2**31)}
        asked = {"task": "text", "models": list(models), "arguments": said}
        shown = self.http.post("/v1/comparisons", json=asked).json()
        left, right = (self.likes(shown[side]["text"]) for side in ("left", "right"))
        verdict = "equal" if left == right else "left" if (left > right) == (self.dice.random() >= ERRS) else "right"
        assert self.http.post(f"/v1/comparisons/{shown['id']}/verdict", json={"verdict": verdict}).status_code == 200


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(command, list(map(str, words)), standalone_mode=False)


def told(*words: str | Path) -> Any:
    result = run(*words, "--json")
    assert result.exception is None, (result.exception, result.stderr)
    return json.loads(result.stdout)


def test_the_loop_closes(serve: Serve, tiny: Path, tmp_path: Path, home: Path) -> None:
    server = serve()
    raters = [Rater(number, server) for number in range(RATERS)]
    for rater in raters:
        rater.rates()
    with Ledger() as ledger:
        pairs = list(preferences(ledger, "text"))
    assert len(pairs) > 150

    how = ("--model", tiny, "--full", "--learning-rate", "3e-3", "--epochs", "3", "--validation", "0")
    made = told("align", "dpo", "--from-ledger", *how, "--out", tmp_path / "more-e")
    [version] = versions.listed()
    assert made["version"] == version.name == "more-e"
    assert version.parents == [{"reference": str(tiny), "digest": version.parents[0]["digest"]}]
    [snapshot] = (home / "learned").iterdir()
    assert [json.loads(line) for line in snapshot.read_text().splitlines()] == pairs
    assert (version.learned_from["kind"], version.learned_from["count"]) == ("pairs", len(pairs))
    assert version.learned_from["name"] == snapshot.name

    for rater in raters:
        rater.judges("tiny", "more-e")
    [total] = server.http.get("/v1/comparisons").json()["data"]
    assert (total["model"], total["other"], total["count"]) == ("more-e", "tiny", RATERS)
    assert total["win_rate"] > total["low"] > 0.5, total

    assert told("models", "promote", version.reference)["task"] == "text"
    asked = {"prompt": "The fox", "max_new_tokens": 4}
    assert server.http.post("/v1/tasks/text", json=asked).json()["model"] == version.reference

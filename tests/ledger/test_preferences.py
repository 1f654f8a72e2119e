"""Ratings, whoever gave them, become pairs that preference training reads; ledgers of the first version go on."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from genarium.artefacts import Reply, Text
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.ledger.database import SCHEMA
from genarium.ledger.preferences import preferences
from genarium.recipe import Recipe
from tests.conftest import Command

RATINGS_1 = """
CREATE TABLE ratings (
    number   INTEGER PRIMARY KEY,
    artefact TEXT NOT NULL REFERENCES artefacts (id),
    scale    TEXT NOT NULL CHECK (scale IN ('thumb', 'stars')),
    value    INTEGER NOT NULL CHECK (CASE scale WHEN 'thumb' THEN value IN (-1, 1) ELSE value BETWEEN 1 AND 5 END),
    note     TEXT NOT NULL,
    created  TEXT NOT NULL
);
CREATE INDEX ratings_by_artefact ON ratings (artefact);
"""


def text(ledger: Ledger, prompt: str, said: str) -> str:
    made = Text(prompt=prompt, text=said, finish_reason="stop", prompt_tokens=1, completion_tokens=1)
    return ledger.keep(made, Recipe.of("text", {"prompt": prompt, "said": said}, None, 0)).id


def reply(ledger: Ledger, message: str, said: str, system: str | None = None) -> str:
    made = Reply(prompt=message, text=said, finish_reason="stop", prompt_tokens=1, completion_tokens=1)
    arguments = {"message": message, "system": system, "messages": None, "said": said}
    return ledger.keep(made, Recipe.of("chat", arguments, None, 0)).id


def test_stars_thumbs_and_comparisons_make_pairs_within_one_prompt() -> None:
    with Ledger() as ledger:
        good, bad, plain = (text(ledger, "Once", said) for said in (" upon", " twice", " more"))
        other = text(ledger, "Never", " mind")
        ledger.rate(good, "5")
        ledger.rate(bad, "2")
        ledger.rate(other, "1")
        ledger.prefer(plain, good)
        found = {(row["chosen"], row["rejected"]) for row in preferences(ledger, "text")}
        assert found == {(" upon", " twice"), (" more", " upon")}
        ledger.rate(bad, "5")  # the latest word counts: they are equal now
        ledger.prefer(good, plain)
        assert {(row["chosen"], row["rejected"]) for row in preferences(ledger, "text")} == {(" upon", " more")}


def test_conversations_are_lists_of_messages_and_a_system_message_is_part_of_the_prompt() -> None:
    with Ledger() as ledger:
        up, down = reply(ledger, "Hi", "Hello!"), reply(ledger, "Hi", "What?")
        reply_of_another = reply(ledger, "Hi", "Ahoy", system="You are a pirate")
        ledger.rate(up, "up")
        ledger.rate(down, "down")
        ledger.rate(reply_of_another, "down")
        assert list(preferences(ledger, "chat")) == [
            {
                "prompt": [{"role": "user", "content": "Hi"}],
                "chosen": [{"role": "assistant", "content": "Hello!"}],
                "rejected": [{"role": "assistant", "content": "What?"}],
            }
        ]
        assert list(preferences(ledger, "text")) == []


def test_what_can_t_be_compared_is_refused() -> None:
    with Ledger() as ledger:
        one, two = text(ledger, "Once", " upon"), reply(ledger, "Hi", "Hello!")
        with pytest.raises(BadInput, match="itself"):
            ledger.prefer(one, one)
        with pytest.raises(BadInput, match="two of one task"):
            ledger.prefer(one, two)


def test_a_ledger_of_the_first_version_keeps_its_ratings(home: Path) -> None:
    home.mkdir()
    old = sqlite3.connect(home / "ledger.sqlite")
    old.executescript(SCHEMA + RATINGS_1 + "PRAGMA user_version = 1;")
    recipe = Recipe.of("text", {"prompt": "Once"}, None, 0)
    facts = json.dumps({"prompt": "Once", "text": " upon"})
    old.execute("INSERT INTO recipes VALUES (?, ?)", (recipe.digest, recipe.canonical().decode()))
    row = ("aaaaaaaaaa", recipe.digest, 0, "text", "text.txt", "00", "Once", facts, "{}", "[]", "2026-01-01")
    old.execute("INSERT INTO artefacts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    old.execute("INSERT INTO ratings VALUES (NULL, 'aaaaaaaaaa', 'stars', 4, 'fine', '2026-01-02')")
    old.commit()
    old.close()
    for _ in range(2):  # once to bring it up to date, once as it then is
        with Ledger() as ledger:
            [rating] = ledger.find("aaaaaaaaaa").ratings
            assert (rating.scale, rating.value, rating.note, rating.other) == ("stars", 4, "fine", None)
    with Ledger() as ledger:
        ledger.prefer(text(ledger, "Once", " more"), "aaaaaaaaaa")


def test_the_commands_rate_and_export(genarium: Command, tmp_path: Path) -> None:
    with Ledger() as ledger:
        good, bad = text(ledger, "Once", " upon"), text(ledger, "Once", " twice")
    refused = genarium("history", "export", "--preferences")
    assert refused.returncode == 2
    assert "--than" in refused.stderr
    assert genarium("rate", good, "better", "--than", bad).returncode == 0
    assert genarium("history", "export", "--preferences", "-o", tmp_path / "pairs.jsonl").returncode == 0
    [line] = (tmp_path / "pairs.jsonl").read_text().splitlines()
    assert json.loads(line) == {"prompt": "Once", "chosen": " upon", "rejected": " twice"}

"""Ratings, whoever gave them, become pairs that preference training reads; ledgers of the first version go on."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from genarium.artefacts import Reply, Summary, Text
from genarium.errors import BadInput
from genarium.ledger import Ledger, comparisons
from genarium.ledger.database import SCHEMA
from genarium.ledger.preferences import examples, preferences
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
RATINGS_2 = """
CREATE TABLE ratings (
    number   INTEGER PRIMARY KEY,
    artefact TEXT NOT NULL REFERENCES artefacts (id),
    scale    TEXT NOT NULL CHECK (scale IN ('thumb', 'stars', 'better')),
    value    INTEGER NOT NULL CHECK (
        CASE scale WHEN 'thumb' THEN value IN (-1, 1) WHEN 'stars' THEN value BETWEEN 1 AND 5 ELSE value = 1 END
    ),
    other    TEXT REFERENCES artefacts (id) CHECK ((scale = 'better') = (other IS NOT NULL) AND other IS NOT artefact),
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


def test_an_edit_is_an_example_and_is_preferred_to_what_was_made_which_stays() -> None:
    with Ledger() as ledger:
        made = reply(ledger, "Hi", "Hello.", system="Be brief")
        liked, disliked = reply(ledger, "Bye", "Goodbye!"), reply(ledger, "Bye", "What?")
        ledger.rate(liked, "4")
        ledger.rate(disliked, "up")
        ledger.rate(disliked, "2")  # the latest word counts
        ledger.edit(made, "Hey")
        ledger.edit(made, " Hello, you. ", "kinder")
        entry = ledger.find(made)
        assert entry.facts["text"] == "Hello." == entry.path.read_text(), "what was made is never changed"
        assert entry.state == "whole"
        assert [(edit.text, edit.note) for edit in entry.edits] == [("Hey", ""), ("Hello, you.", "kinder")]
        assert json.loads(json.dumps(entry.as_dict()))["edits"][1]["text"] == "Hello, you."
        before = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}]
        answered = {"role": "assistant", "content": "Hello, you."}
        assert list(preferences(ledger, "chat"))[1:] == [
            {"prompt": before, "chosen": [answered], "rejected": [{"role": "assistant", "content": "Hello."}]}
        ]
        assert list(examples(ledger, "chat")) == [
            {"messages": [*before, answered]},
            {"messages": [{"role": "user", "content": "Bye"}, {"role": "assistant", "content": "Goodbye!"}]},
        ]
        assert [found.id for found in ledger.history(rated=True)] == [disliked, liked, made]
        ledger.delete(made)
        assert next(examples(ledger, "chat"))["messages"][0]["content"] == "Bye"


def test_an_edit_that_is_none_is_refused() -> None:
    with Ledger() as ledger:
        one, two = text(ledger, "Once", " upon"), reply(ledger, "Hi", "Hello")
        with pytest.raises(BadInput, match="says already"):
            ledger.edit(one, " upon")
        with pytest.raises(BadInput, match="says already"):
            ledger.edit(two, "Hello\n")
        with pytest.raises(BadInput, match="needs some text"):
            ledger.edit(one, " \n")
        short = Summary(
            prompt="Long.",
            text="Short.",
            method="extractive",
            finish_reason="stop",
            prompt_tokens=1,
            completion_tokens=1,
        )
        made = ledger.keep(short, Recipe.of("summarize", {"text": "Long."}, None, 0))
        with pytest.raises(BadInput, match="of summarize; only what text and chat wrote"):
            ledger.edit(made.id, "Shorter.")
        assert ledger.edit(one, "upon").text == "upon"


def test_a_blind_comparison_is_judged_once_and_its_verdict_is_a_rating() -> None:
    with Ledger() as ledger:
        one, two = text(ledger, "Once", " upon"), text(ledger, "Once", " twice")
        shown = comparisons.begin(ledger, two, one)
        assert comparisons.begin(ledger, one, two) == shown, "two artefacts are shown once, on their sides"
        assert [side.id for side in shown.sides] == [two, one]
        assert comparisons.judged(ledger) == []
        with pytest.raises(BadInput, match="left, right or equal"):
            comparisons.judge(ledger, shown.id, "up")
        assert comparisons.judge(ledger, shown.id, "right", "plain").verdict == "right"
        with pytest.raises(BadInput, match="judged already"):
            comparisons.judge(ledger, shown.id, "left")
        assert [(str(rating), rating.note) for rating in ledger.find(one).ratings] == [(f"better than {two}", "plain")]
        assert [row["chosen"] for row in preferences(ledger, "text")] == [" upon"]
        other = text(ledger, "Once", " more")
        ledger.prefer(other, one)
        equal = comparisons.judge(ledger, comparisons.begin(ledger, one, other).id, "equal")
        assert str(ledger.find(one).ratings[-1]) == f"as good as {other}"
        assert [row["chosen"] for row in preferences(ledger, "text")] == [" upon"], "the later word: neither is better"
        assert [found.id for found in comparisons.judged(ledger)] == [shown.id, equal.id]
        ledger.delete(one)
        assert comparisons.judged(ledger) == []
        with pytest.raises(BadInput, match="no comparison"):
            comparisons.find(ledger, shown.id)
        with pytest.raises(BadInput, match="itself"):
            comparisons.begin(ledger, two, two)
        with pytest.raises(BadInput, match="two of one task"):
            comparisons.begin(ledger, two, reply(ledger, "Hi", "Hello"))


def test_a_ledger_of_the_second_version_keeps_its_ratings(home: Path) -> None:
    with Ledger() as ledger:
        one, two = text(ledger, "Once", " upon"), text(ledger, "Once", " twice")
    old = sqlite3.connect(home / "ledger.sqlite")
    old.executescript(
        "DROP TABLE comparisons; DROP TABLE edits; DROP TABLE ratings;" + RATINGS_2 + "PRAGMA user_version = 2;"
    )
    old.execute("INSERT INTO ratings VALUES (7, ?, 'better', 1, ?, 'so', '2026-01-02')", (two, one))
    old.commit()
    old.close()
    with Ledger() as ledger:
        [rating] = ledger.find(two).ratings
        assert (rating.number, str(rating), rating.note) == (7, f"better than {one}", "so")
        ledger.edit(one, " again")
        comparisons.judge(ledger, comparisons.begin(ledger, one, two).id, "equal")


def test_the_commands_edit_and_export_examples(genarium: Command, tmp_path: Path) -> None:
    with Ledger() as ledger:
        made = text(ledger, "Once", " upon")
    refused = genarium("history", "export", "--examples")
    assert refused.returncode == 2
    assert "genarium edit" in refused.stderr
    refused = genarium("history", "export", "--examples", "--preferences")
    assert refused.returncode == 2
    refused = genarium("edit", made)
    assert refused.returncode == 2
    assert "how should it have been?" in refused.stderr
    assert genarium("edit", made, " a time", "--note", "shorter").stdout == f"{made} edited (shorter)\n"
    edited = json.loads(genarium("edit", "last", "-", "--json", stdin=" at last\n").stdout)
    assert (edited["id"], edited["text"], edited["number"]) == (made, " at last", 2)
    assert "edit:" in genarium("show", made).stdout
    exported = genarium("history", "export", "--examples").stdout
    assert json.loads(exported) == {"prompt": "Once", "completion": " at last"}
    exported = genarium("history", "export", "--preferences").stdout
    assert json.loads(exported) == {"prompt": "Once", "chosen": " at last", "rejected": " upon"}


def test_of_two_that_say_the_same_neither_is_better() -> None:
    with Ledger() as ledger:
        shown = comparisons.begin(ledger, text(ledger, "Once", " upon"), text(ledger, "Once", " upon"))
        with pytest.raises(BadInput, match="both say the same"):
            comparisons.judge(ledger, shown.id, "left")
        assert comparisons.judge(ledger, shown.id, "equal").verdict == "equal"

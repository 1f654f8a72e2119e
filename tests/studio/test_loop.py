"""The loop in a browser: a reply is edited in place, two models are compared blind, the line of versions is shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from genarium.checkpoints.store import promoted, versions
from genarium.checkpoints.store.find import find
from genarium.ledger import Ledger
from genarium.ledger.comparisons import judged
from genarium.ledger.preferences import examples, preferences
from tests.studio.test_studio import HARMFUL, Look, ask_for, entries, tab_to, until


def test_a_reply_is_edited_in_place_and_the_conversation_continues_with_it(look: Look, studio_home: Path) -> None:
    page = look("#/chat")
    page.locator(".settings > summary").click()
    page.locator("[name=model]").select_option('"tiny"')
    page.locator(".settings .more summary").click()
    page.locator("[name=template]").select_option('"plain"')
    page.locator("[name=max_new_tokens]").fill("5")
    page.get_by_label("Message").fill("Good morning, fox")
    page.keyboard.press("Enter")
    page.wait_for_selector(".version .actions")
    made = entries(studio_home, task="chat")[0]
    tab_to(page, "Edit")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.value") == made.facts["text"], "its own words are there to be changed"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "Edit"
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".editing .wrong:has-text('says already')")
    page.keyboard.press("Control+A")
    page.keyboard.type(HARMFUL)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".written > .prose")
    assert page.locator(".written > .prose").inner_text() == HARMFUL
    assert page.locator(".written details .prose").text_content() == made.facts["text"], (
        "what was made can be looked at"
    )
    page.get_by_label("Message").fill("And then?")
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('.version .actions').length === 2")
    after, before = entries(studio_home, task="chat")[:2]
    assert after.recipe.arguments["messages"][-1] == {"role": "assistant", "content": HARMFUL}
    assert before.facts["text"] == made.facts["text"] == before.path.read_text()
    with Ledger(studio_home) as ledger:
        example = list(examples(ledger, "chat"))[-1]
        pair = list(preferences(ledger, "chat"))[-1]
    assert example["messages"][-1]["content"] == HARMFUL == pair["chosen"][0]["content"]
    assert pair["rejected"][0]["content"] == made.facts["text"]
    page.wait_for_selector(f".earlier a[href='#/chat/{after.id}']", state="attached")
    links = [link.get_attribute("href") for link in page.locator(".earlier a").all()]
    assert f"#/chat/{before.id}" not in links, "the conversation that went on from the edit is one"


def test_a_text_is_edited_where_it_was_made_and_later(look: Look, studio_home: Path) -> None:
    page = look()
    card = ask_for(page, "text", "An edited fox", max_new_tokens=3)
    card.get_by_role("button", name="Edit").click()
    card.get_by_label("How it should have been").fill(" sleeps")
    card.get_by_role("button", name="Keep the edit").click()
    page.wait_for_selector(".run .written details")
    [edit] = entries(studio_home, task="text")[0].edits
    assert edit.text == " sleeps"
    card.get_by_role("link", name="Recipe").click()
    page.wait_for_selector(".detail .written")
    assert page.locator(".written > .prose").inner_text() == "An edited fox sleeps"


@pytest.fixture
def version(studio_home: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> versions.Version:
    """As `align` leaves one, promoted."""
    monkeypatch.setenv("GENARIUM_HOME", str(studio_home))
    folder = shutil.copytree(tiny, tmp_path / "calmer-fox")
    told = find(str(tiny), default="text")
    training = {
        "method": "dpo",
        "parents": [{"reference": told.reference, "digest": told.digest}],
        "learned_from": {"kind": "pairs", "count": 12, "sha256": "a" * 64, "name": "ledger-text-pairs-0123.jsonl"},
        "rewards": [{"reference": "starter/sentiment", "digest": "b" * 64, "label": "positive"}],
    }
    (folder / "training.json").write_text(json.dumps(training))
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    made = versions.register(folder)
    promoted.promote("text", find(made.reference, default="text"))
    return made


def test_two_models_are_compared_blind_and_the_line_is_shown(
    look: Look, studio_home: Path, version: versions.Version
) -> None:
    page = look("#/models")
    page.wait_for_selector(".line")
    assert "calmer-fox" in page.locator(".models section", has_text="In use").inner_text()
    line = page.locator(".line li").first.inner_text()
    for told in ("dpo", "calmer-fox", "text uses it", "tiny", "12 pairs of text", "starter/sentiment (positive)"):
        assert told in line
    assert str(version.reference) not in page.content()
    page.get_by_role("link", name="Compare two, blind").click()
    page.get_by_label("They").select_option("text")
    until(page, "[...document.querySelectorAll('.blind select')].some(one => one.textContent.includes('calmer-fox'))")
    page.get_by_label("One model").select_option("calmer-fox")
    page.get_by_label("The other").select_option("starter/text")
    page.get_by_label("Longest answer").fill("5")
    page.get_by_label("What both are given").fill("The blind fox")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".blind .sides")
    shown = page.locator(".blind .compare").inner_text()
    assert not any(name in shown for name in ("calmer", "starter", "seed"))
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".whose strong")
    with Ledger(studio_home) as ledger:
        comparison = judged(ledger)[-1]
    assert comparison.verdict == "right"
    names = [name.strip() for name in page.locator(".whose strong").all_inner_texts()]
    references = {version.reference: "calmer-fox", "starter/text": "starter/text"}
    assert names == [references[side.recipe.model.reference] for side in comparison.sides if side.recipe.model]
    assert page.locator(".side.chosen strong").inner_text() == names[1]
    assert f"{names[1]} was better than {names[0]} in 100 % of 1" in page.locator(".verdict").inner_text()
    page.get_by_role("link", name="All comparisons").click()
    row = page.locator(".models table tr", has_text="100 %").first.inner_text()
    assert all(name in row for name in names)
    promoted.demote("text")

"""The studio in a real browser, through the real server: what a person can do there, and what nobody can."""

from __future__ import annotations

import io
import json
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from genarium.artefacts import Artefact
from genarium.ledger import Entry, Ledger
from genarium.recipe import Recipe
from tests.studio.conftest import HOSTILE, KEY

Look = Callable[..., Any]
HARMFUL = '<img src="x" onerror="window.hacked = 1"><script>window.hacked = 2</script>'


def entries(home: Path, **of: Any) -> list[Entry]:
    with Ledger(home) as ledger:
        return ledger.history(50, **of)


def until(page: Any, true: str) -> None:
    """Wait for an expression to hold. Playwright's own way is an eval inside the page, which its policy forbids."""
    ends = time.monotonic() + 600
    while not page.evaluate(true):
        assert time.monotonic() < ends, true
        page.wait_for_timeout(30)


def ask_for(page: Any, task: str, prompt: str, **options: Any) -> Any:
    """Fill in a task's form and send it; the card of its run, once it is finished."""
    page.locator(".tasks label", has_text=task).first.click()
    page.locator(".composer .prompt textarea").fill(prompt)
    if page.locator(".composer details").count():
        page.locator(".composer details").evaluate("details => { details.open = true }")
    for name, value in options.items():
        box = page.locator(f".composer [name={name}]")
        if name == "index":
            page.locator(".composer [name=index] label").first.wait_for()
            for label in page.locator(".composer [name=index] label").all():
                label.locator("input").set_checked(label.inner_text().split()[0] in value)
        elif name == "model":
            page.locator(f".composer [name={name}] option", has_text=value).first.wait_for(state="attached")
            box.select_option(json.dumps(value))
        else:
            box.fill(str(value))
    before = page.locator(".run").count()
    page.get_by_role("button", name="Make", exact=True).click()
    page.locator(".run").nth(before).wait_for(state="attached")
    card = page.locator(".run").first
    card.locator("[data-artefact] .actions").first.wait_for()
    until(page, "document.querySelector('.run').getAttribute('aria-busy') === 'false'")
    return card


def test_a_whole_round_with_the_keyboard_alone(look: Look, studio_home: Path) -> None:
    page = look()
    page.evaluate(
        """() => { window.lengths = new Set(); new MutationObserver(() => {
            const text = document.querySelector('.prose.forming')?.textContent; if (text) lengths.add(text.length);
        }).observe(document.body, {subtree: true, childList: true, characterData: true}) }"""
    )
    prompt = "The lamp of the harbour"
    page.keyboard.type(prompt)  # the box has the focus when the page is there
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".run .actions")
    assert len(page.evaluate("[...lengths]")) > 3, "text streams, piece by piece"
    made = entries(studio_home, task="text")[0]
    assert made.facts["prompt"] == prompt
    card = page.locator(".run").first
    assert made.facts["text"].strip() in card.inner_text()
    page.wait_for_selector(".run > .facts:has-text('starter/text')")
    assert f"seed {made.recipe.seed}" in card.inner_text(), "which model answered, and with which seed"
    assert " s ·" in card.locator("> .facts").inner_text(), "and how long it took"

    tab_to(page, "Good")
    page.keyboard.press("Space")
    page.wait_for_selector("#said:has-text('Rated good')")
    tab_to(page, "1 star")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#said:has-text('3 of 5')")
    ratings = {(one.scale, one.value) for one in entries(studio_home, task="text")[0].ratings}
    assert {("thumb", 1), ("stars", 3)} <= ratings

    tab_to(page, "Recipe")
    page.keyboard.press("Enter")
    page.wait_for_selector(".detail")
    assert page.evaluate("document.activeElement.tagName") == "H1", "the focus follows the view"
    tab_to(page, "Change it and make that")
    page.keyboard.press("Enter")
    page.wait_for_selector(".composer .from")
    assert page.locator(".composer .prompt textarea").input_value() == prompt
    page.keyboard.press("/")
    page.keyboard.press("Control+Enter")  # nothing was changed: the same recipe, so the same text
    until(page, "document.querySelectorAll('.run .actions').length === 2")
    newest = entries(studio_home, task="text")
    assert newest[0].sha256 == newest[1].sha256
    assert newest[0].id != newest[1].id


def test_of_two_quick_ratings_the_ledger_s_latest_is_the_last(look: Look, studio_home: Path) -> None:
    page = look()
    ask_for(page, "text", "A quick hand", max_new_tokens=3)
    held: list[Any] = []

    def slow(route: Any) -> None:
        """The first is on its way longer than the second would be."""
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/v1/feedback", slow)
    page.locator(".run [title='2 stars']").first.click()
    page.locator(".run [title='4 stars']").first.click()
    page.wait_for_timeout(500)
    held[0].continue_()
    page.wait_for_selector("#said:has-text('4 of 5')")
    stars = [one.value for one in entries(studio_home, task="text")[0].ratings if one.scale == "stars"]
    assert stars == [2, 4]


def tab_to(page: Any, name: str) -> None:
    """Press Tab until the element of this accessible name has the focus."""
    told = """() => { const one = document.activeElement;
        return (one.getAttribute('aria-label') ?? one.labels?.[0]?.textContent ?? one.textContent).trim() }"""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(told).startswith(name):
            return
    raise AssertionError(f"Tab does not reach {name}")


def test_images_form_and_the_better_of_two_is_picked(look: Look, studio_home: Path) -> None:
    page = look()
    page.evaluate(
        """() => { window.formed = 0; new MutationObserver(() => {
            if (document.querySelector('img.forming')?.src.startsWith('data:image/png')) formed += 1;
        }).observe(document.body, {subtree: true, childList: true, attributes: true}) }"""
    )
    card = ask_for(page, "image", "a red balloon", model="scenes", n=2, steps=6)
    assert page.evaluate("formed") > 2, "they are seen on their way"
    assert card.locator("img.picture").count() == 2
    card.locator("img.picture").nth(1).scroll_into_view_if_needed()
    until(page, "[...document.querySelectorAll('img.picture')].every(one => one.naturalWidth === 32)")
    ids = [one.get_attribute("data-artefact") for one in card.locator("[data-artefact]").all()]

    card.get_by_role("button", name="Compare").nth(0).click()
    card.get_by_role("button", name="Compare").nth(1).click()
    page.wait_for_selector(".side >> nth=1")
    assert page.locator(".recipe tbody th").all_inner_texts() == ["seed"], "what differs"
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".side.chosen")
    better = next(entry for entry in entries(studio_home, task="image") if entry.id == ids[1])
    assert [(one.scale, one.other) for one in better.ratings] == [("better", ids[0])]

    page.get_by_role("button", name="Vary the better one").click()
    page.wait_for_url(f"**/#/compare/{ids[1]}/*")
    assert entries(studio_home, task="image")[0].recipe.seed != better.recipe.seed


def test_an_answer_cites_and_its_passage_opens_as_text(look: Look) -> None:
    page = look()
    card = ask_for(page, "ask", "Who built the lighthouse?")
    assert "Ada Merrow" in card.inner_text()
    card.locator(".cite").first.click()
    page.wait_for_selector("dialog mark")
    assert page.locator("dialog mark").inner_text().startswith("The lighthouse of Seahaven was built in 1874")
    assert HOSTILE in page.locator("dialog").inner_text(), "a document's script is letters"
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert "cite" in (page.evaluate("document.activeElement.className") or ""), "the focus goes back"


def test_a_question_to_several_indexes_cites_each(look: Look, studio_home: Path) -> None:
    page = look()
    card = ask_for(page, "ask", "Who built the lighthouse?", index=["town", "village"])
    assert "town: harbour.md" in card.inner_text()
    card.locator(".cite").first.click()
    page.wait_for_selector("dialog mark")
    page.keyboard.press("Escape")
    made = entries(studio_home, task="ask")[0]
    assert [one["name"] for one in made.recipe.arguments["index"]] == ["town", "village"]
    page.goto(f"{page.url.partition('#')[0]}#/make/{made.id}")
    page.locator(".composer [name=index] input").nth(1).wait_for()
    assert page.locator(".composer [name=index] input:checked").count() == 2


def test_tables_and_marked_answers(look: Look) -> None:
    page = look()
    card = ask_for(page, "classify", "what a fine film\ndreadful", model="starter/sentiment")
    assert card.locator("tbody tr").count() == 2
    assert "positive" in card.locator("tbody tr").first.inner_text()
    context = "The lighthouse 🏠 was built in 1874 by Ada Merrow."
    card = ask_for(page, "answer", "Who built it?", context=context)
    assert card.locator("mark").inner_text() in ("Ada Merrow", "by Ada Merrow"), "places count letters, not UTF-16"


def test_what_people_write_is_never_run(look: Look, studio_home: Path) -> None:
    page = look()
    card = ask_for(page, "text", HARMFUL, model="tiny", max_new_tokens=4)
    assert HARMFUL in card.inner_text()
    made = entries(studio_home, task="text")[0]
    for view in (f"artefact/{made.id}", f"compare/{made.id}/{made.id}", "history", f"make/{made.id}"):
        page.goto(f"{page.url.partition('#')[0]}#/{view}")
        page.wait_for_selector(".detail, .side, .tile, .composer .from")
        assert page.locator("main script, main img[src=x]").count() == 0
    # And if something did become a part of the page, the page's own policy would not run it.
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.hacked = 3'}))")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=y onerror=\"window.hacked = 4\">')")
    page.wait_for_timeout(100)


def test_history_is_searched_and_varied(look: Look, studio_home: Path) -> None:
    page = look()
    ask_for(page, "text", "Zanzibar was", model="tiny", max_new_tokens=4)
    ask_for(page, "text", "Reykjavik was", model="tiny", max_new_tokens=4)
    page.get_by_role("link", name="History").click()
    page.get_by_label("Search").fill("zanziBAR")
    until(page, "document.querySelectorAll('.tile').length === 1")
    page.locator(".tile a").click()
    page.get_by_role("button", name="Vary").click()
    until(page, "document.querySelectorAll('.run .actions').length === 3")
    newest, older = entries(studio_home, search="Zanzibar")
    assert newest.recipe.seed != older.recipe.seed
    assert newest.recipe.arguments == older.recipe.arguments


def test_a_conversation_goes_on_and_is_found_again(look: Look, studio_home: Path) -> None:
    page = look("#/chat")
    page.locator(".settings > summary").click()
    page.locator("[name=model]").select_option('"tiny"')
    page.locator(".settings .more summary").click()
    page.locator("[name=template]").select_option('"plain"')
    page.locator("[name=max_new_tokens]").fill("5")
    for count, message in enumerate(("Hello fox", f"And {HARMFUL[:20]}"), 1):
        page.get_by_label("Message").fill(message)
        page.keyboard.press("Enter")
        page.locator(".version .rating").nth(count - 1).wait_for()
    last = entries(studio_home, task="chat")[0]
    assert last.recipe.arguments["messages"][0]["content"] == "Hello fox"
    page.get_by_role("button", name="Another reply").last.click()
    page.locator(".better").nth(1).click()
    page.wait_for_selector(".version.chosen")
    chosen = entries(studio_home, task="chat")[0]
    assert [(one.scale, one.other) for one in chosen.ratings] == [("better", last.id)]

    page.reload()
    page.locator(".earlier summary").click()
    page.locator(".earlier a").first.click()
    page.locator(".turn").nth(3).wait_for()
    assert "Hello fox" in page.locator(".turn").first.inner_text()


def test_every_task_has_its_form_with_every_argument_named(look: Look) -> None:
    page = look()
    tasks = page.evaluate("fetch('/v1/tasks').then((answer) => answer.json())")["data"]
    unnamed = """() => [...document.querySelectorAll('main a, main button, main input, main select, main textarea')]
        .filter(one => !one.hidden && !(one.getAttribute('aria-label') || one.labels?.[0]?.textContent
            || one.textContent.trim())).map(one => one.outerHTML)"""
    for task in tasks:
        if task["title"] == "chat":
            continue
        page.locator(".tasks label", has_text=task["title"]).first.click()
        named = page.locator(".composer [name]").evaluate_all("all => all.map(one => one.name)")
        assert sorted(named) == sorted(task["properties"]), task["title"]
        assert page.evaluate(unnamed) == []


def test_wrong_input_is_told_in_a_sentence_beside_its_field(look: Look) -> None:
    page = look()
    page.locator(".tasks label", has_text="text").first.click()
    page.get_by_role("button", name="Make", exact=True).click()
    page.wait_for_selector(".composer .wrong:has-text('prompt')")
    assert page.evaluate("document.activeElement.name") == "prompt"
    page.locator(".composer .prompt textarea").fill("x")
    page.locator(".composer details").evaluate("details => { details.open = true }")
    page.locator("[name=top_p]").fill("7")
    page.locator(".composer details").evaluate("details => { details.open = false }")
    page.get_by_role("button", name="Make", exact=True).click()
    page.wait_for_selector(".composer .wrong:has-text('top_p must be at most 1')")
    assert page.evaluate("document.activeElement.name") == "top_p", "the fold opens"


def test_work_goes_on_without_the_page_and_can_be_stopped(look: Look, studio_home: Path) -> None:
    page = look()
    page.locator(".tasks label", has_text="image").first.click()
    page.locator(".composer .prompt textarea").fill("a slow picture")
    page.locator(".composer details").evaluate("details => { details.open = true }")
    page.locator("[name=model] option", has_text="scenes").wait_for(state="attached")
    page.locator("[name=model]").select_option('"scenes"')
    page.locator("[name=steps]").fill("1000")
    page.get_by_role("button", name="Make", exact=True).click()
    page.wait_for_selector("img.forming")
    page.reload()
    page.wait_for_selector("img.forming")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".run .facts:has-text('Stopped')")
    assert not entries(studio_home, search="a slow picture")


PAIRS = [("ink", "ground"), ("ink", "card"), ("muted", "ground"), ("muted", "card"), ("accent", "card")]
PAIRS += [("accent", "ground"), ("accent", "soft"), ("on-accent", "accent"), ("wrong", "card"), ("ink", "mark")]
PAIRS += [("ink", "soft"), ("wrong", "ground")]
CONTRAST = """(names) => {
    const light = (name) => {
        const probe = document.body.appendChild(document.createElement('i'));
        probe.style.color = `var(--${name})`;
        const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
        probe.remove();
        const [r, g, b] = parts.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [a, b] = names.map(light);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_readable_in_light_and_dark_on_a_phone(look: Look, scheme: str, studio_home: Path) -> None:
    page = look(color_scheme=scheme, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    low = {pair: ratio for pair in PAIRS if (ratio := page.evaluate(CONTRAST, list(pair))) < 4.5}
    assert not low
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    with Ledger(studio_home) as ledger:
        kept = ledger.keep(Sound(), Recipe.of("text", {"prompt": "long" * 100}, None, 1))
    shows = {"make": ".composer", "chat": ".say", "history": ".tile", f"artefact/{kept.id}": ".detail"}
    shows |= {"models": ".models", "blind": ".blind"}
    for view, part in shows.items():
        page.goto(f"{page.url.partition('#')[0]}#/{view}")
        page.wait_for_selector(part)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, view
    button = page.locator("#theme")
    for _ in range(1 if scheme == "dark" else 2):
        button.click()
    other = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert other != ground
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == other, "the switch is remembered"


@dataclass(kw_only=True)
class Sound(Artefact):
    """A second of sound, as a task that speaks will make."""

    kind: ClassVar[str] = "sound"
    suffix: ClassVar[str] = ".wav"
    media_type: ClassVar[str] = "audio/wav"

    def content(self) -> bytes:
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(16000))
        return out.getvalue()

    def facts(self) -> dict[str, Any]:
        return {}

    def title(self) -> str:
        return "a second"

    def as_page(self) -> str:
        return "<!doctype html><title>x</title><p>words</p><script>document.body.append('ran')</script>"


def test_sound_plays_and_an_artefacts_own_page_runs_nothing(look: Look, studio_home: Path) -> None:
    with Ledger(studio_home) as ledger:
        kept = ledger.keep(Sound(), Recipe.of("text", {"prompt": "x"}, None, 1))
    page = look(f"#/artefact/{kept.id}")
    frame = page.frame_locator("iframe.page")
    assert frame.locator("body").inner_text().strip() == "words"
    assert page.locator("iframe.page").get_attribute("sandbox") == ""
    page.goto(f"{page.url.partition('#')[0]}#/history")
    page.wait_for_selector(".tile")


def test_a_key_is_asked_for_once(look: Look) -> None:
    page = look(signed_in=False)
    page.get_by_label("The key").fill("wrong-wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog .wrong:has-text('not one')")
    page.get_by_label("The key").fill(KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector(".composer")
    page.reload()
    page.wait_for_selector(".composer")
    assert page.locator("dialog").count() == 0

"""starter/chat: an unchanged SmolLM2 from its package, which replies, answers from documents and sums up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import genarium
from genarium.checkpoints.store import catalogue
from genarium.engines import registry
from genarium.engines.text.protocol import ChatRequest, Completion
from genarium.messages import Message
from genarium.progress import Event, listening
from genarium.run import prepare
from tests.chat_models import STYLES, make_checkpoint

STARTER = catalogue.starter("chat")
NEEDS_IT = pytest.mark.skipif(
    STARTER.here is None, reason="starter/chat is not here: genarium models pull starter/chat"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if STARTER.here is not None and STARTER.here != STARTER.fetched:
        monkeypatch.setenv("GENARIUM_HOME", str(tmp_path))


@NEEDS_IT
def test_it_is_one_file_and_whole() -> None:
    assert STARTER.path.is_file()
    assert STARTER.damaged() == []
    assert "chat" in STARTER.tasks


@NEEDS_IT
def test_it_replies_and_remembers() -> None:
    [reply] = genarium.chat("What is the capital of France?", temperature=0, max_new_tokens=20, seed=0)
    assert "Paris" in reply.text
    assert reply.messages[-1] == {"role": "assistant", "content": reply.text}
    [second] = genarium.chat(
        "My name is Oskar. What is my name?", messages=reply.messages, temperature=0, max_new_tokens=20, seed=0
    )
    assert "Oskar" in second.text


@NEEDS_IT
def test_its_makers_settings_stand_in_its_recipe(small_chat: str) -> None:
    def settings(model: str, **given: Any) -> tuple[float, float]:
        arguments = prepare("chat", "Hello", model=model, **given).arguments
        return arguments["temperature"], arguments["top_p"]

    assert settings("starter") == settings("starter/chat") == (0.2, 0.9)
    assert settings("starter", temperature=1.5) == (1.5, 0.9)
    assert settings(small_chat) == (0.8, 0.95)


@NEEDS_IT
def test_labels_are_calibrated_unless_it_is_said(small_chat: str) -> None:
    def calibrated(model: str, **given: Any) -> bool:
        arguments = prepare("classify", ["Good"], labels=["a", "b"], model=model, **given).arguments
        return bool(arguments["calibrate"])

    assert calibrated("starter/chat")
    assert not calibrated("starter/chat", calibrate=False)
    assert not calibrated(small_chat)
    assert calibrated(small_chat, calibrate=True)


@NEEDS_IT
def test_it_sums_up_in_its_own_words() -> None:
    text = (
        "The town library will move to a new building in March. The old building has a leaking roof and no lift. The "
        "move costs 2.4 million euros, of which the state pays half."
    )
    [summary] = genarium.summarize(text, model="starter/chat", sentences=1, max_new_tokens=60)
    assert summary.facts()["method"] == "abstractive"
    assert "library" in summary.text


@pytest.fixture
def small_chat(tmp_path: Path) -> str:
    return str(make_checkpoint(tmp_path / "small", STYLES["qwen"], context=64))


class Scripted:
    """An engine that writes what it is told to, one text a reply, whatever it is asked."""

    context = 100
    chats = True

    def __init__(self, *texts: str):
        self.texts = list(texts)
        self.seeds: list[int] = []

    def reply(self, messages: Sequence[Message], request: ChatRequest) -> Iterator[Completion]:
        self.seeds.append(request.seed)
        for row in range(request.n):
            yield Completion(row, self.texts.pop(0), "stop", 1, 1)


def replies(monkeypatch: pytest.MonkeyPatch, engine: Scripted, n: int, **options: Any) -> tuple[list[str], list[str]]:
    said: list[Event] = []
    monkeypatch.setattr(registry, "open_text", lambda *_, **__: engine)
    with listening(said.append):
        made = list(genarium.tasks.chat.chat.function("names for a bakery", model="m", n=n, seed=5, **options))
    return [one.text for one in sorted(made, key=lambda one: one.item)], [e.preview for e in said if e.stage == "note"]


def test_several_replies_are_several_ideas(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Scripted("Crumbs", "The Oven", "crumbs ", "Rise", "The Oven", "Rye & Co")
    texts, notes = replies(monkeypatch, engine, 4)
    assert texts == ["Crumbs", "The Oven", "Rye & Co", "Rise"]  # the third again, twice
    assert len(set(engine.seeds)) == 3
    assert notes == []


def test_a_model_with_one_thing_to_say_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, notes = replies(monkeypatch, Scripted(*["Crumbs"] * 9), 3)
    assert texts == ["Crumbs"] * 3
    assert notes == ["2 of 3 replies say what another does: the model has no more to say to this"]
    texts, notes = replies(monkeypatch, Scripted(*["Crumbs"] * 3), 3, temperature=0)  # which is asked for
    assert (texts, notes) == (["Crumbs"] * 3, [])

"""`align compare`: sides at random, judges that can't tell them, what is refused, a person who stops and continues."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from genarium.artefacts import Text
from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.store.find import Found, find
from genarium.cli.compare import compare as command
from genarium.comparison import answers, judges
from genarium.comparison.answers import Answer, Pair
from genarium.comparison.compare import Outcome, by_model, by_person
from genarium.comparison.tally import tallies
from genarium.data.conversations import Prompt
from genarium.engines.text.protocol import Completion
from genarium.errors import GenariumError
from genarium.ledger import Ledger, comparisons
from genarium.ledger.comparisons import Verdict
from genarium.messages import Message
from genarium.recipe import Model, Recipe
from tests.chat_models import STYLES, make_checkpoint


@pytest.fixture(scope="module")
def other(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `tiny`, with other weights."""
    folder = tmp_path_factory.mktemp("other")
    model = gpt.load(tiny)
    torch.manual_seed(5)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    end = json.loads((tiny / "config.json").read_text())["eos_token_id"]
    gpt.save(model, folder, extra={"bos_token_id": end, "eos_token_id": end})
    (folder / "tokenizer.json").write_text((tiny / "tokenizer.json").read_text())
    return folder


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("judging") / "talks", STYLES["qwen"], context=512)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.txt"
    file.write_text("The fox\nThe moon\nOver the hill\nand sang\n")
    return file


def run(*words: str | Path, stdin: str = "") -> Result:
    few = [] if "--max-new-tokens" in words else ["--max-new-tokens", "6"]
    return CliRunner().invoke(command, [*map(str, words), *few], input=stdin, standalone_mode=False)


def refusal(*words: str | Path) -> str:
    error = run(*words).exception
    assert isinstance(error, GenariumError), error
    return str(error)


def test_a_label_judges_whole_texts_and_both_ways_round(tiny: Path, other: Path, prompts: Path, tmp_path: Path) -> None:
    asked = ("--prompts", prompts, "--judge", "starter/sentiment:Positive", "--json")
    out = tmp_path / "rows.jsonl"
    result = run(tiny, other, *asked, "-o", out)
    assert result.exception is None, result.exception
    told = json.loads(result.stdout)
    assert told["task"] == "text"
    assert [row["prompt"] for row in told["rows"]] == prompts.read_text().splitlines()
    assert {row["left"] for row in told["rows"]} == {"a", "b"}, "sides are drawn"
    assert told["rows"] == [json.loads(line) for line in out.read_text().splitlines()]
    assert told["a"]["words"] > 0
    assert 0 < told["b"]["distinct_2"] <= 1
    assert told["count"] == 4 == told["wins"] + told["ties"] + told["losses"]
    from genarium.engines import registry

    classifier = registry.open_classifier("starter/sentiment", labels=None)
    place = classifier.labels.index("positive")
    for row in told["rows"]:
        texts = [row["prompt"] + row[side]["text"] for side in "ab"]
        a, b = classifier.log_probabilities(texts)[:, place]
        assert row["better"] == ("a" if a > b else "b")
    again = json.loads(run(other, tiny, *asked).stdout)
    assert (again["wins"], again["losses"]) == (told["losses"], told["wins"]), "whoever comes first"
    with Ledger() as ledger:
        assert ledger.count() == 8, "what was answered is not asked again"
        assert ledger.find(told["rows"][0]["a"]["artefact"]).facts["text"] == told["rows"][0]["a"]["text"]


def test_a_person_judges_stops_and_continues(tiny: Path, other: Path, prompts: Path) -> None:
    first = run(tiny, other, "--prompts", prompts, stdin="1\nwhat\n=\nq\n")
    assert first.exception is None, first.exception
    assert "2 of 4 are judged" in first.stderr
    assert first.stderr.count("1 the first is better") == 2, "what is no verdict is asked again"
    assert not any(name in first.stderr for name in (str(tiny), str(other), "tiny0")), "nothing says whose is whose"
    second = run(tiny, other, "--prompts", prompts, "--json", stdin="2\n2\n")
    told = json.loads(second.stdout)
    assert (told["judge"], told["count"]) == ("me", 4)
    better = [row["better"] for row in told["rows"]]
    sides = [row["left"] for row in told["rows"]]
    assert better[0] == sides[0]
    assert better[1] == "equal"
    assert all(one != side for one, side in zip(better[2:], sides[2:], strict=True))
    with Ledger() as ledger:
        [tally] = tallies(ledger)
        assert {tally.model.reference, tally.other.reference} == {str(tiny), str(other)}
        rate = tally.win_rate if tally.model.reference == str(tiny) else tally.win_rate.of_the_other
        assert (rate.wins, rate.ties, rate.losses) == (told["wins"], told["ties"], told["losses"])
        assert sum(len(entry.ratings) for entry in ledger.history(20)) == 4, "verdicts are ratings as any other"


def test_what_can_t_be_compared_is_refused(tiny: Path, other: Path, talks: Path, prompts: Path, tmp_path: Path) -> None:
    given = ("--prompts", prompts)
    assert "nothing to compare" in refusal(tiny, tiny, *given)
    assert "no folder" in refusal(tiny, tmp_path / "nowhere", *given)
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    assert "empty.txt" in refusal(tiny, other, "--prompts", empty)
    assert "nowhere.txt" in refusal(tiny, other, "--prompts", tmp_path / "nowhere.txt")
    assert "not taught to talk" in refusal(tiny, talks, *given, "--task", "chat")
    conversations = tmp_path / "said.jsonl"
    conversations.write_text(json.dumps({"messages": [{"role": "user", "content": "Hi"}]}))
    assert "conversations, but" in refusal(tiny, talks, "--prompts", conversations)
    assert "no label 'rude'" in refusal(tiny, other, *given, "--judge", "starter/sentiment:rude")
    assert "can't judge" in refusal(tiny, other, *given, "--judge", "starter/encoder")
    assert "can't judge" in refusal(tiny, other, *given, "--judge", str(tiny))
    with Ledger() as ledger:
        assert ledger.count() == 0, "refused before anything is asked"


def test_a_judge_that_was_trained_against_is_refused(tiny: Path, other: Path, prompts: Path, tmp_path: Path) -> None:
    reward = find("starter/sentiment", default="sentiment")
    for name, over, rewards in (
        ("first", find(str(tiny), default="text"), [{"reference": "moved", "digest": reward.digest}]),
        ("second", None, []),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for file in other.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        (folder / "config.json").write_text((folder / "config.json").read_text() + " " * len(name))
        parent = over or find(str(tmp_path / "first"), default="text")
        training = {"method": "ppo", "learned_from": {}, "rewards": rewards}
        training |= {"parents": [{"reference": parent.reference, "digest": parent.digest}]}
        (folder / "training.json").write_text(json.dumps(training))
        told = refusal(tiny, folder, "--prompts", prompts, "--judge", "starter/sentiment:negative")
        assert "is the reward that" in told
        assert str(folder) in told
    assert run(tiny, folder, "--prompts", prompts, "--judge", "starter/spam:spam").exception is None


class Says:
    """An engine that replies what it is told to."""

    chats = True
    context = None

    def __init__(self, *replies: str):
        self.replies, self.asked = list(replies), list[str]()

    def reply(self, messages: Any, request: Any) -> Any:
        self.asked.append(messages[-1]["content"])
        yield Completion(0, self.replies.pop(0), "stop", 1, 1)


def test_a_model_is_asked_in_both_orders() -> None:
    engine: Any = Says(
        '{"better": "A"}', '{"better": "B"}', '{"better":"B"}', '{"better":"B"}', "Hm.", '{"better": "A"}'
    )
    judge = judges.ChatJudge(Found("judge", None, ""), engine)
    assert judge.verdict("Why?", "because", "who knows") == "left"
    assert engine.asked[0].index("because") < engine.asked[0].index("who knows")
    assert engine.asked[1].index("who knows") < engine.asked[1].index("because")
    assert judge.verdict("Why?", "because", "who knows") == "equal"
    assert judge.verdict("Why?", "because", "who knows") == "equal"
    assert (judge.swayed, judge.silent) == (1, 1)


def test_a_model_that_talks_always_says_one_of_both(tiny: Path, other: Path, talks: Path, prompts: Path) -> None:
    result = run(tiny, other, "--prompts", prompts, "--judge", talks, "--json")
    assert result.exception is None, result.exception
    told = json.loads(result.stdout)
    assert told["silent"] == 0
    assert told["count"] == 4


def test_conversations_are_replied_to_and_a_reward_reads_them() -> None:
    prompt: Prompt = ({"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"})
    assert answers.arguments_of(prompt, "chat") == {"system": "Be brief", "messages": None, "message": "Hi"}
    before: tuple[Message, ...] = (
        {"role": "user", "content": "A"},
        {"role": "assistant", "content": "B"},
        {"role": "user", "content": "C"},
    )
    assert answers.arguments_of(before, "chat") == {"system": None, "messages": list(before[:2]), "message": "C"}
    assert answers.arguments_of("Once", "text") == {"prompt": "Once"}

    class Scores:
        def scores(self, prompt: Any, passages: list[str]) -> list[float]:
            assert prompt == list(before)
            return [float(len(passage)) for passage in passages]

    judge = judges.RewardJudge(Found("reward", None, "12"), Scores())
    assert [judge.verdict(before, *pair) for pair in (("ab", "a"), ("a", "ab"), ("b", "a"))] == [
        "left",
        "right",
        "equal",
    ]


class Shortest:
    way, reference, digest = "the shortest", "taste", "1"

    def verdict(self, prompt: Prompt, left: str, right: str) -> Verdict:
        return "left" if len(left) < len(right) else "right"


def test_sides_do_not_change_who_wins() -> None:
    pairs = [Pair("x", Answer("1", "a"), Answer("2", "bb"), b_is_left) for b_is_left in (True, False)]
    outcome = Outcome((Found("a", None, ""), Found("b", None, "")), "text", "taste")
    by_model(Shortest(), [*pairs, replace(pairs[0], b=Answer("3", "a"))], outcome)
    assert [row["better"] for row in outcome.rows] == ["a", "a", "equal"]
    assert outcome.alike == 1


def test_a_pair_that_was_shown_before_the_other_way_round_counts_as_it_was_meant() -> None:
    def keep(ledger: Ledger, model: str) -> Answer:
        made = Text(prompt="x", text=model, finish_reason="stop", prompt_tokens=1, completion_tokens=1)
        return Answer(ledger.keep(made, Recipe.of("text", {"prompt": "x"}, Model(model, model), 0)).id, model)

    with Ledger() as ledger:
        a, b = keep(ledger, "a"), keep(ledger, "b")
        comparisons.begin(ledger, b.artefact, a.artefact)
        outcome = Outcome((Found("a", None, ""), Found("b", None, "")), "text", "me")
        by_person(lambda pair, judged: "left", [Pair("x", a, b, b_is_left=False)], outcome, ledger)
        assert outcome.rows[0]["better"] == "a", "it was on the left when it was judged"
        assert comparisons.judged(ledger)[0].verdict == "right"
        [tally] = tallies(ledger)
        assert (tally.model.reference, tally.win_rate.wins) == ("a", 1)

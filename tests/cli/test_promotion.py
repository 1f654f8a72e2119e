"""What is promoted is what chat and text use where no model is named, in every door; demoted, what was used before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import genarium
from genarium.checkpoints.store import promoted, versions
from genarium.checkpoints.store.find import find
from genarium.cli.main import genarium as command
from genarium.errors import BadCheckpoint, BadInput, GenariumError, ModelNotFound
from genarium.ledger import Ledger
from genarium.run import prepare, reproduce
from genarium.server.settings import ServerSettings
from tests.chat_models import STYLES, make_checkpoint
from tests.server.conftest import running


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("promoted") / "talks", STYLES["qwen"])


def run(*words: str) -> Result:
    return CliRunner().invoke(command, list(words), standalone_mode=False)


def told(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


def test_what_is_promoted_is_used_where_no_model_is_named(talks: Path, tiny: Path) -> None:
    first = genarium.text("The fox", max_new_tokens=4, seed=1)
    assert first.recipe.model is not None
    assert first.recipe.model.reference == "starter/text"
    assert told("models", "promote", str(tiny)) == {
        "task": "text",
        **vars(promoted.in_use("text")),
        "instead_of": "starter/text",
    }, "it was not taught to talk, so it is for text"
    assert told("models", "promote", str(talks))["task"] == "chat"
    second = genarium.text("The fox", max_new_tokens=4, seed=1)
    assert second.recipe.model is not None
    assert second.recipe.model.reference == str(tiny)
    assert prepare("text", "The fox", model="starter").model != second.recipe.model, "one that is named is taken"
    assert genarium.chat("Hello", max_new_tokens=4).recipe.model == prepare("chat", "Hi", model=str(talks)).model
    with Ledger() as ledger:
        for made in (first, second):
            assert reproduce(made[0].id, ledger=ledger).equal, "a recipe names its model"
    listed = {row["reference"]: row for row in told("models", "list")}
    assert {name: row["promoted_for"] for name, row in listed.items() if row["promoted_for"]} == {
        str(tiny): ["text"],
        str(talks): ["chat"],
    }
    assert f"{tiny}" in run("models").stdout, "models alone lists them"

    assert told("models", "promote", str(talks), "text")["instead_of"] == str(tiny)
    refused = run("models", "demote").exception
    assert isinstance(refused, BadInput)
    assert "say which" in str(refused)
    assert told("models", "demote", "text")["reference"] == str(tiny)
    assert told("models", "demote", "text")["reference"] == "starter/text"
    assert told("models", "demote")["task"] == "chat"
    assert prepare("text", "The fox").model == first.recipe.model
    assert "nothing was promoted" in str(run("models", "demote").exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("starter/encoder",), "no model that writes"),
        (("TINY", "chat"), "not taught to talk"),
        (("./nowhere",), "no folder"),
    ],
)
def test_what_can_t_be_promoted_is_refused(tiny: Path, words: tuple[str, ...], said: str) -> None:
    refused = run("models", "promote", *(word.replace("TINY", str(tiny)) for word in words)).exception
    assert isinstance(refused, GenariumError)
    assert said in str(refused)
    assert promoted.in_use("chat") is promoted.in_use("text") is None


def test_a_promoted_model_that_changed_or_went_is_said_with_the_way_back(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(tiny, folder)
    promoted.promote("text", find(str(folder), default="text"))
    with pytest.raises(BadInput, match="already"):
        promoted.promote("text", find(str(folder), default="text"))
    config = folder / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(BadCheckpoint, match="changed since"):
        prepare("text", "The fox")
    shutil.rmtree(folder)
    with pytest.raises(ModelNotFound, match="models demote"):
        prepare("text", "The fox")
    promoted.demote("text")
    assert prepare("text", "The fox").model is not None


def aligned(tiny: Path, folder: Path, parent: dict[str, str], **more: Any) -> Path:
    """A folder as `align` leaves it."""
    shutil.copytree(tiny, folder)
    learned = {"kind": "pairs", "count": 7, "sha256": "0" * 64, "name": "ledger.jsonl"}
    training = {"method": "dpo", "parents": [parent], "learned_from": learned, "figures": {"accuracy": 0.9}} | more
    (folder / "training.json").write_text(json.dumps(training))
    (folder / "config.json").write_text((folder / "config.json").read_text() + " " * len(folder.parts))
    return folder


def test_the_line_of_versions_says_what_each_came_from(tiny: Path, tmp_path: Path) -> None:
    assert told("models", "versions") == []
    root = find(str(tiny), default="text")
    reward = {"reference": "starter/sentiment", "digest": "5" * 64, "label": "positive"}
    first = versions.register(aligned(tiny, tmp_path / "a" / "run", vars(root) | {"path": ""}, rewards=[reward]))
    parent = {"reference": first.reference, "digest": first.digest}
    second = versions.register(aligned(tiny, tmp_path / "b" / "c" / "run", parent))
    assert versions.register(Path(second.reference)) == second
    assert [version.name for version in versions.listed()] == ["run", "run-2"]
    assert [one["method"] for one in versions.lineage(second.reference, second.digest)] == ["dpo", "dpo"]
    assert [one["rewards"] for one in versions.lineage(second.reference, second.digest)] == [[], [reward]]
    promoted.promote("text", find(second.reference, default="text"))
    shown = told("models", "versions")
    assert [one["promoted_for"] for one in shown] == [[], ["text"]]
    assert shown[1]["learned_from"]["count"] == 7
    assert "dpo over" in run("models", "versions").stdout
    shutil.rmtree(first.reference)
    assert "its folder is gone" in run("models", "versions").stdout
    assert [one["method"] for one in versions.lineage(second.reference, second.digest)] == ["dpo", "dpo"]
    with pytest.raises(BadCheckpoint, match=r"training\.json"):
        versions.register(tiny)


def test_the_server_takes_it_up(tiny: Path, tmp_path: Path) -> None:
    version = versions.register(aligned(tiny, tmp_path / "a" / "run", {"reference": "starter/text", "digest": "1"}))
    with running(ServerSettings(port=0, grace=2.0)) as server:
        asked = {"prompt": "The fox", "max_new_tokens": 2, "seed": 1}
        assert server.http.post("/v1/tasks/text", json=asked).json()["model"] == "starter/text"
        named = server.http.post("/v1/tasks/text", json=asked | {"model": "run"}).json()
        assert named["model"] == version.reference, "a client names a version by its name"
        promoted.promote("text", find(version.reference, default="text"))
        assert server.http.post("/v1/tasks/text", json=asked).json()["recipe"] == named["recipe"]
        written = server.http.post("/v1/completions", json={"prompt": "The fox", "max_tokens": 2, "seed": 1}).json()
        assert written["model"] == version.reference
        starter = server.http.post("/v1/completions", json={"prompt": "The fox", "model": "starter"}).json()
        assert starter["model"] == "starter"
        assert starter["system_fingerprint"] != written["system_fingerprint"]
        listed = {one["id"]: one["promoted_for"] for one in server.http.get("/v1/models").json()["data"]}
        assert {name: tasks for name, tasks in listed.items() if tasks} == {"run": ["text"]}
        promoted.demote("text")
        assert server.http.post("/v1/tasks/text", json=asked).json()["model"] == "starter/text"

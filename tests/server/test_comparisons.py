"""Blind comparisons over HTTP: whose answers they are is told by the verdict, which is kept; the line of versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from genarium.checkpoints.store import promoted, versions
from genarium.checkpoints.store.find import find
from genarium.ledger import Ledger
from tests.server.conftest import Serve

SAID = {"prompt": "The fox", "max_new_tokens": 5}


@pytest.fixture
def version(tiny: Path, tmp_path: Path) -> versions.Version:
    """As `align dpo` leaves one."""
    folder = shutil.copytree(tiny, tmp_path / "foxes-2")
    weights = load_file(folder / "model.safetensors")
    save_file({name: -tensor for name, tensor in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    told = find(str(tiny), default="text")
    learned = {"kind": "pairs", "count": 12, "sha256": "a" * 64, "name": "ledger-text-pairs.jsonl"}
    parents = [{"reference": told.reference, "digest": told.digest}]
    (folder / "training.json").write_text(
        json.dumps({"method": "dpo", "parents": parents, "learned_from": learned, "figures": {"accuracy": 0.75}})
    )
    return versions.register(folder)


def test_whose_answers_they_are_is_told_by_the_verdict(serve: Serve, version: versions.Version) -> None:
    server = serve()
    asked = {"task": "text", "models": ["tiny", "foxes-2"], "arguments": SAID | {"seed": 3}}
    kept = []
    for verdict in ("left", "right", "equal"):
        shown = server.http.post("/v1/comparisons", json=asked).json()
        assert not any(told in json.dumps(shown) for told in ("tiny", "foxes", "artefact"))
        assert shown["left"].keys() == {"text"}
        where = f"/v1/comparisons/{shown['id']}"
        assert server.http.get(where).json() == shown
        told = server.http.post(f"{where}/verdict", json={"verdict": verdict, "note": "so"}).json()
        assert {told["left"]["model"], told["right"]["model"]} == {"tiny", "foxes-2"}
        assert told["verdict"] == verdict
        assert server.http.get(where).json() == {name: value for name, value in told.items() if name != "total"}
        assert server.http.post(f"{where}/verdict", json={"verdict": "left"}).status_code == 409
        kept.append(told)
    with Ledger() as ledger:
        left = ledger.find(kept[0]["left"]["artefact"])
        assert str(left.ratings[0]) == f"better than {kept[0]['right']['artefact']}"
        assert left.ratings[0].note == "so"
    won = [kept[0]["left"]["model"], kept[1]["right"]["model"]]
    [total] = server.http.get("/v1/comparisons").json()["data"]
    assert total == kept[-1]["total"]
    assert (total["count"], total["ties"], total["wins"]) == (3, 1, max(won.count("tiny"), won.count("foxes-2")))
    assert total["low"] < total["win_rate"] < total["high"]


def test_what_can_t_be_compared_is_refused(serve: Serve) -> None:
    server = serve()
    for wrong, told in (
        ({"models": ["tiny", "tiny"], "arguments": SAID}, "same model"),
        ({"models": ["tiny"], "arguments": SAID}, "models"),
        ({"models": ["tiny", "starter/text"], "arguments": SAID | {"n": 2}}, "n can't be"),
        ({"models": ["tiny", "starter/text"], "arguments": {"prompt": ""}}, "prompt"),
    ):
        refused = server.http.post("/v1/comparisons", json={"task": "text"} | wrong)
        assert refused.status_code == 400
        assert told in refused.json()["error"]["message"]
    unknown = server.http.post("/v1/comparisons", json={"models": ["tiny", "nobody"], "arguments": {"message": "Hi"}})
    assert unknown.status_code == 404
    assert server.http.get("/v1/comparisons/cmp-1").status_code == 404
    assert server.http.post("/v1/comparisons/cmp-1/verdict", json={"verdict": "left"}).status_code == 404
    assert server.http.get("/v1/comparisons").json()["data"] == []


def test_the_line_of_versions_says_what_each_learned_from(serve: Serve, version: versions.Version, home: Path) -> None:
    server = serve()
    told = server.http.get("/v1/versions").json()
    assert told["in_use"] == {task: {"model": f"starter/{task}", "since": None} for task in ("chat", "text")}
    [shown] = told["data"]
    assert (shown["id"], shown["method"], shown["is_here"], shown["promoted_for"]) == ("foxes-2", "dpo", True, [])
    assert shown["parents"] == [{"digest": version.parents[0]["digest"], "model": "tiny"}]
    assert shown["learned_from"]["count"] == 12
    assert shown["figures"] == {"accuracy": 0.75}
    assert str(home.parent) not in json.dumps(told), "where folders are is nobody's business"
    promoted.promote("text", find(version.reference, default="text"))
    told = server.http.get("/v1/versions").json()
    assert told["in_use"]["text"]["model"] == "foxes-2"
    assert told["data"][0]["promoted_for"] == ["text"]
    shutil.rmtree(version.reference)
    assert not server.http.get("/v1/versions").json()["data"][0]["is_here"]

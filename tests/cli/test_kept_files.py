"""`history`, `show` and `doctor` notice files that are missing or changed; `reproduce` puts them back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from genarium.cli.doctor import _storage
from genarium.cli.main import genarium as command
from genarium.ledger import Ledger
from genarium.run import call


def genarium(*words: str) -> Result:
    return CliRunner().invoke(command, list(words), standalone_mode=False)


@pytest.fixture
def kept(tiny: Path) -> str:
    [text] = call("text", "The fox\nran", model=str(tiny), max_new_tokens=4, seed=7)
    return text.id


def test_show_says_the_prompt_and_every_argument(kept: str) -> None:
    shown = genarium("show", kept).stdout.splitlines()
    with Ledger() as ledger:
        arguments = ledger.find(kept).recipe.arguments
    prompt = next(place for place, line in enumerate(shown) if line.split(":")[0] == "  prompt")
    assert shown[prompt].endswith("The fox")
    assert shown[prompt + 1].strip() == "ran"
    listed = [line for line in shown if line.startswith("  ") and ":" in line]
    told = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in listed}
    unset = told.pop("left open").split(", ")
    assert sorted([*told, *unset]) == sorted(arguments)
    assert told["max_new_tokens"] == "4"


@pytest.mark.parametrize("state", ["missing", "changed"])
def test_what_is_no_longer_as_it_was_made_is_said_and_made_again(kept: str, state: str) -> None:
    with Ledger() as ledger:
        path = ledger.find(kept).path
    whole = path.read_bytes()
    assert "(file" not in genarium("history").stdout
    assert all(check["ok"] for check in _storage())
    if state == "missing":
        shutil.rmtree(path.parent)
    else:
        path.write_text("another story")
    assert f"(file {state})" in genarium("history").stdout
    assert json.loads(genarium("history", "--json").stdout)[0]["file_state"] == state
    assert f"{'is' if state == 'missing' else 'was'} {state}" in genarium("show", kept).stdout
    folder, artefacts = _storage()
    assert (folder["ok"], artefacts["ok"]) == (True, False)
    assert f"{kept} {state}" in artefacts["found"]

    again = json.loads(genarium("reproduce", kept, "--json").stdout)
    assert (again["equal"], again["file_was"]) == (True, state)
    assert path.read_bytes() == whole
    if state == "changed":
        assert Path(again["changed_file"]).read_text() == "another story"
    assert all(check["ok"] for check in _storage())
    assert "(file" not in genarium("history").stdout

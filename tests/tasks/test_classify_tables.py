"""`classify` over a file: its columns stay, empty texts have no label, and a stopped run ends in the same bytes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import torch

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts import encoder_config
from genarium.engines.classify import protocol as engine
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.models.encoder import TextClassifier
from genarium.models.encoder_config import HeadConfig
from genarium.progress import Event
from genarium.recipe import Recipe
from genarium.run import call, prepare, reproduce, run
from tests.small_encoder import make_base


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("head")
    make_base(folder, lambda config: TextClassifier(config, HeadConfig(n_outputs=2)))
    model = layout.load_classifier(folder)
    torch.nn.init.normal_(model.out.weight, std=2.0)
    layout.save(model, folder, layout="bert", extra=encoder_config.label_names(["bad", "good"]))
    return folder


def table(content: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def test_the_columns_of_the_file_stay_and_each_probability_has_its_own(head: Path, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    rows = [["id", "label", "Text"], ["7", "x;y", "lovely film"], ["8", "", " "], ["", "1,5", 'the "red"\r\nsong']]
    with file.open("w", newline="", encoding="utf-8-sig") as out:
        csv.writer(out, delimiter=";").writerows(rows)
    result = call("classify", file=file, model=str(head))
    [made] = result
    found = table(made.as_file(".csv"), ";")
    assert made.as_file(".csv").startswith(b"\xef\xbb\xbf")  # as the file had it
    assert [row[:3] for row in found] == rows
    assert found[0][3:] == ["label_2", "probability_bad", "probability_good"]
    assert found[2][3:] == ["", "", ""]
    assert all(float(row[4]) + float(row[5]) == pytest.approx(1, abs=1e-5) for row in (found[1], found[3]))
    assert sum(made.facts()["counts"].values()) == 2
    assert any("1 of 3 texts are empty (row 3); they are given no label" in one for one in result.notes)
    assert table(made.as_file(".tsv"), "\t") == found


def test_a_stopped_run_ends_in_the_same_bytes(
    head: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CHUNK", 2)
    file = tmp_path / "rows.csv"
    file.write_text("n,text\n" + "".join(f"{n},lovely film {'' if n % 3 else 'was dull'}\n" for n in range(7)))
    recipe = prepare("classify", file=file, model=str(head))
    [whole] = run(recipe, keep=False)

    def stopping(event: Event) -> None:
        if event.stage == "row" and event.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(recipe, listener=stopping)
    resumed = run(recipe)
    assert any("rows were done before" in one for one in resumed.notes)
    for suffix in (".csv", ".jsonl", ".tsv"):
        assert resumed[0].as_file(suffix) == whole.as_file(suffix)


def test_a_recipe_from_before_these_options_gives_the_same_bytes(head: Path, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('id,text\n1,"lovely, fine"\n2,the dull song\n')
    recipe = prepare("classify", file=file, model=str(head))
    options = ("delimiter", "encoding", "no_header")
    known: dict[str, Any] = {name: value for name, value in recipe.arguments.items() if name not in options}
    old = Recipe.of("classify", known, recipe.model, recipe.seed)
    [before], [now] = run(old), run(recipe, keep=False)
    assert before.content() == now.content()
    assert [row["text"] for row in before.rows] == ["lovely, fine", "the dull song"]  # type: ignore[attr-defined]
    with Ledger() as ledger:
        assert reproduce(before.id, ledger=ledger).equal


def test_a_broken_table_is_told_before_a_model_is_looked_into(
    head: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was opened")

    monkeypatch.setattr("genarium.engines.registry.open_classifier", opened)
    file = tmp_path / "rows.csv"
    file.write_text('text,label\n"open,x\n')
    for more in ({}, {"delimiter": "semicolon"}, {"encoding": "klingon"}, {"column": "x"}):
        with pytest.raises(BadInput, match=r"rows\.csv|klingon"):
            call("classify", file=file, model=str(head), **more)
    with pytest.raises(BadInput, match="delimiter says how a file is read; name the file"):
        call("classify", ["a"], delimiter=";", model=str(head))

"""The one road: what is asked comes out marked, kept, and the same again; what is stopped leaves nothing half."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from annotated_doc import Doc

import genarium
from genarium import tasks
from genarium.artefacts import Records, Text
from genarium.errors import BadCheckpoint, BadInput, GenariumError
from genarium.ledger import Ledger
from genarium.ledger.database import transaction
from genarium.progress import Event
from genarium.rows import rows
from genarium.run import call, prepare, reproduce, run
from genarium.tasks.task import task


def test_a_call_is_kept_with_the_whole_recipe_and_the_seed_that_was_drawn(tiny: Path) -> None:
    result = genarium.text("The fox", n=3, max_new_tokens=12, model=str(tiny))
    assert [artefact.item for artefact in result] == [0, 1, 2]
    with Ledger() as ledger:
        entries = {entry.id: entry for entry in ledger.history()}
    assert {artefact.id for artefact in result} == entries.keys()
    recipe = result.recipe
    assert entries[result[0].id].recipe == recipe
    assert recipe.model is not None
    assert recipe.model.reference == str(tiny)
    assert len(recipe.model.digest) == 64
    assert set(recipe.arguments) == {p.name for p in tasks.find("text").parameters} - {"model", "seed"}
    again = genarium.text("The fox", n=3, max_new_tokens=12, model=str(tiny), seed=recipe.seed)
    assert again.recipe.digest == recipe.digest
    assert [a.content() for a in again] == [a.content() for a in result]
    assert str(result).count("The fox") >= 3


def test_two_calls_without_a_seed_draw_two(tiny: Path) -> None:
    first, second = (prepare("text", "The fox", model=str(tiny)) for _ in range(2))
    assert first.seed != second.seed


def test_reproducing_compares_the_bytes_and_keeps_only_what_differs(tiny: Path) -> None:
    [made] = genarium.text("The fox", max_new_tokens=12, model=str(tiny))
    with Ledger() as ledger:
        assert reproduce(made.id, ledger=ledger).equal
        assert ledger.count() == 1
        with transaction(ledger.connection):
            ledger.connection.execute("UPDATE artefacts SET sha256 = 'other'")
        outcome = reproduce(made.id, ledger=ledger)
        assert not outcome.equal
        assert ledger.count() == 2


def test_a_model_that_changed_is_not_the_recipes_model(tiny: Path, tmp_path: Path) -> None:
    import torch

    from genarium.checkpoints.layouts import gpt

    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    recipe = prepare("text", "The fox", max_new_tokens=4, model=str(folder), seed=1)
    model = gpt.load(folder)
    with torch.no_grad():
        model.final_norm.weight.mul_(2)
    gpt.save(model, folder)
    with pytest.raises(BadCheckpoint, match="its files changed since"):
        run(recipe)


def test_events_tell_stage_progress_and_finished_artefacts(tiny: Path) -> None:
    events: list[Event] = []
    result = call("text", "The fox", n=2, max_new_tokens=8, model=str(tiny), seed=3, listener=events.append)
    written = [event for event in events if event.stage == "writing"]
    assert max(event.done for event in written) <= written[0].total == 16  # type: ignore[operator]
    for row, artefact in enumerate(result):
        assert isinstance(artefact, Text)
        assert "".join(event.preview for event in written if event.item == row) == artefact.text
    assert [event.preview.id for event in events if event.stage == "made"] == [a.id for a in sorted_by_made(events)]


def sorted_by_made(events: list[Event]) -> list[Text]:
    return [event.preview for event in events if event.stage == "made"]


def test_an_interrupt_keeps_what_was_finished_and_nothing_else(home: Path, tiny: Path) -> None:
    def stop_after_one(event: Event) -> None:
        if event.stage == "made":
            raise KeyboardInterrupt

    recipe = prepare("text", "The fox", n=3, max_new_tokens=8, model=str(tiny), seed=1)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, listener=stop_after_one)
    with Ledger() as ledger:
        assert ledger.count() == 1
    folders = list((home / "artefacts").iterdir())
    assert len(folders) == 1
    assert sorted(p.name for p in folders[0].iterdir()) == ["recipe.json", "text.txt"]


@pytest.fixture
def count_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task as a newcomer adds it: one function, with a file to read and a row for each line."""

    def count_lines(
        file: Annotated[Path, Doc("what to count")], *, stop_at: Annotated[int, Doc("line to fail at")] = -1
    ) -> Iterator[Records]:
        """Count the letters of each line."""
        lines = file.read_text().splitlines()
        kept = rows()
        for number in range(len(kept.begin(len(lines))), len(lines)):
            if number == stop_at and (file.parent / "fail").exists():
                raise GenariumError("stopped")
            kept.add({"line": lines[number], "letters": len(lines[number])})
        yield Records(rows=kept.done, summary=f"{len(lines)} lines")

    made = task()(count_lines)
    monkeypatch.setattr(tasks, "tasks", lambda: {"count_lines": made})


@pytest.mark.usefixtures("count_lines")
def test_a_file_is_pinned_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("one\nthree\n")
    recipe = prepare("count_lines", str(file))
    assert recipe.seed == 0
    assert recipe.arguments["file"]["path"] == str(file)
    assert [row["letters"] for row in run(recipe)[0].rows] == [3, 5]  # type: ignore[attr-defined]
    assert prepare("count_lines", file).digest == recipe.digest
    file.write_text("another\n")
    assert prepare("count_lines", file).digest != recipe.digest
    with pytest.raises(BadInput, match="changed since this recipe was written"):
        run(recipe)


@pytest.mark.usefixtures("count_lines")
def test_a_long_run_goes_on_where_it_was_stopped(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("one\nthree\nseven\n")
    (tmp_path / "fail").touch()
    recipe = prepare("count_lines", file, stop_at=2)
    with pytest.raises(GenariumError):
        run(recipe)
    [partial] = (home / "partial").iterdir()
    assert partial.name == f"{recipe.digest}.jsonl"
    (tmp_path / "fail").unlink()
    result = run(recipe)
    assert any("continues there" in note for note in result.notes)
    assert result[0].facts()["count"] == 3
    assert not partial.exists()


def test_a_verb_that_is_not_there_and_an_argument_that_is_wrong(tiny: Path) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'paint_the_sky'"):
        genarium.paint_the_sky  # noqa: B018
    with pytest.raises(BadInput, match="no task called 'paint'"):
        prepare("paint")
    with pytest.raises(BadInput, match="temperature must be at least 0, got -1"):
        genarium.text("The fox", temperature=-1)
    assert "text" in dir(genarium)
    assert "prompt: the text to continue" in genarium.text.__doc__

"""Rows outlive the run that made them: stopped anywhere, the next one continues after the last whole row."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genarium.progress import Event, listening
from genarium.rows import Row, Rows, keeping, line, rows, unfinished

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
ROWS = st.lists(st.dictionaries(TEXTS, TEXTS | st.integers() | st.none(), max_size=3), max_size=6)


@given(made=ROWS, data=st.data())
def test_a_file_cut_anywhere_gives_its_whole_rows(
    made: list[Row], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    written = b"".join(line(row) for row in made)
    file.write_bytes(written[: data.draw(st.integers(0, len(written)))])
    found = Rows(file)
    assert found.done == made[: len(found.done)]
    assert len(b"".join(line(row) for row in made[: len(found.done) + 1])) > file.stat().st_size or found.done == made
    found.begin(len(made))
    for row in made[len(found.done) :]:
        found.add(row)
    found.close()
    assert Rows(file).done == made


def test_a_stopped_run_goes_on_and_a_finished_one_leaves_nothing(home: Path) -> None:
    asked: list[int] = []
    told: list[Event] = []

    def work(until: int) -> list[Row]:
        kept = rows()
        for number in range(len(kept.begin(6)), 6):
            if number == until:
                raise KeyboardInterrupt
            asked.append(number)
            kept.add({"number": number})
        return kept.done

    with pytest.raises(KeyboardInterrupt), keeping("abc"):
        work(until=4)
    assert len((home / "partial" / "abc.jsonl").read_bytes().splitlines()) == 4
    with listening(told.append), keeping("abc") as opened:
        assert [row["number"] for row in work(until=-1)] == list(range(6))
        opened.forget()
    assert asked == list(range(6))
    assert [event.preview["number"] for event in told if event.stage == "row"] == list(range(6))
    assert any("4 of 6 rows were done" in event.preview for event in told if event.stage == "note")
    assert not (home / "partial" / "abc.jsonl").exists()


def test_without_a_recipe_nothing_is_written(home: Path) -> None:
    with keeping(None):
        kept = rows()
        kept.begin(1)
        kept.add({"a": 1})
    assert not home.exists()


def test_what_is_no_row_is_kept_beside_them_with_the_recipe(home: Path) -> None:
    recipe = b'{"task":"video","seed":7}'
    with keeping("abc", recipe):
        rows().keep("step-1", b"latents")
    with keeping("abc", recipe) as opened:
        assert rows().kept("step-1") == b"latents"
        assert rows().kept("step-2") is None
        assert unfinished("video") == [{"task": "video", "seed": 7}]
        assert unfinished("image") == []
        opened.forget()
    assert unfinished("video") == []
    assert not (home / "partial" / "abc").exists()
    with keeping(None) as opened:
        opened.keep("step-1", b"latents")
        assert opened.kept("step-1") is None

"""A folder that is followed: read again when something in it changed and rests, and waited for when it is gone."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genarium.retrieval.build import Report, build
from genarium.retrieval.places import writing
from genarium.retrieval.store import Index
from genarium.retrieval.watch import Held, watch
from tests.retrieval.test_build import embed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path / "home"))
    made = tmp_path / "notes"
    made.mkdir()
    (made / "one.txt").write_text("The lighthouse keeper counts the ships.")
    (made / "two.txt").write_text("The ferry sails at noon.")
    return made


class Ended(Exception):
    """There are no more steps."""


def followed(folder: Path, *steps: Callable[[], object]) -> tuple[list[tuple[int, Report]], list[str]]:
    """What is reported and told while these happen, one between two looks each; reports with how many had happened."""
    told: list[str] = []
    reports: list[tuple[int, Report]] = []
    happened = 0

    def rest(_: float) -> None:
        nonlocal happened
        if happened == len(steps):
            raise Ended
        steps[happened]()
        happened += 1

    def update(held: Held) -> Report:
        return build(folder, embed, encoder="letters", encoder_digest="letters", held=held)

    with contextlib.suppress(Ended):
        for report in watch(folder, update, told=told.append, rest=rest):
            reports.append((happened, report))
    return reports, told


def nothing() -> None:
    """Time passes."""


def test_what_changes_is_read_when_it_rests(folder: Path) -> None:
    new = folder / "new.txt"
    reports, told = followed(
        folder,
        lambda: new.write_text("A gull"),
        lambda: new.write_text("A gull sits on the roof."),
        lambda: (folder / "two.txt").write_text("The ferry sails at two, not at noon."),  # and new.txt rests
        nothing,
        (folder / "one.txt").unlink,
        nothing,
        nothing,
    )
    assert [(when, r.added, r.changed, r.removed) for when, r in reports] == [
        (0, ["one.txt", "two.txt"], [], []),
        (3, ["new.txt"], [], []),
        (4, [], ["two.txt"], []),
        (6, [], [], ["one.txt"]),
    ]
    assert told == []
    with Index("notes") as index:
        assert len(index.search_words(["gull", "roof"], 5)) == 1
        assert index.search_words(["lighthouse"], 5) == []


def test_a_folder_that_is_gone_is_waited_for_and_not_forgotten(folder: Path) -> None:
    away, empty = folder.with_name("away"), folder.with_name("empty")
    empty.mkdir()

    def there() -> None:
        with Index("notes") as index:
            assert len(index.files()) == 2

    reports, told = followed(
        folder,
        lambda: folder.rename(away),
        there,
        lambda: empty.rename(folder),  # where a drive is mounted
        there,
        lambda: (folder.rename(empty), away.rename(folder)),
        nothing,
        lambda: (folder / "three.txt").write_text("The keeper sleeps."),
        nothing,
    )
    assert [(when, r.added, r.changed, r.removed) for when, r in reports[1:]] == [(8, ["three.txt"], [], [])]
    assert [sentence.removeprefix(str(folder)) for sentence in told] == [
        " is not there now; waiting",
        " is empty now; waiting",
        "it can be read again",
    ]


def test_an_index_that_another_process_writes_is_waited_for(folder: Path) -> None:
    held = writing("notes")
    reports, told = followed(
        folder,
        held.__enter__,
        lambda: (folder / "three.txt").write_text("The keeper sleeps."),
        nothing,
        nothing,
        lambda: held.__exit__(None, None, None),
    )
    assert [(when, r.added) for when, r in reports] == [(0, ["one.txt", "two.txt"]), (5, ["three.txt"])]
    assert "another process" in told[0]
    assert told[1:] == ["it can be read again"]


def test_ctrl_c_ends_it_well(folder: Path) -> None:
    command = [sys.executable, "-m", "genarium", "index", str(folder), "--watch", "--every", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout
            assert running.stderr
            assert running.stdout.readline() == "notes: 2 files, 2 passages (2 new)\n"
            (folder / "one.txt").write_text("The keeper sleeps.")
            assert running.stdout.readline() == "notes: 2 files, 2 passages (1 changed)\n"
            (folder / "song.mp3").write_bytes(b"ID3" + bytes(300))
            assert running.stdout.readline() == "notes: 2 files, 2 passages (1 skipped)\n"
            assert running.stdout.readline().startswith("  skipped song.mp3: sound")
            running.send_signal(signal.SIGINT)
            assert running.wait() == 0
            assert "stopped; what was indexed is kept" in running.stderr.read()
        finally:
            running.kill()

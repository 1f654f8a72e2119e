"""The ledger: whole or not there, for many writers at once, and plain about what is wrong with its file."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from genarium import files
from genarium.artefacts import Text
from genarium.errors import BadInput, StorageError
from genarium.ledger import Ledger
from genarium.ledger import ledger as ledger_module
from genarium.ledger.folder import restore
from genarium.recipe import Model, Recipe

RECIPE = Recipe.of("text", {"prompt": "The fox", "n": 2}, Model("starter/text", "00"), 7)


def made(text: str = " ran.", item: int = 0) -> Text:
    return Text(item=item, prompt="The fox", text=text, finish_reason="stop", prompt_tokens=2, completion_tokens=3)


WRITER = """
import sys
from genarium import files
from genarium.artefacts import Text
from genarium.ledger import Ledger
from genarium.ledger import ledger as ledger_module
from genarium.ledger.folder import restore
from genarium.recipe import Recipe
with Ledger() as ledger:
    for number in range(int(sys.argv[2])):
        recipe = Recipe.of("text", {"prompt": "The fox", "number": number}, None, 7)
        text = Text(item=0, prompt="The fox", text=f" ran {sys.argv[1]} {number}.", finish_reason="stop",
                    prompt_tokens=2, completion_tokens=3)
        ledger.keep(text, recipe)
        print(text.id, flush=True)
"""


def writer(name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, name, str(count)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_what_is_kept_is_found_with_its_recipe_and_its_mark() -> None:
    with Ledger() as ledger:
        with pytest.raises(BadInput, match="nothing was made yet"):
            ledger.find("last")
        kept = ledger.keep(made(), RECIPE)
        newest = ledger.keep(made(" sang.", item=1), RECIPE)
        assert ledger.find("last").id == newest.id
        entry = ledger.find(kept.id[:6])
        assert entry.recipe == RECIPE
        assert entry.path == kept.path
        assert entry.path.read_bytes() == kept.content()
        assert [e.title for e in ledger.history()] == ["The fox sang.", "The fox ran."]
        assert [e.id for e in ledger.history(search="RAN")] == [kept.id]
        assert ledger.history(task="image") == []
    mark = json.loads((entry.path.parent / "recipe.json").read_text())
    assert mark["ai_generated"] is True
    assert mark["digital_source_type"] == "trainedAlgorithmicMedia"
    assert Recipe.from_dict(mark["recipe"]).digest == mark["recipe_sha256"] == RECIPE.digest
    assert mark["sha256"] == entry.sha256


def test_ratings_are_kept_beside_each_other() -> None:
    with Ledger() as ledger:
        identifier = ledger.keep(made(), RECIPE).id
        for verdict, note in (("up", ""), ("4", "a good one"), ("down", "on second thoughts")):
            ledger.rate(identifier, verdict, note)
        assert [(str(r), r.note) for r in ledger.find(identifier).ratings] == [
            ("up", ""),
            ("4/5", "a good one"),
            ("down", "on second thoughts"),
        ]
        for wrong in ("6", "0", "great", ""):
            with pytest.raises(BadInput, match="up, down or 1 to 5"):
                ledger.rate(identifier, wrong)
        with pytest.raises(BadInput, match="no artefact"):
            ledger.rate("0123456789", "up")


def test_an_id_that_is_several_or_none_is_a_sentence(home: Path) -> None:
    with Ledger() as ledger:
        for _ in range(40):  # enough for two to begin alike
            ledger.keep(made(), RECIPE)
        begins = sorted(entry.id[0] for entry in ledger.history(100))
        twice = next(a for a, b in itertools.pairwise(begins) if a == b)
        with pytest.raises(BadInput, match="several artefacts begin with"):
            ledger.find(twice)
        for wrong in ("", "../../etc/passwd", "%", "ABC", "' OR 1"):
            with pytest.raises(BadInput, match="is not an artefact's id"):
                ledger.find(wrong)


def test_two_processes_write_at_once_and_nothing_is_lost() -> None:
    count = 60
    processes = [writer(name, count) for name in ("one", "two")]
    written = []
    for process in processes:
        out, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
        written += out.split()
    assert len(set(written)) == 2 * count
    with Ledger() as ledger:
        entries = ledger.history(1000)
        assert {entry.id for entry in entries} == set(written)
        assert all(entry.path.read_text().startswith("The fox ran") for entry in entries)


def test_killed_in_the_middle_of_writing_it_is_whole(home: Path) -> None:
    for _ in range(4):
        process = writer("doomed", 100_000)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, process.communicate()[1]
        time.sleep(0.15)
        os.kill(process.pid, signal.SIGKILL)
        told = [first.strip(), *process.stdout.read().split()]
        process.wait()
        process.communicate()
        with Ledger() as ledger:
            assert ledger.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            entries = {entry.id: entry for entry in ledger.history(1_000_000)}
            # The last id may have been cut off in the pipe.
            assert set(told[:-1]) <= entries.keys()
            for entry in entries.values():
                assert entry.path.read_text().startswith("The fox ran doomed")
                assert json.loads((entry.path.parent / "recipe.json").read_text())["id"] == entry.id


def test_killed_at_any_line_it_has_the_artefact_whole_or_not_at_all(home: Path) -> None:
    def keep(*, killed_at: int) -> int:
        """Keep something, counting the lines of the ledger that run; the process ends at one of them."""
        lines = 0

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal lines
            if frame.f_code.co_filename != ledger_module.__file__:
                return None
            lines += event == "line"
            if lines == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        with Ledger() as ledger:
            before = sys.gettrace()
            sys.settrace(trace)
            try:
                ledger.keep(made(), RECIPE)
            finally:
                sys.settrace(before)
        return lines

    whole = keep(killed_at=-1)
    assert whole > 30
    counts = []
    for place in range(1, whole + 1):
        if (child := os.fork()) == 0:
            keep(killed_at=place)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        with Ledger() as ledger:
            entries = ledger.history(1000)
            for entry in entries:
                assert hashlib.sha256(entry.path.read_bytes()).hexdigest() == entry.sha256, place
                assert json.loads((entry.path.parent / "recipe.json").read_text())["id"] == entry.id, place
        counts.append(len(entries))
    # Absent before the transaction ends, there after it.
    assert counts[0] == 1
    assert counts[-1] > 1


def test_a_disk_that_fills_up_leaves_the_ledger_as_it_was(home: Path) -> None:
    with Ledger() as ledger:
        kept = ledger.keep(made(), RECIPE)
    before = sorted(p.name for p in (home / "artefacts").iterdir())
    program = (
        "import sys\nfrom tests.ledger.test_ledger import Ledger, RECIPE, made\n"
        "with Ledger() as ledger:\n    ledger.keep(made(' ran' * 100_000), RECIPE)\n"
    )

    def small_disk() -> None:
        """No file may grow beyond 200 kB: writing fails as it does on a full disk."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        [sys.executable, "-c", program],
        preexec_fn=small_disk,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
        check=False,
    )
    assert "StorageError: can't write to the data folder" in done.stderr
    assert sorted(p.name for p in (home / "artefacts").iterdir()) == before
    with Ledger() as ledger:
        assert [entry.id for entry in ledger.history()] == [kept.id]


def test_a_file_that_is_no_ledger_is_named_and_left_alone(home: Path) -> None:
    home.mkdir()
    file = home / "ledger.sqlite"
    file.write_text("my diary, which happens to have this name\n" * 100)
    with pytest.raises(StorageError, match="is not a Genarium ledger"):
        Ledger()
    assert file.read_text().startswith("my diary")


def test_another_programs_database_is_left_alone(home: Path) -> None:
    home.mkdir()
    with sqlite3.connect(home / "ledger.sqlite") as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    with pytest.raises(StorageError, match="another program's tables"):
        Ledger()


def test_a_later_format_is_left_to_a_later_genarium(home: Path) -> None:
    Ledger().close()
    with sqlite3.connect(home / "ledger.sqlite") as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(StorageError, match="later Genarium"):
        Ledger()


def test_a_folder_that_can_not_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENARIUM_HOME", "/proc/genarium")
    with pytest.raises(StorageError, match="set GENARIUM_HOME to another folder"):
        Ledger()


def test_a_file_that_is_missing_or_changed_is_noticed_and_put_back_by_equal_bytes() -> None:
    with Ledger() as ledger:
        kept = [ledger.keep(made(f" {verb}."), RECIPE) for verb in ("ran", "sang", "slept")]
        assert ledger.damaged() == []
        shutil.rmtree(ledger.find(kept[0].id).path.parent)
        ledger.find(kept[1].id).path.write_text("The fox lied.")
        assert ledger.damaged() == [(kept[1].id, "changed"), (kept[0].id, "missing")]
        before = [ledger.find(one.id) for one in kept]
        assert [entry.state for entry in before] == ["missing", "changed", "whole"]
        assert restore(before[0], made(" ran.")) is None
        aside = restore(before[1], made(" sang."))
        assert aside is not None
        assert aside.read_text() == "The fox lied."
        assert ledger.damaged() == []
        mark = json.loads((before[0].path.parent / "recipe.json").read_text())
        assert (mark["ai_generated"], mark["sha256"], mark["created"]) == (True, before[0].sha256, before[0].created)
        assert Recipe.from_dict(mark["recipe"]) == RECIPE


def test_eight_that_make_a_new_one_at_once_all_open_it(tmp_path: Path) -> None:
    program = "import sys, time\nfrom genarium.ledger import Ledger\nprint(flush=True)\nsys.stdin.readline()\n"
    program += "for home in sys.argv[1:]:\n    import pathlib\n    Ledger(pathlib.Path(home)).close()"
    homes = [str(tmp_path / str(number)) for number in range(10)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, *homes],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate()[1] for process in processes] == [""] * 8


@pytest.mark.parametrize("moment", ["rename", "commit"])
def test_what_a_killed_process_left_is_swept_and_what_lives_is_not(home: Path, moment: str) -> None:
    """Killed with the artefact half-written, or renamed and not recorded."""
    with Ledger() as ledger:
        kept = ledger.keep(made(), RECIPE)
    if (child := os.fork()) == 0:
        with Ledger() as ledger:
            kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
            if moment == "rename":
                Path.rename = kill  # type: ignore[method-assign,assignment]
            else:
                ledger.connection.set_trace_callback(lambda said: kill() if said == "COMMIT" else None)
            ledger.keep(made(), RECIPE)
        os._exit(0)
    os.waitpid(child, 0)
    left = [file.name for file in (home / "artefacts").iterdir() if file.name != kept.id]
    assert len(left) == len(list((home / "unfinished").iterdir())) == 1
    alive = files.open_locked(home / "unfinished" / "00aa")
    (home / "artefacts" / ".00aa.part").mkdir()
    with Ledger() as ledger:
        assert [entry.id for entry in ledger.history()] == [kept.id]
    assert {file.name for file in (home / "artefacts").iterdir()} == {kept.id, ".00aa.part"}
    assert alive is not None
    os.close(alive)
    Ledger().close()
    assert {file.name for file in (home / "artefacts").iterdir()} == {kept.id}
    assert not list((home / "unfinished").iterdir())

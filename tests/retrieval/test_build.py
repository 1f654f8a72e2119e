"""Indexing: only what changed is read, a kill loses nothing committed, and one process writes at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from genarium import progress
from genarium.errors import BadInput, StorageError
from genarium.retrieval import chosen, documents, places
from genarium.retrieval.build import BATCH, Report, build
from genarium.retrieval.document import Unreadable
from genarium.retrieval.store import Index


def embed(texts: Sequence[str]) -> np.ndarray:
    """A vector of letters: enough to see which text it came from."""
    counts = np.array([[text.lower().count(chr(97 + n)) + 1 for n in range(26)] for text in texts], dtype=np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def index(folder: Path, *, encoder: str = "letters", name: str | None = None) -> Report:
    return build(folder, embed, encoder=encoder, encoder_digest=encoder, name=name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path / "home"))
    made = tmp_path / "notes"
    (made / "deep").mkdir(parents=True)
    (made / "one.txt").write_text("The lighthouse keeper counts the ships.")
    (made / "deep" / "two.md").write_text("# Boats\n\nThe ferry sails at noon.")
    return made


def contents(name: str) -> list[tuple[str, int, str, bytes]]:
    """Every passage with its file and vector, in an order that does not depend on how they came in."""
    with Index(name) as opened:
        numbers, matrix = opened.vectors()
        found = []
        for hit, vector in zip(opened.hits([int(n) for n in numbers]), matrix, strict=True):
            found.append((hit.file, hit.start, hit.text, vector.tobytes()))
        return sorted(found)


def digest(name: str) -> str:
    with Index(name) as opened:
        return opened.digest()


def test_only_what_is_new_or_changed_is_read_again(folder: Path) -> None:
    first = index(folder)
    assert sorted(first.added) == ["deep/two.md", "one.txt"]
    before = digest("notes")
    again = index(folder)
    assert (again.new_passages, sorted(again.unchanged)) == (0, ["deep/two.md", "one.txt"])
    os.utime(folder / "one.txt", (1, 1))  # touched, not changed: known by its sha256
    assert index(folder).new_passages == 0
    assert digest("notes") == before
    (folder / "one.txt").write_text("The keeper sleeps.")
    (folder / "three.txt").write_text("A new gull.")
    changed = index(folder)
    assert (changed.changed, changed.added, changed.new_passages) == (["one.txt"], ["three.txt"], 2)
    assert digest("notes") != before
    with Index("notes") as opened:
        assert opened.search_words(["lighthouse"], 5) == []
        assert len(opened.search_words(["gull", "keeper"], 5)) == 2


def test_what_is_gone_from_the_folder_is_gone_from_the_index(folder: Path) -> None:
    index(folder)
    (folder / "one.txt").unlink()
    assert index(folder).removed == ["one.txt"]
    assert [hit[0] for hit in contents("notes")] == ["deep/two.md"]
    with Index("notes") as opened:
        assert opened.search_words(["lighthouse"], 5) == []


def test_links_and_hidden_and_unreadable_files_are_left_out_and_said(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("The secret is here.")
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    (folder / "linked").symlink_to(outside)
    (folder / ".hidden.txt").write_text("The secret is here.")
    (folder / "noise.bin").write_bytes(bytes(range(256)))
    report = index(folder)
    assert report.skipped == {
        "link.txt": "a symbolic link, not followed",
        "linked": "a symbolic link, not followed",
        "noise.bin": "binary, not text",
    }
    assert report.files == 2
    with Index("notes") as opened:
        assert opened.search_words(["secret"], 5) == []
    assert index(folder).skipped == report.skipped  # still said, though not read again


def test_what_could_not_be_read_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path) -> bytes:
        if path.name == "one.txt":
            raise Unreadable("can't be read: Permission denied")
        return path.read_bytes()

    with monkeypatch.context() as patch:
        patch.setattr(documents, "load", load)
        assert index(folder).skipped == {"one.txt": "can't be read: Permission denied"}
        assert index(folder).skipped == {"one.txt": "can't be read: Permission denied"}
    again = index(folder)
    assert (again.skipped, again.changed) == ({}, ["one.txt"])


def test_recordings_are_left_out_by_name_however_large(folder: Path) -> None:
    (folder / "song.mp3").write_bytes(b"ID3" + bytes(100))
    film = folder / "film.mp4"
    film.touch()
    os.truncate(film, 2 * documents.MAX_FILE)
    (folder / "film.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nThe gull has landed.\n")
    report = index(folder)
    assert {path: why.partition(";")[0] for path, why in report.skipped.items()} == {
        "song.mp3": "sound",
        "film.mp4": "video",
    }
    with Index("notes") as opened:
        assert len(opened.search_words(["gull"], 5)) == 1


def test_a_file_of_many_passages_is_embedded_a_few_at_a_time(folder: Path) -> None:
    (folder / "long.txt").write_text("\n\n".join(f"Chapter {n}. " + "The keeper counts. " * 40 for n in range(600)))
    given: list[int] = []
    shown: list[tuple[str, int, int | None]] = []

    def few(texts: Sequence[str]) -> np.ndarray:
        given.append(len(texts))
        return embed(texts)

    with progress.listening(lambda event: shown.append((event.stage, event.done, event.total))):
        report = build(folder, few, encoder="letters", encoder_digest="letters")
    assert max(given) == BATCH
    assert sum(given) == report.passages >= 600
    assert [done for stage, done, _ in shown if stage == "embedding"][-1] >= 600
    whole = contents("notes")
    places.remove("notes")
    index(folder)
    assert contents("notes") == whole


def test_folders_that_hold_nothing_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not there"):
        index(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="a file"):
        index(folder / "one.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="nothing that can be read"):
        index(tmp_path / "empty")
    (tmp_path / "empty" / "noise.bin").write_bytes(bytes(range(256)))
    with pytest.raises(BadInput, match=r"noise\.bin: binary"):
        index(tmp_path / "empty")
    assert places.names() == []
    index(folder)
    for file in (folder / "one.txt", folder / "deep" / "two.md"):
        file.unlink()
    with pytest.raises(BadInput, match="stays as it was"):
        index(folder)
    assert len(contents("notes")) == 2


def test_names_are_one_folder_each(folder: Path, tmp_path: Path) -> None:
    index(folder)
    other = tmp_path / "elsewhere" / "notes"
    other.mkdir(parents=True)
    (other / "x.txt").write_text("Another.")
    with pytest.raises(BadInput, match="--name"):
        index(other)
    index(other, name="more")
    assert places.names() == ["more", "notes"]
    assert (chosen.named(str(other)), chosen.named(str(folder)), chosen.named("more")) == ("more", "notes", "more")
    with pytest.raises(BadInput, match="which index"):
        chosen.named(None)
    for bad in ("../up", ".hidden", "a/b", ""):
        with pytest.raises(BadInput, match="can't be called"):
            index(folder, name=bad)
    places.remove("more")
    assert chosen.named(None) == "notes"


def test_another_encoder_makes_the_index_anew(folder: Path) -> None:
    index(folder)
    assert index(folder, encoder="others").new_passages == 2
    assert len(contents("notes")) == 2


SLOW = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from genarium.retrieval import build
from test_build import embed
build.BATCH = 4
batches = 0
def slow(texts):
    global batches
    batches += 1
    if batches > 6:
        time.sleep(3600)  # until it is killed
    return embed(texts)
build.build(Path(sys.argv[1]), slow, encoder="letters", encoder_digest="letters")
"""


def test_a_kill_loses_nothing_committed_and_the_next_run_completes(folder: Path, tmp_path: Path) -> None:
    for number in range(60):
        (folder / f"{number:02}.txt").write_text(f"Note {number} of the keeper. " * 50)
    code = SLOW.format(tests=str(Path(__file__).parent))
    running = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    try:
        committed = 0
        until = time.monotonic() + 600
        while committed < 8 and time.monotonic() < until:
            time.sleep(0.02)
            if "notes" in places.names():
                with Index("notes") as opened:
                    committed = len(opened.files())
        assert 0 < committed < 62
        with pytest.raises(StorageError, match="being written by another process"):
            index(folder)
        running.send_signal(signal.SIGKILL)
    finally:
        running.kill()
        running.wait()
    with Index("notes") as opened:
        kept = opened.files()
        assert opened.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        opened.connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")  # raises where they differ
    assert committed <= len(kept) < 62
    resumed = index(folder)
    assert sorted(resumed.unchanged) == sorted(kept)
    assert resumed.files == 62
    after = contents("notes")
    places.remove("notes")
    index(folder)
    assert contents("notes") == after


def test_a_damaged_index_is_said_and_can_be_removed(folder: Path) -> None:
    index(folder)
    (places.folder() / "notes" / "index.sqlite").write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(StorageError, match="--remove notes"):
        Index("notes")
    places.remove("notes")
    assert places.names() == []

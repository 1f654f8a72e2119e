"""Files appear whole or not at all, whoever else writes them, and whatever is there already; names are checked."""

from __future__ import annotations

import multiprocessing
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from genarium import files
from genarium.errors import BadInput, StorageError


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def write_often(file: Path, letter: bytes) -> None:
    for _ in range(50):
        files.write_atomically(file, letter * 50_000)


@pytest.mark.parametrize("worker", [threading.Thread, multiprocessing.get_context("fork").Process])
def test_of_many_that_write_one_file_one_is_last(tmp_path: Path, worker: type) -> None:
    file = tmp_path / "x.txt"
    workers = [worker(target=write_often, args=(file, letter)) for letter in (b"a", b"b", b"c")]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    content = file.read_bytes()
    assert content in (b"a" * 50_000, b"b" * 50_000, b"c" * 50_000)
    assert names(tmp_path) == ["x.txt"]


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    killed = "import os, signal\nos.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
    killed += (
        "import sys, pathlib\nfrom genarium import files\nfiles.write_atomically(pathlib.Path(sys.argv[1]), b'x' * 9)"
    )
    subprocess.run([sys.executable, "-c", killed, str(tmp_path / "x.txt")], check=False)
    assert names(tmp_path) == [".x.txt.part"]
    files.write_atomically(tmp_path / "x.txt", b"whole")
    assert names(tmp_path) == ["x.txt"]
    assert (tmp_path / "x.txt").read_bytes() == b"whole"


def test_a_link_stays_one_and_what_was_private_stays_so(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x.txt").write_bytes(b"old")
    (tmp_path / "there" / "x.txt").chmod(0o600)
    (tmp_path / "link").symlink_to("there/x.txt")
    files.write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "x.txt").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "there" / "x.txt").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "a" * 245 + ".txt", "\udcff.txt"])
def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path, name: str) -> None:
    files.write_output(files.named(tmp_path / name), b"x")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("~nosuchuser/x", "there is no user 'nosuchuser'"),
        ("x" * 300, "x… (300 characters): file name too long"),
        ("x/" * 3000, "file name too long"),
        ("a\0b", "is no path"),
    ],
)
def test_a_name_that_nothing_can_have_is_a_sentence(name: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        files.named(name)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_pipe_and_a_device_are_written_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(BadInput, match="nothing reads from"):
        files.write_output(pipe, b"x")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    content = b"whole" * 100_000  # more than a pipe holds
    while not read:
        try:
            files.write_output(pipe, content)
            break
        except BadInput:  # the reader is not there yet
            continue
    reader.join(600)
    assert read == [content]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    (tmp_path / "null").symlink_to("/dev/null")
    files.write_output(tmp_path / "null", b"x")
    assert stat.S_ISCHR((tmp_path / "null").stat().st_mode)
    with pytest.raises(StorageError, match="no space left"):
        files.write_output(Path("/dev/full"), b"x")


def test_standard_output_by_its_name_is_written_behind_what_was_said(tmp_path: Path) -> None:
    program = "import pathlib\nfrom genarium import files\nprint('first')\n"
    program += "files.write_output(pathlib.Path('/dev/stdout'), b'then\\n')"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "first\nthen\n"


def test_links_in_a_circle_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StorageError, match="can't write"):
        files.write_output(files.named(tmp_path / "a"), b"x")

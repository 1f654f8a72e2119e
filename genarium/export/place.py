"""Where an export goes: written beside its place, and there whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from genarium import files
from genarium.errors import BadInput, StorageError

WRITTEN = (".json", ".jinja", ".txt", ".model", ".md", ".safetensors", ".onnx", ".data")
"""Endings of what a folder that is written here may hold; another folder is replaced by nobody."""


@contextmanager
def placed(target: Path, *, folder: bool, overwrite: bool, source: Path) -> Iterator[Path]:
    """A new file or folder to write, which becomes `target` at the end of the block; after an error nothing is left.

    Raises BadInput where something is there (unless `overwrite`), StorageError where writing fails.
    """
    _check(target, folder=folder, overwrite=overwrite, source=source)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.", suffix=".part", dir=target.parent))
    except OSError as error:
        raise _failed(target, error) from None
    try:
        made = beside / target.name
        if folder:
            made.mkdir()
        yield made
        for file in [made] if not folder else made.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        if folder and target.exists():
            target.rename(beside / "before")
        made.replace(target)
    except OSError as error:
        with suppress(OSError):
            if (beside / "before").exists() and not target.exists():
                (beside / "before").rename(target)
        raise _failed(target, error) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check(target: Path, *, folder: bool, overwrite: bool, source: Path) -> None:
    if not target.exists():
        return
    if target.resolve() == source.resolve() or target.resolve() in source.resolve().parents:
        raise BadInput(f"{target} holds the model itself; name another place")
    if folder != target.is_dir() or files.is_device(target):
        raise BadInput(f"{target} is {'no' if folder else 'a'} folder; name another place")
    if not overwrite and not (folder and not any(target.iterdir())):
        raise BadInput(f"{target} is there already; name another place, or say to replace it with --overwrite")
    if folder and (
        strange := sorted(one.name for one in target.iterdir() if one.is_dir() or one.suffix not in WRITTEN)
    ):
        raise BadInput(f"{target} holds {strange[0]}, which is no part of an export; name another place")


def _failed(target: Path, error: OSError) -> StorageError:
    why = files.reason(error) if error.errno else "only a part of it could be written"  # numpy's own has no number
    return StorageError(
        f"can't write {files.shortened(str(target), 300)}: {why}; free some space or name another "
        "place (nothing is left half-written)"
    )

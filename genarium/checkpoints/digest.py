"""The digest of a checkpoint: one sha256 over the files that decide what it says."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from genarium import files
from genarium.errors import StorageError

DECIDING = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
STATE_DICTS = ("*.pt", "*.bin")  # where a folder has no safetensors: see `state_dict.py`
NOT_DECIDING = ("training.safetensors", "training.json", "training_args.json")


def checkpoint_files(path: Path) -> list[Path]:
    """The files that decide a checkpoint's outputs, sorted by name, sub-folders included."""
    found = {file for pattern in DECIDING for file in path.rglob(pattern) if file.is_file()}
    found |= {
        file
        for pattern in STATE_DICTS
        for file in path.rglob(pattern)
        if file.is_file() and not any(file.parent.glob("*.safetensors"))
    }
    visible = (
        f for f in found if f.name not in NOT_DECIDING and not any(p.startswith(".") for p in f.relative_to(path).parts)
    )
    return sorted(visible, key=lambda file: file.relative_to(path).as_posix())


def of_folder(path: Path) -> str:
    """sha256 over the sorted lines `sha256  name` of `checkpoint_files`, hexadecimal."""
    listed = checkpoint_files(path)
    lines = [f"{h}  {file.relative_to(path).as_posix()}\n" for h, file in zip(_hashes(listed), listed, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def of_file(file: Path) -> str:
    """sha256 of one file of a checkpoint, hexadecimal."""
    return _hashes([file])[0]


def _hashes(listed: Sequence[Path]) -> list[str]:
    """Each file's sha256, remembered by path, size and modification time, so that a large model is read once."""
    cache = files.home() / "digests.json"
    known = _read_cache(cache)
    fresh = False
    hashes = []
    for file in listed:
        stat = file.stat()
        key = f"{file.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        if key not in known:
            known[key] = files.sha256(file)
            fresh = True
        hashes.append(known[key])
    if fresh and files.home().is_dir():
        # Only a shortcut: where it can't be kept, the next call reads the files again.
        with contextlib.suppress(StorageError):
            files.write_atomically(cache, json.dumps(known).encode())
    return hashes


def _read_cache(cache: Path) -> dict[str, str]:
    try:
        loaded = json.loads(cache.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}

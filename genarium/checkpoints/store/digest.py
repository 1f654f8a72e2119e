"""The digest of a checkpoint: one sha256 over the files that decide what it says."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Sequence
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path

from genarium import files
from genarium.errors import BadCheckpoint, StorageError

DECIDING = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
STATE_DICTS = ("*.pt", "*.bin")  # where a folder has no safetensors: see `state_dict.py`
MARKS = ("config.json", "model_index.json", "adapter_config.json", "modules.json", "*.safetensors", "*.pt", "*.bin")
"""What a checkpoint's folder has at least one of; `min-dalle` keeps its in folders of these names."""
INNER = ("dalle_bart_mini", "dalle_bart_mega")
LARGEST_TEXT = 256 * 2**20
"""Bytes of a file that is not weights: the largest tokenizers have 35 MB."""
MOST_FILES = 20_000
NOT_DECIDING = ("training.safetensors", "training.json", "training_args.json")


def require_checkpoint(path: Path) -> None:
    """Raises BadCheckpoint where the folder is none, which is told by its names alone: nothing in it is read."""
    try:
        names = [entry.name for entry in os.scandir(path)]
    except OSError as error:
        raise BadCheckpoint(f"{path} can't be read: {files.reason(error)}; name another folder") from None
    if not any(fnmatch(name, mark) for name in names for mark in MARKS) and not set(INNER) & set(names):
        raise BadCheckpoint(
            f"{path} has no config.json, so it is not a checkpoint folder; name one in the layout of Hugging Face "
            "(config.json, model.safetensors, tokenizer.json) or of diffusers (model_index.json)"
        )


def checkpoint_files(path: Path) -> list[Path]:
    """The files that decide a checkpoint's outputs, sorted by name, sub-folders included.

    Raises BadCheckpoint where one of them is no ordinary file, or far too large for what it is.
    """
    found: list[Path] = []
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        weighted = any(fnmatch(name, "*.safetensors") for name in names)
        patterns = DECIDING if weighted else (*DECIDING, *STATE_DICTS)
        if any(name.startswith("voices") for name in (*names, *folders)):  # of one that speaks
            patterns = (*patterns, "*.onnx")
        for name in names:
            if name.startswith(".") or name in NOT_DECIDING or not any(fnmatch(name, one) for one in patterns):
                continue
            file = Path(folder) / name
            if _is_file(file):
                found.append(file)
        if len(found) > MOST_FILES:
            raise BadCheckpoint(f"{path} holds more than {MOST_FILES:,} files; name a checkpoint's own folder")
    return sorted(found, key=lambda file: file.relative_to(path).as_posix())


def _is_file(file: Path) -> bool:
    """Whether it is there. Raises BadCheckpoint where reading it would wait for ever, or fill the memory."""
    try:
        told = file.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):  # a link that leads nowhere
            return False
        raise BadCheckpoint(f"{file} can't be read: {files.reason(error)}; get the folder again") from None
    if not stat.S_ISREG(told.st_mode):
        raise BadCheckpoint(f"{file} is a pipe or a device, not an ordinary file; get the folder again")
    if told.st_size > LARGEST_TEXT and not fnmatch(file.name, "*.safetensors") and file.suffix not in (".pt", ".bin"):
        raise BadCheckpoint(f"{file} is larger than {LARGEST_TEXT // 2**20} MiB; get the folder again")
    return True


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

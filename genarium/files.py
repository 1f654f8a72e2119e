"""Files that appear whole or not at all, and the folder where a user's things live."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from genarium.errors import StorageError


def home() -> Path:
    """The user's data folder: `GENARIUM_HOME`, else the platform's place for application data."""
    if named := os.environ.get("GENARIUM_HOME"):
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("genarium", appauthor=False))


def place_of(file: Path) -> str:
    """Where a file is, for a recipe: behind the data folder where it is in there, which may be another tomorrow."""
    file, base = file.resolve(), home().resolve()
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else str(file)


def at(place: str) -> Path:
    """The file at a place that `place_of` told."""
    return home() / place


def write_atomically(file: Path, content: bytes) -> None:
    """Write beside the file, flush to disk, then rename over it: a crash leaves the old file or the new.

    Raises StorageError (disk full, read-only folder); the old file is then untouched.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    except OSError as error:
        remove_quietly(part)
        raise StorageError(
            f"can't write {file}: {reason(error)}; free some space or choose another folder "
            "(what was saved before is untouched)"
        ) from None
    except BaseException:
        remove_quietly(part)
        raise


def sha256(file: Path) -> str:
    """sha256 of the file's content, hexadecimal. Raises StorageError where it can't be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"can't read {file}: {reason(error)}") from None


def remove_quietly(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """The system's own words for the error, in lower case: 'no space left on device'."""
    return (error.strerror or str(error)).lower()

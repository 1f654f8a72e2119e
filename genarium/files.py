"""Files that appear whole or not at all, the names people give them, and the folder where a user's things live."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from genarium.errors import BadInput, StorageError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LONGEST_NAME = 255
"""Bytes of a file's name on all usual file systems."""
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""Errors that say of a name only that nothing is there."""
OPENED = re.compile(r"/dev/(stdout|stderr|fd/\d+)|/proc/[^/]+/fd/\d+")
"""Names of what this process has open already, which may be an ordinary file and yet must not be replaced."""


def home() -> Path:
    """The user's data folder: `GENARIUM_HOME`, else the platform's place for application data. Raises BadInput."""
    if there := os.environ.get("GENARIUM_HOME"):
        return named(there)
    import platformdirs

    return Path(platformdirs.user_data_dir("genarium", appauthor=False))


def named(name: str | Path) -> Path:
    """The path a person means, `~` expanded. Raises BadInput where nothing can have that name or it can't be looked at.

    So `is_file` and its like answer for it, whatever it is.
    """
    try:
        path = Path(name).expanduser()
        path.stat()
    except RuntimeError:
        user = str(name).partition("/")[0]
        raise BadInput(f"there is no user {shortened(user[1:])!r} on this machine; write the path out") from None
    except ValueError:  # a byte that no path has
        raise BadInput(f"{shortened(str(name))!r} is no path; name a file or a folder") from None
    except OSError as error:
        if error.errno not in ABSENT:
            raise BadInput(f"can't use {shortened(str(name))}: {reason(error)}; name another path") from None
    return path


def shortened(text: str, most: int = 80) -> str:
    """The text for a sentence: of a long one the beginning, and how long it is."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def place_of(file: Path) -> str:
    """Where a file is, for a recipe: after the data folder where it is in there, which may be another tomorrow."""
    file, base = file.resolve(), home().resolve()
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else str(file)


def at(place: str) -> Path:
    """The file at a place that `place_of` told."""
    return home() / place


def write_atomically(file: Path, content: bytes | Iterable[bytes | memoryview]) -> None:
    """Write beside the file, flush to disk, then rename over it: a crash leaves the old file or the new.

    What is large may come in parts. A link stays one: what it leads to is written. Of several that write one file at
    once, one is last. Raises StorageError (disk full, read-only folder); the old file is then untouched.
    """
    try:
        file = file.resolve()
        if file.is_symlink():  # a circle, at which Python before 3.13 raises this by itself
            raise RuntimeError
        file.parent.mkdir(parents=True, exist_ok=True)
        part, opened = _open_part(file)
        with os.fdopen(opened, "wb") as out:
            try:
                with contextlib.suppress(OSError):  # what was private stays so
                    part.chmod(stat.S_IMODE(file.stat().st_mode))
                out.truncate()
                for part_of_it in [content] if isinstance(content, bytes) else content:
                    out.write(part_of_it)
                out.flush()
                os.fsync(opened)
                if fcntl is None:  # Windows renames no open file
                    out.close()
                part.replace(file)  # while it is locked: nobody else writes into it
            except BaseException:
                remove_quietly(part)
                raise
    except (OSError, RuntimeError) as error:
        why = reason(error) if isinstance(error, OSError) else "its links lead round in a circle"
        raise StorageError(
            f"can't write {shortened(str(file), 300)}: {why}; free some space or choose another folder "
            "(what was saved before is untouched)"
        ) from None


def _open_part(file: Path) -> tuple[Path, int]:
    """A new file beside `file` to write its content into, and its descriptor. Raises OSError.

    It has the same name each time, and is locked: so what a killed process left is written over, not left lying.
    """
    part = file.with_name(f".{file.name}.part")
    if len(os.fsencode(part.name)) > LONGEST_NAME:
        part = file.with_name(f".{hashlib.sha256(os.fsencode(file.name)).hexdigest()}.part")
    if (opened := open_locked(part)) is not None:
        return part, opened
    part = file.with_name(f".{secrets.token_hex(16)}.part")
    return part, os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)


def open_locked(file: Path, *, wait: bool = True) -> int | None:
    """The descriptor of a file, made where it is not there, which nobody else has until it is closed or we end.

    None where another has it (without `wait`), where it is another user's, and where nothing can be locked. Raises
    OSError.
    """
    while fcntl is not None:
        opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            if os.fstat(opened).st_uid == os.geteuid():  # in a folder that several share: what is theirs is not used
                fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                if os.path.samestat(os.fstat(opened), file.lstat()):
                    return opened
                os.close(opened)  # who had it before renamed or removed it
                continue
        except FileNotFoundError:
            os.close(opened)
            continue
        except OSError:  # it is locked, or the file system has no locks
            pass
        os.close(opened)
        break
    return None


def write_output(file: Path, content: bytes) -> None:
    """Write a result where a person wants it: a file whole or not at all, a pipe or a device as it is.

    Raises BadInput where the place takes nothing, StorageError where writing fails.
    """
    if not is_device(file):
        write_atomically(file, content)
        return
    try:
        if stat.S_ISBLK(file.stat().st_mode):
            raise BadInput(f"{file} is a disk; name a file on it")
        sys.stdout.flush()  # which it may be another name of
        # Not blocking: a pipe that nobody reads would wait for ever.
        opened = os.open(file, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(opened, "wb") as out:
            os.set_blocking(opened, True)
            out.write(content)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise BadInput(f"nothing reads from {file}; start its reader first, or name a file") from None
        raise StorageError(f"can't write to {file}: {reason(error)}; name a file") from None


def is_device(file: Path) -> bool:
    """Whether it is there and neither an ordinary file nor a folder: a pipe, a device, a socket, or already open."""
    try:
        mode = file.stat().st_mode
    except OSError:
        return False
    return OPENED.fullmatch(str(file)) is not None or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def sha256(file: Path) -> str:
    """sha256 of the file's content, hexadecimal. Raises StorageError where it can't be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"can't read {file}: {reason(error)}") from None


def remove_quietly(file: Path | None) -> None:
    if file is not None:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """The system's own words for the error, in lower case: 'no space left on device'."""
    return (error.strerror or str(error)).lower()

"""What is in a folder: the files that can be indexed, and how each is now."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from genarium import files
from genarium.retrieval.hits import Kept

NEVER = frozenset(("__pycache__", "node_modules"))
Seen = tuple[int, int]
"""A file's size and time of change."""
Listed = tuple[str, os.stat_result]


def walk(folder: Path, skipped: dict[str, str]) -> Iterator[Listed]:
    """Every ordinary file in the folder, by its path in it, sorted. Hidden ones are passed over in silence,
    of the others `skipped` gets the reason.

    Symbolic links are never followed: what they point to may be outside, or above.
    """

    def unlisted(error: OSError) -> None:
        skipped[os.path.relpath(error.filename, folder)] = f"can't be listed: {files.reason(error)}"

    for where, folders, names in os.walk(folder, onerror=unlisted):
        within = Path(where).relative_to(folder).as_posix()
        prefix = "" if within == "." else f"{within}/"  # names are joined as text: paths take most of the time
        for name in folders:
            if Path(where, name).is_symlink() and not name.startswith("."):
                skipped[prefix + name] = "a symbolic link, not followed"
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in NEVER)
        for name in sorted(names):
            if name.startswith("."):
                continue
            path = prefix + name
            try:
                path.encode()
                status = os.lstat(f"{where}/{name}")
            except UnicodeEncodeError:
                skipped[path.encode("utf-8", "replace").decode()] = "its name is not UTF-8; rename it"
            except OSError as error:
                skipped[path] = f"can't be read: {files.reason(error)}"
            else:
                if stat.S_ISREG(status.st_mode):
                    yield path, status
                else:
                    link = stat.S_ISLNK(status.st_mode)
                    skipped[path] = "a symbolic link, not followed" if link else "not an ordinary file"


def looked_at(folder: Path) -> dict[str, Seen]:
    """Every file there is to index, by its path in the folder; none where the folder is not there."""
    return {path: (status.st_size, status.st_mtime_ns) for path, status in walk(folder, {})}


def state(folder: Path, kept: Mapping[str, Kept]) -> str:
    """Whether the folder is still as it was indexed, in words; only sizes and times are looked at."""
    if not folder.is_dir():
        return "its folder is gone"
    now = looked_at(folder)
    then = {path: (file.size, file.mtime) for path, file in kept.items()}
    new, gone = len(now.keys() - then.keys()), len(then.keys() - now.keys())
    changed = sum(now[path] != then[path] for path in now.keys() & then.keys())
    words = [f"{count} {what}" for count, what in ((new, "new"), (changed, "changed"), (gone, "gone")) if count]
    return f"out of date ({', '.join(words)})" if words else "up to date"

"""Files that clients hand in for arguments that are files: by content, so that a recipe with them can be made again.

Over HTTP an argument that is a file never is a path: a client names a file it sent before (`file-…`), an artefact
(`artefact:ID`), or sends the file in place (`data:image/png;base64,…`). Where a task takes photos by URL they may name
one too, which is fetched from public addresses only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote_to_bytes

from genarium import files
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.signature import Parameter
from genarium.tasks.task import Task

FILE_ID = re.compile(r"file-([0-9a-f]{64})(\.[a-z0-9]{1,8})?")
SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "audio/wav": ".wav",
    "audio/mpeg": ".mp3",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/webm": ".webm",
    "audio/mp4": ".m4a",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "application/jsonl": ".jsonl",
    "text/tab-separated-values": ".tsv",
}


def folder() -> Path:
    return files.home() / "uploads"


def keep(content: bytes, name: str) -> str:
    """The id of this content, which is kept under it; only the ending of `name` is looked at."""
    suffix = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    suffix = suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
    identifier = f"file-{hashlib.sha256(content).hexdigest()}{suffix}"
    file = folder() / identifier
    if not file.exists():
        files.write_atomically(file, content)
    return identifier


def find(identifier: str) -> Path:
    """Raises BadInput where nothing of that id is here."""
    if not FILE_ID.fullmatch(identifier):
        raise BadInput(f"{identifier[:80]!r} is no file's id; send the file to POST /v1/files first")
    file = folder() / identifier
    if not file.is_file():
        raise BadInput(f"no file {identifier[:80]}; send it to POST /v1/files again")
    return file


def resolve(reference: Any, name: str) -> Path:
    """The file that a client means by `file-…`, `artefact:ID` or `data:…`. Raises BadInput."""
    if not isinstance(reference, str):
        raise BadInput(f"{name} must be a file: file-…, artefact:ID or a data: URL")
    if reference.startswith("data:"):
        return find(_inline(reference, name))
    if reference.startswith("artefact:"):
        with Ledger() as ledger:
            return ledger.find(reference.removeprefix("artefact:")).path
    if reference.startswith("file-"):
        return find(reference)
    raise BadInput(
        f"{name} can't be a path on the server; send the file to POST /v1/files and give the id it gets, name an "
        "artefact (artefact:ID), or give a data: URL"
    )


def is_file(parameter: Parameter) -> bool:
    """Whether the argument is a file, or text that may name one (or a folder, or standard input)."""
    return parameter.type is Path or parameter.verbatim


def resolve_all(task: Task, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with every file as a path of this machine. Raises BadInput."""
    found = dict(arguments)
    if found.get("allow_private"):
        raise BadInput("allow_private is for whoever sits at the server; send the picture itself")
    for parameter in task.parameters:
        value = found.get(parameter.name)
        if is_file(parameter) and value is not None:
            if parameter.repeated and isinstance(value, list):
                found[parameter.name] = [_resolve_for(parameter, one) for one in value]
            else:
                found[parameter.name] = _resolve_for(parameter, value)
    return found


def _resolve_for(parameter: Parameter, value: Any) -> Path | str:
    if not parameter.verbatim:
        return resolve(value, parameter.name)
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return value
    return str(resolve(value, parameter.name))


def _inline(url: str, name: str) -> str:
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma:
        raise BadInput(f"{name} is no data: URL; it is written like data:image/png;base64,iVBORw0…")
    media_type, *options = head.split(";")
    try:
        content = base64.b64decode(data, validate=True) if "base64" in options else unquote_to_bytes(data)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"{name} is no data: URL: {error}") from None
    return keep(content, "x" + SUFFIXES.get(media_type.strip().lower(), ""))

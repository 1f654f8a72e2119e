"""A folder of pictures, with captions beside them, as people have it.

a.jpg, a.txt                            a text file of the same name
metadata.jsonl: {"file_name": "a.jpg", "text": "a red bird"}
metadata.csv:   file_name,text          the Hugging Face imagefolder layout, both also in folders below
a.jpg                                   or pictures alone
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genarium.data.tables import read_table, require_rows
from genarium.data.text import read
from genarium.errors import BadInput
from genarium.progress import note_left_out

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
METADATA = ("metadata.jsonl", "metadata.csv")
FILE, CAPTION = "file_name", "text"


@dataclass(frozen=True)
class Listed:
    """A picture that may be there: `name` is its path below the folder, `caption` empty where nothing says it."""

    file: Path
    name: str
    caption: str


def list_images(folder: Path) -> list[Listed]:
    """All pictures below the folder and all that its metadata names, in the order of their names. None is opened.

    Raises BadInput where there are none, or metadata can't be read.
    """
    if not folder.is_dir():
        what = "is a file; name the folder it lies in" if folder.exists() else "is not there"
        raise BadInput(f"no pictures: {folder} {what}")
    captions: dict[str, str] = {}
    files: dict[str, Path] = {}
    others: list[Path] = []
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if any(part.startswith((".", "__MACOSX")) for part in name.parts):
            continue
        if file.name in METADATA:
            for inner, caption in _read_metadata(file):
                below = (name.parent / inner).as_posix()
                files[below], captions[below] = file.parent / inner, caption
        elif file.suffix.lower() in ENDINGS and file.is_file():
            files.setdefault(name.as_posix(), file)
        elif file.is_file():
            others.append(file)
    if not files:
        raise BadInput(f"{folder} has no pictures; put PNG, JPEG, WebP, GIF, BMP or TIFF files there")
    beside = {file.with_suffix(".txt") for file in files.values()}
    note_left_out(folder, (str(file.relative_to(folder)) for file in others if file not in beside), "images")
    return [Listed(files[name], name, captions.get(name) or _beside(files[name])) for name in sorted(files)]


def _read_metadata(file: Path) -> list[tuple[str, str]]:
    table = require_rows(read_table(file))
    names = table.texts(FILE)
    captions = table.texts(CAPTION) if CAPTION in table.columns else [""] * len(names)
    for name, number in zip(names, table.numbers, strict=True):
        if not name:
            raise BadInput(f"{file}, row {number}: no {FILE}; name the picture")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BadInput(f"{file} names {name!r}, which leads out of its folder; put the pictures beside it")
    return [(name, " ".join(caption.split())) for name, caption in zip(names, captions, strict=True)]


def _beside(file: Path) -> str:
    text = file.with_suffix(".txt")
    return " ".join(read(text).split()) if text.is_file() else ""

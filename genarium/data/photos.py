"""Users' photos, videos and sounds by any name: a file, a folder of them, a URL, or standard input, kept by content.

What has no place of its own (standard input, a URL's content) is put under HOME/photos by its sha256, so that a recipe
finds again what it was made from.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium import files
from genarium.data import sounds, videos, web
from genarium.data.images import read_image
from genarium.errors import BadInput
from genarium.progress import note_left_out

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Kind:
    """What is asked for: what one is called, what several are, and the endings that a folder is looked through for."""

    one: str
    several: str
    endings: tuple[str, ...]


ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")

SEEN = Kind("picture", "picture or video", (*ENDINGS, *videos.ENDINGS))
HEARD = Kind("sound", "sound or video", sounds.HEARD)


@dataclass(frozen=True)
class Photo:
    """A photo under the name it was given by; its bytes are in `file`."""

    name: str
    file: Path
    sha256: str

    @property
    def moves(self) -> bool:
        """Whether it is a video."""
        return videos.is_video(self.file)

    def read(self) -> Image:
        """As upright RGB. Raises BadInput, which names it as it was given."""
        return read_image(self.file, name=self.name)

    def sampled(self, most: int) -> videos.Film:
        """At most so many frames of a video, evenly chosen. Raises BadInput, which names it as it was given."""
        return videos.sampled(self.file, most, name=self.name)


class Known(str):
    """A photo's name that knows the photo: what a recipe gives back in place of the names it was made from."""

    photo: Photo


def find(asked: Sequence[str], *, private: bool = False, kind: Kind = SEEN) -> list[Photo]:
    """Those behind files, folders (all in them, by name), URLs and `-`. Raises BadInput."""
    found: list[Photo] = []
    for one in asked:
        if isinstance(one, Known):
            found.append(one.photo)
        elif one == "-":
            found.append(_kept("standard input", _standard_input(kind)))
        elif web.is_url(one):
            found.append(_kept(one, web.fetch(one, private=private)))
        else:
            found += _there(one, kind)
    return found


def pin(asked: Sequence[str], *, private: bool = False, kind: Kind = SEEN) -> list[dict[str, str]]:
    """The photos as a recipe names them: by place and sha256. Raises BadInput."""
    return [
        {"name": photo.name, "path": files.place_of(photo.file), "sha256": photo.sha256}
        for photo in find(asked, private=private, kind=kind)
    ]


def pinned(pins: Sequence[dict[str, Any]]) -> list[str]:
    """The names in a recipe, which know their photos. Raises BadInput where one is gone or changed."""
    found = list[str]()
    for pin in pins:
        photo = Photo(pin["name"], files.at(pin["path"]), pin["sha256"])
        if not photo.file.is_file() or files.sha256(photo.file) != photo.sha256:
            raise BadInput(f"{photo.name} is gone or changed since this recipe was written; put it back, or ask anew")
        known = Known(photo.name)
        known.photo = photo
        found.append(known)
    return found


def _there(one: str, kind: Kind) -> list[Photo]:
    place = files.named(one)
    if place.is_file():
        return [_file(one, place)]
    if not place.is_dir():
        what = "photo" if kind is SEEN else kind.one
        raise BadInput(f"no {what} or folder {one!r}; name one, a URL, or - for standard input")
    listed = sorted(file for file in place.iterdir() if file.suffix.lower() in kind.endings and file.is_file())
    if not listed:
        raise BadInput(f"{one} holds no {kind.several} ({', '.join(kind.endings)}); name another folder")
    several = "images or videos" if kind is SEEN else "sounds or videos"
    note_left_out(one, (file.name for file in set(place.iterdir()) - set(listed) if file.is_file()), several)
    return [_file(str(file), file) for file in listed]


def _file(name: str, file: Path) -> Photo:
    place = files.place_of(file)
    # What was sent to a server is named without where its data folder is.
    return Photo(name if Path(place).is_absolute() else place, file.resolve(), files.sha256(file))


def _kept(name: str, content: bytes) -> Photo:
    digest = hashlib.sha256(content).hexdigest()
    file = files.home() / "photos" / digest
    if not file.is_file():
        files.write_atomically(file, content)
    return Photo(name, file, digest)


def _standard_input(kind: Kind) -> bytes:
    content = sys.stdin.buffer.read(web.MOST_BYTES + 1)
    if len(content) > web.MOST_BYTES:
        raise BadInput(f"standard input is larger than {web.MOST_BYTES / 2**20:.0f} MiB; name the file instead")
    if not content:
        raise BadInput(f"standard input is empty; pipe a {kind.one} into it")
    return content

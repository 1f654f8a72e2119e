"""Where training takes pictures from: composed scenes, or a folder of the user's."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from genarium.data.image_folder import Listed, list_images
from genarium.data.images import cover, read_image
from genarium.errors import BadInput
from genarium.files import named, sha256, write_atomically
from genarium.models.thumbnails import spread
from genarium.progress import emit, note
from genarium.scenes.closeups import closeups
from genarium.scenes.world import Scene, Split, World
from genarium.scenes.worlds import SCENES

M = TypeVar("M", bound=nn.Module)
Images = tuple[np.ndarray, list[str]]
SNAP_CELLS = 8
"""Cells of the grid that composed things stand on, along a side."""


SHOWN = (
    "flying batman with colorful sky",
    "flying animals with blue sky and white clouds",
    "flying bird",
    "two red balloons at night",
    "a large eagle over the sea",
    "a cat on the left and a blue car on the right in a room",
    "three bees over a green field",
    "an elephant",
)


class Source(Protocol):
    """Pictures (n, size, size, 3) uint8 and their captions, by number: the same number, the same picture.

    `world_name` is the world of `scenes.worlds` that they are of, if they are of one alone.
    """

    size: int
    identity: dict[str, Any]
    world_name: str | None

    def train(self, first: int, n: int) -> Images: ...

    def validation(self, first: int, n: int) -> Images:
        """Never what training shows; fewer than n where there are no more."""

    def sheet_prompts(self) -> Sequence[str]:
        """Prompts for the sheets that are drawn along the way."""


class Scenes:
    """Composed scenes, endless. What is held out asks for pairs that training never shows.

    Things look the way their sprites do: mirrored ones would be as many again to learn.
    """

    world_name: str | None = SCENES

    def __init__(self, size: int, *, snap: int, seed: int):
        self.size, self.seed = size, seed
        self.world = World(size, snap=snap, flip=False)
        self.identity: dict[str, Any] = {"scenes": {"size": size, "snap": snap, "flip": False, "seed": seed}}

    def train(self, first: int, n: int) -> Images:
        return self.world.arrays(self.seed, first, n)

    def validation(self, first: int, n: int) -> Images:
        return self.world.arrays(self.seed, first, n, "heldout")

    def sheet_prompts(self) -> Sequence[str]:
        return SHOWN

    def scenes(self, first: int, n: int, split: Split) -> list[Scene]:
        """What the pictures of these numbers show."""
        return [self.world.scene(self.seed, number, split) for number in range(first, first + n)]

    def closeups(self, first: int, n: int) -> Images:
        """Windows around single things, half as wide and high."""
        return closeups(self.world, self.seed, first, n)


HELD_OUT = 0.1
"""The share of a folder's pictures that is kept from training."""
FEWEST = 10
"""Pictures below which a folder is refused."""


class Folder:
    """A user's pictures, cropped around their middles to squares, and their captions; each is shown once an epoch.

    A hash of its name says whether a picture is held out, so that more pictures leave the others where they were. What
    can't be read is left out, and, where `captioned`, what has no caption; both are said. Pictures are kept in memory
    where that takes a quarter of what is free at most, and else read again each time.
    Raises BadInput for a folder that can't be trained on.
    """

    world_name: str | None = None

    def __init__(self, folder: Path, size: int, *, seed: int, captioned: bool):
        self.size, self.seed = size, seed
        listed = list_images(folder)
        kept = [image for image in listed if image.caption or not captioned]
        if not kept:
            raise BadInput(
                f"none of the {len(listed)} pictures in {folder} has a caption; put a .txt of the same name beside "
                "each, or a metadata.jsonl with file_name and text"
            )
        silent = [image.name for image in listed if captioned and not image.caption]
        _say_left_out(silent, len(listed), "have no caption")
        arrays, unreadable = self._read_all(kept)
        _say_left_out(unreadable, len(kept), "can't be read")
        gone = set(unreadable)
        kept = [image for image in kept if image.name not in gone]
        if len(kept) < FEWEST:
            raise BadInput(f"{folder} has {len(kept)} pictures to train on; it takes {FEWEST} at least")
        self.listed, self.arrays = kept, arrays
        by_hash = sorted(range(len(kept)), key=lambda place: _share(kept[place].name))
        n_held_out = max(1, sum(_share(image.name) < HELD_OUT for image in kept))
        contents = [sha256(image.file) for image in kept]
        self.held_out = by_hash[:n_held_out]
        known = {contents[place] for place in self.held_out}
        self.shown = sorted(place for place in by_hash[n_held_out:] if contents[place] not in known)
        copies = [kept[place].name for place in by_hash[n_held_out:] if contents[place] in known]
        _say_left_out(sorted(copies), len(kept), "are copies of pictures held out")
        if not self.shown:
            raise BadInput(f"{folder} has no picture to learn from beside those held out; add other pictures")
        self.epoch, self.order = -1, np.arange(0)
        content = hashlib.sha256()
        for image, digest in zip(kept, contents, strict=True):
            content.update(json.dumps([image.name, image.caption, digest]).encode())
        self.identity: dict[str, Any] = {
            "folder": {
                "size": size,
                "seed": seed,
                "pictures": len(kept),
                "held_out": n_held_out,
                "sha256": content.hexdigest(),
                "unreadable": unreadable,
            }
        }

    def train(self, first: int, n: int) -> Images:
        return self._take([self._drawn(number) for number in range(first, first + n)])

    def validation(self, first: int, n: int) -> Images:
        return self._take(self.held_out[first : first + n])

    def sheet_prompts(self) -> Sequence[str]:
        """Captions that are held out."""
        return self.validation(0, len(SHOWN))[1]

    def _drawn(self, number: int) -> int:
        """Picture `number` of the endless row of epochs, each in an order of its own."""
        epoch, place = divmod(number, len(self.shown))
        if epoch != self.epoch:
            self.epoch, self.order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.shown))
        return self.shown[self.order[place]]

    def _take(self, places: Sequence[int]) -> Images:
        images = np.empty((len(places), self.size, self.size, 3), dtype=np.uint8)
        for row, place in enumerate(places):
            listed = self.listed[place]
            images[row] = self.arrays[listed.name] if self.arrays else self._read(listed)
        return images, [self.listed[place].caption for place in places]

    def _read(self, listed: Listed) -> np.ndarray:
        return np.asarray(cover(read_image(listed.file), (self.size, self.size)))

    def _read_all(self, listed: Sequence[Listed]) -> tuple[dict[str, np.ndarray], list[str]]:
        """Pictures by name, none where they would not fit, and the names of those that can't be read."""
        import psutil

        fits = len(listed) * self.size**2 * 3 < psutil.virtual_memory().available / 4
        arrays, unreadable = dict[str, np.ndarray](), list[str]()
        for done, image in enumerate(listed, 1):
            try:
                pixels = self._read(image)
            except BadInput:
                unreadable.append(image.name)
            else:
                if fits:
                    arrays[image.name] = pixels
            emit("reading pictures", done, len(listed))
        return arrays, unreadable


def _share(name: str) -> float:
    """From 0 to 1, by chance but the same for a name always."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


def _say_left_out(names: Sequence[str], of: int, why: str) -> None:
    if names:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        note(f"{len(names)} of {of} pictures {why} and are left out: {shown}")


def channels_last(model: M) -> M:
    """The model with its convolutions' weights as its pictures are: channels last in memory."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


PLAIN, BUSY = 1.0, 3.0
"""How much a cell without detail counts in a loss, and one with much."""


def detail(images: Tensor, factor: int) -> Tensor:
    """How much each cell of `factor` pixels counts: (B, 3, H, W) in [-1, 1] to (B, 1, H / factor, W / factor).

    From `PLAIN` to `BUSY` as the standard deviation of its colours goes from 0 to 0.2: most of a picture is background,
    and what it shows is in few of its cells.
    """
    return PLAIN + (BUSY - PLAIN) * (spread(images, factor) / 0.2).clamp(max=1)


def write_sheet(folder: Path, step: int, rows: Sequence[np.ndarray], *, scale: int = 2) -> str:
    """Rows of pictures (n, H, W, 3), one under the other and enlarged, as a PNG among the folder's sheets; its name."""
    lines = [np.concatenate(list(row), axis=1) for row in rows]
    whole = np.concatenate(lines, axis=0).repeat(scale, axis=0).repeat(scale, axis=1)
    out = io.BytesIO()
    Image.fromarray(whole).save(out, "png")
    name = f"sheets/{step:07}.png"
    write_atomically(folder / name, out.getvalue())
    return name


def source_of(data: str, size: int, *, seed: int, captioned: bool = False) -> Source:
    """The pictures that `data` names: `scenes`, or a folder's; of those that are `captioned` where that is asked for.

    Raises BadInput.
    """
    if data == SCENES:
        return Scenes(size, snap=size // SNAP_CELLS, seed=seed)
    folder = named(data)
    if not folder.exists():
        raise BadInput(f"no pictures called {data!r}; name a folder, or `scenes`, composed ones")
    return Folder(folder, size, seed=seed, captioned=captioned)

"""A video that a model made, with its recipe inside the file."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from genarium.artefacts import encoding
from genarium.artefacts.drawn import Drawn
from genarium.artefacts.png import data_url, encode
from genarium.artefacts.sheet import contact_sheet, evenly, usual_grid
from genarium.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

POSTER, SHEET = "poster.png", "frames.png"
OWN_FACTS = ("prompt", "seed", "width", "height", "frames", "fps", "seconds")
"""Facts that every video has; the others are its settings."""
ON_SHEET = 12
"""As many frames as a contact sheet shows at most, evenly chosen."""


@dataclass(kw_only=True)
class Video(Drawn):
    """`frames` is (F, height, width, 3) uint8, both sides even, played at `fps` frames a second.

    The file is an MP4 (H.264, 4:2:0, faststart). Its recipe is its own: one video with this seed.
    """

    kind: ClassVar[str] = "video"
    suffix: ClassVar[str] = ".mp4"
    media_type: ClassVar[str] = "video/mp4"

    frames: np.ndarray
    fps: float

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], frames: np.ndarray, recipe: Recipe) -> Video:
        """The video that these facts were kept of, with frames as its file has them."""
        settings = {name: value for name, value in facts.items() if name not in OWN_FACTS}
        known = {name: facts[name] for name in ("prompt", "seed", "fps")}
        return cls(**known, settings=settings, frames=frames, recipe=recipe)

    @property
    def size(self) -> tuple[int, int]:
        return self.frames.shape[2], self.frames.shape[1]

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return len(self.frames) / self.fps

    def own_recipe(self, recipe: Recipe) -> Recipe:
        return Recipe.of(recipe.task, recipe.arguments | {"n": 1}, recipe.model, self.seed)

    def content(self) -> bytes:
        return self._mp4

    @cached_property
    def _mp4(self) -> bytes:
        # Once: the ledger, `-o` and a notebook ask for it. It is first asked for when the recipe is set.
        return encoding.mp4(self.frames, self.fps, self.tags())

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        return tuple(encoding.FORMATS)

    def as_file(self, suffix: str) -> bytes:
        if suffix.lower() not in encoding.FORMATS or suffix.lower() == self.suffix:
            return self.content()
        return encoding.written(self.frames, self.fps, suffix, self.tags())

    def in_folder(self, name: str) -> Iterator[tuple[str, bytes]]:
        yield from super().in_folder(name)
        yield from ((f"{name}-{beside}", content) for beside, content in self.beside().items())
        digits = len(str(len(self.frames)))
        for number, content in enumerate(self.pngs(), 1):
            yield f"{name}/frame-{number:0{digits}}.png", content

    def pngs(self) -> Iterator[bytes]:
        """Every frame as a PNG of its own, as it was drawn: a video file loses a little."""
        return encoding.pngs(self.frames, self.tags())

    def beside(self) -> dict[str, bytes]:
        """A poster, the frame in the middle, and a contact sheet of frames with the seconds under each."""
        from PIL import Image as Pillow

        poster = encode(Pillow.fromarray(self.frames[len(self.frames) // 2]), self.tags())
        return {POSTER: poster, SHEET: encode(self.sheet(), self.tags())}

    def sheet(self) -> Any:
        """The contact sheet as a picture of Pillow's: at most ON_SHEET frames, the first and the last among them."""
        places = evenly(len(self.frames), ON_SHEET)
        return contact_sheet(
            [self.frames[place] for place in places],
            title=self.title(),
            captions=[f"{place / self.fps:.2f} s" for place in places],
            grid=usual_grid(len(places)),
        )

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"frames": len(self.frames), "fps": self.fps, "seconds": round(self.seconds, 3)}

    def as_html(self) -> str:
        title = html.escape(self.title(), quote=True)
        source = data_url(self.content(), self.media_type)
        return f'<video src="{source}" title="{title}" controls loop autoplay muted playsinline></video>'

    def _repr_html_(self) -> str:
        return self.as_html()

"""Heat maps: for every word of a caption, the part of a picture that it is about."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from genarium.artefacts import heat_drawing
from genarium.artefacts.png import RECIPE_CHUNK, Png, encode
from genarium.artefacts.sheet import evenly

if TYPE_CHECKING:
    import numpy as np

Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class WordHeat:
    """One picture, (height, width, 3) uint8, and for each word of the caption a map ≥ 0: (words, h, w) float32.

    The maps lie over `box`, the part the model saw: (left, top, right, bottom) as shares of width and height.
    `label` tells the picture from others beside it.
    """

    pixels: np.ndarray
    maps: np.ndarray
    box: Box = WHOLE
    label: str = ""

    @cached_property
    def peaks(self) -> list[tuple[int, int] | None]:
        """Where each word's map is highest, as (x, y) in pixels of the picture; None for a map that is all alike."""
        size = self.pixels.shape[1], self.pixels.shape[0]
        return [heat_drawing.peak(one, size, self.box) for one in self.maps]


@dataclass(kw_only=True)
class Heat(Png):
    """`spans` are the words in `caption`, characters [start, end); every one of `images` has a map for each.

    The file is the figure, a panel a word, or one picture with all words together (`overlay`). `-o NAME.npz` has the
    maps, `-o NAME.html` a page where pointing at a word lights its region.
    """

    kind: ClassVar[str] = "heat"
    overview: ClassVar[bool] = True

    caption: str
    spans: list[tuple[int, int]]
    images: list[WordHeat]
    method: str
    """How the maps were made, in a few words, with the paper."""
    match: float | None = None
    """How probable it is that caption and picture belong together, where the model says so."""
    scores: list[dict[str, Any]] = field(default_factory=list)
    """Of the caption and of those it was compared with: `text`, and `probability`, `cosine` or both."""
    overlay: bool = False
    most_rows: int | None = None
    """The figure has so many of the pictures at most, evenly chosen: of a video's frames. The page has all."""

    @property
    def words(self) -> list[str]:
        return [self.caption[start:end] for start, end in self.spans]

    def content(self) -> bytes:
        images = [self.images[place] for place in evenly(len(self.images), self.most_rows)]
        layers = [(one.pixels, one.maps, one.box) for one in images]
        drawn = (
            heat_drawing.overlays(layers)
            if self.overlay
            else heat_drawing.figure(layers, self.words, labels=[one.label for one in images], title=self.title())
        )
        return encode(drawn, {RECIPE_CHUNK: self.recipe.canonical().decode()} if self.recipe is not None else {})

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        return (*super().formats(), ".npz", ".html", ".htm")

    def as_file(self, suffix: str) -> bytes:
        if suffix.lower() == ".npz":
            return self.as_npz()
        if suffix.lower() in (".html", ".htm"):
            return self.as_page().encode("utf-8", errors="replace")
        return super().as_file(suffix)

    def as_npz(self) -> bytes:
        """The maps as they are: `maps` (words, h, w), or (pictures, words, h, w) of several; `words`, `spans`,
        `caption`, `box`, and `match` and `recipe` where there are any. Nothing in it is pickled.
        """
        import numpy as np

        maps = np.stack([one.maps for one in self.images])
        arrays = {
            "maps": maps[0] if len(self.images) == 1 else maps,
            "words": np.array(self.words),
            "spans": np.array(self.spans),
            "caption": np.array(self.caption),
            "box": np.array(self.images[0].box),
        }
        if self.match is not None:
            arrays["match"] = np.array(self.match)
        if self.recipe is not None:
            arrays["recipe"] = np.array(self.recipe.canonical().decode())
        out = io.BytesIO()
        np.savez(out, allow_pickle=False, **arrays)
        return out.getvalue()

    def as_page(self) -> str:
        """A page that needs nothing beside itself, no script among them."""
        from genarium.artefacts import heat_page

        recipe = self.recipe.canonical().decode() if self.recipe is not None else ""
        return heat_page.page(self.caption, self.as_html(), match=self.match, method=self.method, recipe=recipe)

    def as_html(self) -> str:
        """The words over the picture: pointing at one, or reaching it with the Tab key, lights its region."""
        from genarium.artefacts import heat_page

        return heat_page.fragment(
            self.caption,
            self.spans,
            [(one.pixels, one.maps, one.box, one.label, one.peaks) for one in self.images],
        )

    def facts(self) -> dict[str, Any]:
        return {
            "caption": self.caption,
            "match": self.match,
            "scores": self.scores,
            "method": self.method,
            "pictures": [
                {
                    "label": one.label,
                    "words": [
                        {"word": word, "start": start, "end": end, "peak": None if peak is None else list(peak)}
                        for word, (start, end), peak in zip(self.words, self.spans, one.peaks, strict=True)
                    ],
                }
                for one in self.images
            ],
        }

    def title(self) -> str:
        caption = " ".join(self.caption.split())
        return caption if self.match is None else f"{percent(self.match)} match: {caption}"

    def __str__(self) -> str:
        """The scores and where each word's map is highest; of pictures just made, where the figure is."""
        if not self.scores:
            return str(self.path) if self.path is not None else self.title()
        columns = [("match", "probability", percent), ("cosine", "cosine", "{:.3f}".format)]
        columns = [column for column in columns if any(column[1] in score for score in self.scores)]
        lines = ["  ".join([*(f"{heading:>6}" for heading, _, _ in columns), "caption"])]
        for score in self.scores:
            named = [f"{shown(score[name]) if name in score else '':>6}" for _, name, shown in columns]
            lines.append("  ".join([*named, score["text"]]))
        width = max(map(len, [*self.words, "word"]))
        lines += ["", f"{'word':<{width}}  seen most at x,y (pixels from the top left)"]
        for word, peak in zip(self.words, self.images[0].peaks, strict=True):
            lines.append(f"{word:<{width}}  " + ("nowhere" if peak is None else f"{peak[0]},{peak[1]}"))
        return "\n".join(lines)


def percent(share: float) -> str:
    return f"{share:.1%}"

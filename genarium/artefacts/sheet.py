"""A contact sheet: several pictures side by side, their prompt as the title."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from genarium.artefacts.image import Image
from genarium.artefacts.png import RECIPE_CHUNK, Png, encode

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image as Pillow
    from PIL.ImageFont import FreeTypeFont

STRIP = 5
"""As many pictures as are laid in one row where no grid is asked for."""
SMALLEST, LARGEST, WIDEST = 192, 512, 6144
"""Pixels: a picture's longer side on the sheet, and the whole sheet's width."""
MARGIN, TITLE, CAPTION = 12, 20, 13
INK, GREY, PAPER = "#1a1a1a", "#6a6a6a", "white"


@dataclass(kw_only=True)
class Sheet(Png):
    """`images` in rows of a grid of (columns, rows), with the seed under each. Its recipe is that of them all."""

    kind: ClassVar[str] = "sheet"
    overview: ClassVar[bool] = True

    prompt: str
    images: list[Image]
    grid: tuple[int, int]

    def content(self) -> bytes:
        drawn = contact_sheet(
            [image.pixels for image in self.images],
            title=self.title(),
            captions=[f"seed {image.seed}" for image in self.images],
            grid=self.grid,
        )
        return encode(drawn, {RECIPE_CHUNK: self.recipe.canonical().decode()} if self.recipe is not None else {})

    def facts(self) -> dict[str, Any]:
        columns, rows = self.grid
        images = [image.id for image in self.images]
        return {"prompt": self.prompt, "count": len(self.images), "grid": f"{columns}x{rows}", "pictures": images}

    def title(self) -> str:
        return " ".join(self.prompt.split())


def usual_grid(count: int) -> tuple[int, int]:
    """Columns and rows for so many pictures: a strip, or about a square."""
    columns = count if count <= STRIP else math.ceil(math.sqrt(count))
    return columns, math.ceil(count / columns)


def evenly(count: int, most: int | None) -> list[int]:
    """Places of `most` of `count` things at most, evenly chosen, the first and the last among them."""
    if most is None or count <= most:
        return list(range(count))
    return [round(place * (count - 1) / max(1, most - 1)) for place in range(most)]


def contact_sheet(
    images: Sequence[np.ndarray], *, title: str, captions: Sequence[str], grid: tuple[int, int]
) -> Pillow.Image:
    """The pictures, each (height, width, 3) uint8, on white paper. Small ones are drawn larger, large ones smaller."""
    from PIL import Image, ImageDraw

    columns, rows = grid
    width, height = _cell(images, columns)
    heading, caption = _font(TITLE), _font(CAPTION)
    sheet_width = max(columns * (width + MARGIN) + MARGIN, 2 * SMALLEST)
    lines = _wrapped(title, heading, sheet_width - 2 * MARGIN)
    top = MARGIN + len(lines) * (TITLE + 8) + MARGIN // 2
    sheet = Image.new("RGB", (sheet_width, top + rows * (height + CAPTION + 2 * MARGIN)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + number * (TITLE + 8)), line, INK, heading)
    for place, (pixels, words) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(place, columns)
        x, y = MARGIN + column * (width + MARGIN), top + row * (height + CAPTION + 2 * MARGIN)
        sheet.paste(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS), (x, y))
        draw.text((x, y + height + 4), words, GREY, caption)
    return sheet


def _cell(images: Sequence[np.ndarray], columns: int) -> tuple[int, int]:
    """Width and height of a picture on the sheet."""
    height, width = images[0].shape[:2]
    longer = max(width, height)
    scale = math.ceil(SMALLEST / longer) if longer < SMALLEST else min(1.0, LARGEST / longer)
    scale = min(scale, (WIDEST / columns - MARGIN) / width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _font(size: int) -> FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: the same letters on every machine."""
    from pathlib import Path

    import matplotlib as mpl
    from PIL import ImageFont

    file = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)


def _wrapped(text: str, font: FreeTypeFont, width: int, most: int = 4) -> list[str]:
    """The text in lines of at most `width` pixels; what four lines don't hold is left out after an ellipsis."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1] + " …"]
    for place, line in enumerate(lines):
        shown = line
        while font.getlength(shown) > width and len(shown) > 1:
            shown = shown[:-2] + "…"
        lines[place] = shown
    return lines

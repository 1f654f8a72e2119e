"""Make genarium/scenes/sprites.png again, from Debian's colour emoji font. Only this needs the font.

    apt-get install fonts-noto-color-emoji
    python scripts/make_sprites.py

Run it after adding a kind to genarium/scenes/kinds.py. `--check` compares what is there with the font.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from genarium.scenes.kinds import KINDS
from genarium.scenes.sprites import ATLAS, CELL, glyph

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
STRIKE = 109  # the one size the font's bitmaps come in
COLUMNS = 8
COPYRIGHT = "Copyright 2013-2017 Google Inc., Arjen Nienhuis; SIL Open Font License 1.1, see sprites.OFL.txt"


def drawn(character: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """A character's drawing, RGBA, cropped to what is visible."""
    canvas = Image.new("RGBA", (180, 180), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((20, 20), character, font=font, embedded_color=True)
    return canvas.crop(canvas.getbbox())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--font", type=Path, default=FONT)
    parser.add_argument("--check", action="store_true", help="compare the file that is there with the font")
    given = parser.parse_args()
    font = ImageFont.truetype(str(given.font), STRIKE)
    drawings = {name: drawn(kind.glyph, font) for name, kind in KINDS.items()}
    if given.check:
        other = [name for name, image in drawings.items() if image.tobytes() != glyph(name).tobytes()]
        raise SystemExit(f"not as the font draws them: {', '.join(other)}" if other else 0)
    atlas = Image.new("RGBA", (COLUMNS * CELL, -(-len(drawings) // COLUMNS) * CELL), (0, 0, 0, 0))
    for place, image in enumerate(drawings.values()):
        atlas.paste(image, (place % COLUMNS * CELL, place // COLUMNS * CELL))
    said = PngImagePlugin.PngInfo()
    said.add_text("kinds", " ".join(drawings))
    said.add_text("Copyright", COPYRIGHT)
    atlas.save(ATLAS, optimize=True, pnginfo=said)


if __name__ == "__main__":
    main()

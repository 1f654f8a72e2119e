"""What pictures have in common as artefacts: they are PNG files, and a notebook shows them."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from genarium.artefacts.media import Media

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.PngImagePlugin import PngInfo

RECIPE_CHUNK = "genarium"
"""The text chunk with the recipe as canonical JSON."""
PARAMETERS_CHUNK = "parameters"
"""The text chunk where AUTOMATIC1111's web UI, and what reads its pictures, look for the prompt and the settings."""
OTHER_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


class Png(Media):
    """An artefact whose file is a PNG."""

    suffix: ClassVar[str] = ".png"
    media_type: ClassVar[str] = "image/png"

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        return (cls.suffix, *OTHER_FORMATS)

    def as_file(self, suffix: str) -> bytes:
        """Also as JPEG or WebP by suffix; these hold no recipe."""
        if suffix.lower() not in OTHER_FORMATS:
            return self.content()
        from PIL import Image

        out = io.BytesIO()
        with Image.open(io.BytesIO(self.content())) as opened:
            opened.convert("RGB").save(out, OTHER_FORMATS[suffix.lower()], quality=95)
        return out.getvalue()

    def _repr_png_(self) -> bytes:
        return self.content()

    def as_html(self) -> str:
        title = html.escape(self.title(), quote=True)
        return f'<img src="{data_url(self.content())}" alt="{title}" title="{title}">'


def data_url(content: bytes, media_type: str = Png.media_type) -> str:
    """A file inside a URL, as pages hold it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def encode(image: Image, chunks: Mapping[str, str]) -> bytes:
    """The picture as PNG with text chunks: tEXt where Latin-1 holds the text, else iTXt. The same bytes each time."""
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=text_chunks(chunks))
    return out.getvalue()


def text_chunks(chunks: Mapping[str, str]) -> PngInfo:
    """Text chunks as Pillow takes them."""
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    for name, text in chunks.items():
        texts.add_text(name, text)
    return texts

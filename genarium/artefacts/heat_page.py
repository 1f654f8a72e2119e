"""Heat maps as HTML: the caption's words over the picture, lit by CSS alone, so that it works in a notebook too."""

from __future__ import annotations

import hashlib
import html
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genarium.artefacts import heat_drawing
from genarium.artefacts.png import data_url

if TYPE_CHECKING:
    import numpy as np

Span = tuple[int, int]
Shown = tuple["np.ndarray", "np.ndarray", heat_drawing.Box, str, Sequence[Span | None]]
"""A picture, its maps, the part they cover, its label, and where each map is highest."""

MAP_SIDE = 128
"""Pixels of a map's longer side in the page: it is smooth, and the browser enlarges it."""

_STYLE = """
.{name} {{ margin: 0; max-width: 48rem; font-size: 1.25rem; line-height: 2; }}
.{name} button {{ all: unset; cursor: pointer; padding: 0 .15em; border-radius: .2em; border-bottom: 2px dotted; }}
.{name} button:hover, .{name} button:focus {{ background: #fc9d0b; color: #000; border-bottom-style: solid; }}
.{name} button:focus-visible {{ outline: 2px solid; outline-offset: 2px; }}
.{name} .stage {{ position: relative; margin-top: .75rem; }}
.{name} .stage img {{ display: block; width: 100%; margin: 0; }}
.{name} .stage img + img {{ position: absolute; inset: 0; height: 100%; opacity: 0; }}
"""
# Two rules, as a browser that doesn't know :has drops the one with it whole: the word pointed at goes before the
# word the keyboard is on.
_LIT = """
.{name} .w{word}:hover ~ .stage .m{word} {{ opacity: 1; }}
.{name}:not(:has(button:hover)) .w{word}:focus ~ .stage .m{word} {{ opacity: 1; }}
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="generator" content="genarium">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }}
footer {{ font-size: .85rem; opacity: .8; margin-top: 1.5rem; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<p>{lead}</p>
{body}
<footer>
<p>Maps: {method}. Each has its own scale, dark to bright.</p>
{recipe}</footer>
</main>
</body>
</html>
"""


def page(caption: str, body: str, *, match: float | None, method: str, recipe: str) -> str:
    """The whole page around a `fragment`."""
    lead = "Point at a word, or reach it with the Tab key, to see what part of the picture it is about."
    if match is not None:
        lead = f"The picture and these words match with probability <strong>{match:.1%}</strong>. {lead}"
    made = (
        f"<details><summary>Recipe</summary><pre>{html.escape(_indented(recipe))}</pre></details>\n" if recipe else ""
    )
    return _PAGE.format(
        title=html.escape(" ".join(caption.split())), lead=lead, body=body, method=html.escape(method), recipe=made
    )


def fragment(caption: str, spans: Sequence[Span], images: Sequence[Shown]) -> str:
    """The words as buttons, and the pictures behind them with a layer a word."""
    digest = hashlib.sha256(caption.encode("utf-8", errors="replace"))
    for pixels, maps, *_ in images:
        digest.update(pixels.tobytes())
        digest.update(maps.tobytes())
    name = f"heat-{digest.hexdigest()[:12]}"  # so that two in one notebook don't light each other
    rules = _STYLE.format(name=name) + "".join(_LIT.format(name=name, word=word) for word in range(len(spans)))
    stages = "\n".join(_stage(*one, caption=caption) for one in images)
    return (
        f'<figure class="{name}" aria-label="what each word of the caption is about">\n<style>{rules}</style>\n'
        f"{_words(caption, spans, images[0])}\n{stages}\n</figure>"
    )


def _words(caption: str, spans: Sequence[Span], first: Shown) -> str:
    """The caption as it was written, its words as buttons. They lie beside the stages, so that CSS finds these."""
    pixels, _, _, _, peaks = first
    size = pixels.shape[1], pixels.shape[0]
    written, end = [], 0
    for word, ((start, stop), peak) in enumerate(zip(spans, peaks, strict=True)):
        written.append(html.escape(caption[end:start]))
        said = html.escape(f"{caption[start:stop]}: {_place(peak, size)}", quote=True)
        label = html.escape(caption[start:stop])
        written.append(f'<button type="button" class="w{word}" aria-label="{said}" title="{said}">{label}</button>')
        end = stop
    return "".join([*written, html.escape(caption[end:])])


def _stage(
    pixels: np.ndarray,
    maps: np.ndarray,
    box: heat_drawing.Box,
    label: str,
    _: Sequence[Span | None],
    *,
    caption: str,
) -> str:
    import numpy as np

    image = heat_drawing.drawn(pixels)
    longer = max(image.shape[:2])
    height, width = (max(1, round(side * MAP_SIDE / longer)) for side in image.shape[:2])
    said = html.escape(label or caption, quote=True)
    images = [f'<img src="{_data(image)}" alt="{said}">']
    for word, one in enumerate(maps):
        layer = (heat_drawing.shaded(one, (width, height), box) * 255).round().astype(np.uint8)
        images.append(f'<img class="m{word}" src="{_data(layer)}" alt="">')
    return f'<div class="stage">{"".join(images)}</div>'


def _data(pixels: np.ndarray) -> str:
    """(height, width, 3 or 4) uint8 as a PNG inside a URL."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    return data_url(out.getvalue())


def _place(peak: Span | None, size: Span) -> str:
    """Where that is, for those who hear the page."""
    if peak is None:
        return "nowhere in particular"
    across, down = (min(2, 3 * at // side) for at, side in zip(peak, size, strict=True))
    row, column = ("top", "middle", "bottom")[down], ("left", "center", "right")[across]
    return "brightest in the middle" if (row, column) == ("middle", "center") else f"brightest at the {row} {column}"


def _indented(recipe: str) -> str:
    return json.dumps(json.loads(recipe), indent=2, ensure_ascii=False)

"""`explain`: how well a caption and a picture match, and which part of it each word is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from annotated_doc import Doc
from annotated_types import Ge, MinLen

from genarium import engines
from genarium.artefacts import Heat
from genarium.artefacts.heat import WordHeat
from genarium.artefacts.heat_drawing import SLIMMEST
from genarium.progress import note
from genarium.tasks.task import task


@task(starter="match")
def explain(
    photo: Annotated[Path, Doc("the picture: a PNG, JPEG, WebP, GIF, BMP or TIFF file")],
    caption: Annotated[str, Doc("what is said of it"), MinLen(1)],
    *,
    against: Annotated[
        list[str] | None, Doc("another caption to compare with; may be given several times"), MinLen(1)
    ] = None,
    layer: Annotated[
        int | None,
        Doc("which layer's attention to look at, counted from 0 as in the file [default: by the model]"),
        Ge(0),
    ] = None,
    overlay: Annotated[bool, Doc("one picture with all words together in place of a panel a word")] = False,
    model: Annotated[
        str, Doc("starter, or a BLIP matcher or CLIP as folder or hub id such as Salesforce/blip-itm-base-coco")
    ] = "starter",
) -> Iterator[Heat]:
    """How well a caption and a picture match, and for each word a heat map of the part that it is about.

    -o NAME.png writes the figure, NAME.npz the raw maps, NAME.html a page where pointing at a word lights its region.
    """
    import numpy as np

    from genarium.data.pictures import read_picture

    picture = read_picture(photo)
    if max(picture.size) > SLIMMEST * min(picture.size):
        note(f"{picture.width}x{picture.height} pixels are drawn {SLIMMEST} times as long as wide, to be seen at all")
    matcher = engines.open_matcher(model)
    explained = matcher.explain(picture, caption, layer)
    scores = matcher.scores(picture, [caption, *(against or ())])
    yield Heat(
        caption=caption,
        spans=list(explained.spans),
        pictures=[WordHeat(np.asarray(picture), explained.maps, explained.box)],
        method=matcher.method(layer),
        match=scores[0].probability,
        scores=[{name: value for name, value in asdict(score).items() if value is not None} for score in scores],
        overlay=overlay,
    )

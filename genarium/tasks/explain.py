"""`explain`: how well a caption and a picture match, and which part of it each word is about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from annotated_doc import Doc
from annotated_types import Ge, MinLen

from genarium import engines
from genarium.artefacts import Heat
from genarium.artefacts.heat import WordHeat
from genarium.tasks.task import task


@task(starter="match")
def explain(
    photo: Annotated[Path, Doc("the picture: a PNG, JPEG, WebP, GIF, BMP or TIFF file")],
    caption: Annotated[
        str | None, Doc("what is said of it [default: the caption that genarium caption makes]"), MinLen(1)
    ] = None,
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
    captioner: Annotated[
        str, Doc("what makes the caption where none is given: a folder or hub id of a captioner")
    ] = "starter",
    model: Annotated[
        str, Doc("starter, or a BLIP matcher or CLIP as folder or hub id such as Salesforce/blip-itm-base-coco")
    ] = "starter",
) -> Iterator[Heat]:
    """How well a caption and a picture match, and for each word a heat map of the part that it is about.

    -o NAME.png writes the figure, NAME.npz the raw maps, NAME.html a page where pointing at a word lights its region.
    """
    from dataclasses import asdict

    import numpy as np

    from genarium.data.pictures import read_picture

    picture = read_picture(photo)
    matcher = engines.open_matcher(model)
    said = caption if caption is not None else _made(picture, captioner)
    explained = matcher.explain(picture, said, layer)
    scores = matcher.scores(picture, [said, *(against or ())])
    yield Heat(
        caption=said,
        spans=list(explained.spans),
        pictures=[WordHeat(np.asarray(picture), explained.maps, explained.box)],
        method=matcher.method(layer),
        match=scores[0].probability,
        scores=[{name: value for name, value in asdict(score).items() if value is not None} for score in scores],
        overlay=overlay,
    )

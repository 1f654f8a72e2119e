"""`explain`: how well a caption and a picture match, and which part of it each word is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, MinLen

from genarium.artefacts import Heat
from genarium.artefacts.heat import WordHeat
from genarium.artefacts.heat_drawing import SLIMMEST
from genarium.engines import registry
from genarium.engines.languages import tell_of_other_languages
from genarium.errors import BadInput
from genarium.progress import note
from genarium.signature import Verbatim
from genarium.tasks.task import Pin, model_pin, task

if TYPE_CHECKING:
    from PIL.Image import Image


def _pin_photo(photo: str, values: Mapping[str, Any]) -> list[dict[str, str]]:
    from genarium.data import photos

    return photos.pin([photo], private=values["allow_private"])


def _open_photo(pins: Sequence[dict[str, Any]]) -> str:
    from genarium.data import photos

    found = photos.pinned(pins)
    if len(found) != 1:
        raise BadInput(f"explain takes one picture, and there are {len(found)} in that folder; name one of them")
    return found[0]


@task(
    starter="match",
    pins={
        "photo": Pin(_pin_photo, _open_photo),
        "captioner": model_pin("caption", counts=lambda values: values["caption"] is None),
    },
)
def explain(
    photo: Annotated[str, Doc("the picture: a file or an http or https URL; - reads standard input"), Verbatim()],
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
    captioner: Annotated[str | None, Doc("what makes a caption where none is given: as caption's --model")] = "starter",
    allow_private: Annotated[
        bool, Doc("fetch URLs from this machine and its own network too; they are refused otherwise")
    ] = False,
    model: Annotated[
        str, Doc("starter, or a BLIP matcher or CLIP as folder or hub id such as Salesforce/blip-itm-base-coco")
    ] = "starter",
) -> Iterator[Heat]:
    """Say how well a caption fits a picture, with a map for each word.

    A word's heat map shows the part of the picture that it is about. The file's ending chooses what is written: .png
    the figure, .npz the raw maps, .html a page where pointing at a word lights its region.
    """
    import numpy as np

    from genarium.data import photos

    tell_of_other_languages(model, "match", [*([caption] if caption is not None else []), *(against or ())])
    image = photos.find([photo], private=allow_private)[0].read()
    if max(image.size) > SLIMMEST * min(image.size):
        note(f"{image.width}x{image.height} pixels are drawn {SLIMMEST} times as long as wide, to be seen at all")
    matcher = registry.open_matcher(model)
    said = caption if caption is not None else _describe(image, captioner)
    explained = matcher.explain(image, said, layer)
    scores = matcher.scores(image, [said, *(against or ())])
    yield Heat(
        caption=said,
        spans=list(explained.spans),
        images=[WordHeat(np.asarray(image), explained.maps, explained.box)],
        method=matcher.method(layer),
        match=scores[0].probability,
        scores=[{name: value for name, value in asdict(score).items() if value is not None} for score in scores],
        overlay=overlay,
    )


def _describe(image: Image, captioner: str | None) -> str:
    """The best caption, as `genarium caption` makes it."""
    from genarium.engines.vision.caption import CaptionRequest

    ((made, *_),) = registry.open_caption(captioner or "starter").describe([image], CaptionRequest())
    return made.text

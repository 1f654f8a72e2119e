"""`caption`: say what is in pictures and videos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Interval, MinLen

from genarium.artefacts import Captions
from genarium.engines import registry
from genarium.engines.languages import tell_of_other_languages
from genarium.errors import BadInput
from genarium.progress import note
from genarium.recipe import MAX_SEED
from genarium.rows import rows
from genarium.signature import Verbatim
from genarium.tasks.task import Pin, task

if TYPE_CHECKING:
    from PIL.Image import Image

    from genarium.data.photos import Photo
    from genarium.engines.vision.caption import Caption, CaptionEngine, CaptionRequest


def _pin_photos(asked: Sequence[str], arguments: Mapping[str, Any]) -> list[dict[str, str]]:
    from genarium.data.photos import pin

    return pin(asked, private=bool(arguments.get("allow_private")))


def _open_photos(pins: Sequence[dict[str, Any]]) -> list[str]:
    from genarium.data.photos import pinned

    return pinned(pins)


@task(starter="caption", pins={"photos": Pin(_pin_photos, _open_photos)})
def caption(
    photos: Annotated[
        list[str],
        Doc("pictures and videos, folders of them, http or https URLs; - reads one from standard input"),
        MinLen(1),
        Verbatim(),
    ],
    *,
    n: Annotated[int, Doc("how many captions of each picture, best first"), Interval(ge=1, le=16)] = 1,
    prompt: Annotated[
        str | None, Doc("how captions begin (“a photo of”); a model that chats answers it as a question")
    ] = None,
    beams: Annotated[
        int, Doc("captions followed at the same time in the search; at least --n are"), Interval(ge=1, le=32)
    ] = 3,
    sample: Annotated[bool, Doc("draw captions at random in place of searching for the likeliest")] = False,
    temperature: Annotated[float, Doc("of --sample: below 1 keeps to likely words"), Interval(gt=0, le=10)] = 1.0,
    top_p: Annotated[
        float, Doc("of --sample: draw among the likeliest words that hold this probability"), Interval(gt=0, le=1)
    ] = 0.9,
    max_new_tokens: Annotated[int, Doc("tokens of a caption at most, after the prompt"), Interval(ge=1, le=1000)] = 40,
    frames: Annotated[int, Doc("of a video, how many frames are looked at, evenly chosen"), Interval(ge=1, le=64)] = 8,
    allow_private: Annotated[
        bool, Doc("fetch URLs from this machine and its own network too; they are refused otherwise")
    ] = False,
    batch_size: Annotated[int, Doc("pictures read at a time"), Ge(1)] = 8,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"], Doc("what the network computes in; auto takes what is fastest here")
    ] = "auto",
    model: Annotated[
        str, Doc("starter (composed scenes), a folder or a hub id such as Salesforce/blip-image-captioning-base")
    ] = "starter",
    seed: Annotated[int | None, Doc("of --sample: same seed, same captions"), Interval(ge=0, le=MAX_SEED)] = None,
) -> Iterator[Captions]:
    """Say what is in pictures and videos.

    Of a video it says when that changes. A score is the mean log-probability of a caption's tokens, in nats: 0 is
    certain. A stopped run of many pictures continues where it was; -o NAME.csv or NAME.jsonl writes the captions as a
    table, of a video NAME.srt or NAME.vtt as subtitles, which index reads.
    """
    from genarium.data.photos import find
    from genarium.engines.vision.caption import CaptionRequest

    tell_of_other_languages(model, "caption", [prompt] if prompt else [])
    asked = find(photos, private=allow_private)
    engine = registry.open_caption(model, dtype=dtype)
    if engine.name == "starter/caption":
        note(
            "starter/caption was trained on composed scenes alone and takes every picture for one; for photos name "
            "--model Salesforce/blip-image-captioning-base"
        )
    request = CaptionRequest(
        n=n,
        prompt=prompt or "",
        n_beams=beams,
        sample=sample,
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=max_new_tokens,
        seed=seed or 0,
    )
    found = _all_rows(asked, Look(engine, request, frames), batch_size)
    yield Captions(
        rows=found, summary=_summary(asked, found), shown=_shown(asked, found, n), extra={"photos": len(asked)}
    )


@dataclass(frozen=True)
class Look:
    """How each is looked at: of a video, at most so many `frames`."""

    engine: CaptionEngine
    request: CaptionRequest
    frames: int


def _all_rows(asked: Sequence[Photo], look: Look, batch_size: int) -> list[dict[str, Any]]:
    """A row for every caption. Batches are the same however often the run was stopped, so that scores are, too."""
    kept = rows()
    done = kept.begin(len(asked) * look.request.n)
    before = done[-1]["number"] - 1 if done else 0  # of the last photo some captions may be missing
    there = {(row["number"], row["rank"]) for row in done}
    for first in range(before // batch_size * batch_size, len(asked), batch_size):
        for row in _batch_rows(asked[first : first + batch_size], look, first, alone=len(asked) == 1):
            if (row["number"], row["rank"]) not in there and row["number"] > before:
                kept.add(row)
    return kept.done


def _batch_rows(photos: Sequence[Photo], look: Look, first: int, *, alone: bool) -> Iterator[dict[str, Any]]:
    """Rows of some photos, in order; one that can't be read has a row that says so, unless it is the only one."""
    images: dict[int, Image] = {}
    films: dict[int, list[dict[str, Any]]] = {}
    failed: dict[int, str] = {}
    for place, photo in enumerate(photos):
        try:
            if photo.moves:
                films[place] = _of_video(photo, look, first + place)
            else:
                images[place] = photo.read()
        except BadInput as error:
            if alone:
                raise
            note(str(error))
            failed[place] = str(error)
    captions: dict[int, list[Caption]] = {}
    # A run of readable ones at a time: what is drawn for a picture depends on its number in the whole run.
    for start, run in _runs(sorted(images)):
        described = look.engine.describe([images[place] for place in run], look.request, first=first + start)
        captions |= dict(zip(run, described, strict=True))
    for place, photo in enumerate(photos):
        row = {"number": first + place + 1, "photo": photo.name}
        if place in failed:
            yield row | {"rank": 1, "caption": "", "score": None, "error": failed[place]}
            continue
        if place in films:
            yield from (row | found for found in films[place])
            continue
        for rank, one in enumerate(captions[place], 1):
            cut = {} if one.ended else {"cut": True}
            yield row | {"rank": rank, "caption": one.text, "score": round(one.score, 4)} | cut


def _of_video(photo: Photo, look: Look, number: int) -> list[dict[str, Any]]:
    """What a video's rows say: the caption of all its moments, with times where there are several, and each of them."""
    from genarium.engines.vision.moments import describe, in_words

    film = photo.sampled(look.frames)
    ranked = [moments for moments in describe(look.engine, film, look.request, first=number) if moments]
    return [
        {
            "rank": rank,
            "caption": in_words(moments),
            "score": round(sum(one.score for one in moments) / len(moments), 4),
            "seconds": film.seconds,
            "moments": [{"start": m.start, "end": m.end, "caption": m.text, "score": m.score} for m in moments],
        }
        for rank, moments in enumerate(ranked, 1)
    ]


def _runs(places: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Places that follow each other, together, with the first of them."""
    run: list[int] = []
    for place in places:
        if run and place != run[-1] + 1:
            yield run[0], run
            run = []
        run.append(place)
    if run:
        yield run[0], run


def _summary(asked: Sequence[Photo], found: Sequence[dict[str, Any]]) -> str:
    if len(asked) == 1:
        return ""
    failed = sum("error" in row for row in found)
    films = sum(photo.moves for photo in asked)
    pictures = f"{len(asked) - films} pictures"
    what = f"{pictures} and {films} video{'s' * (films != 1)}" if films else pictures
    return what + (f", {failed} of which can't be read" if failed else "")


def _shown(asked: Sequence[Photo], found: Sequence[dict[str, Any]], n: int) -> str:
    """As a person wants to read it: the caption alone where there is one, else scores and names before it."""
    lines = []
    for row in found:
        score = "" if row["score"] is None or (n == 1 and len(asked) == 1) else f"{row['score']:7.3f}  "
        name = "" if len(asked) == 1 else f"{row['photo']}: "
        if len(asked) == 1 and n == 1 and len(moments := row.get("moments", [])) > 1:
            return "\n".join(f"{one['start']:.1f}-{one['end']:.1f} s  {one['caption']}" for one in moments)
        lines.append(row.get("error") or f"{score}{name}{row['caption']}")  # an error names its picture
    return "\n".join(lines)

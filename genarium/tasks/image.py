"""`image`: pictures of what a prompt says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Interval, MinLen

from genarium.artefacts import Heat, Image, Sheet
from genarium.artefacts.heat import WordHeat
from genarium.engines import registry
from genarium.errors import BadInput
from genarium.progress import emit
from genarium.recipe import MAX_SEED
from genarium.signature import ModelOption
from genarium.tasks.options import (
    DAAM,
    DrawDtype,
    Guidance,
    Sampler,
    Steps,
    Strict,
    options_of,
    read_pair,
    read_size,
    seeds_of,
    small,
)
from genarium.tasks.task import model_pin, task

if TYPE_CHECKING:
    from genarium.engines.image.protocol import ImageRequest


@task(starter="image", pins={"matcher": model_pin("match", counts=lambda values: values["best_of"] > 1)})
def image(
    prompt: Annotated[str, Doc("what the picture shows; - reads it from standard input"), MinLen(1)],
    *,
    n: Annotated[int, Doc("how many pictures; with several there is a contact sheet too"), Interval(ge=1, le=256)] = 1,
    size: Annotated[
        str | None, Doc("WIDTHxHEIGHT in pixels, or one number for a square [default: what the model was trained on]")
    ] = None,
    steps: Steps = None,
    guidance: Guidance = None,
    negative_prompt: Annotated[str | None, Doc("what the picture should not show")] = None,
    sampler: Sampler = None,
    init: Annotated[Path | None, Doc("a picture to start from")] = None,
    strength: Annotated[
        float | None,
        Doc("how far to leave the picture started from: 0 to 1 [default: 0.75]"),
        Interval(gt=0, le=1),
        ModelOption(),
    ] = None,
    mask: Annotated[Path | None, Doc("paint only where this picture is white (or clear); as large as init's")] = None,
    temperature: Annotated[
        float | None,
        Doc("of models that draw a picture's codes: below 1 keeps to likely ones [default: the model's]"),
        Interval(ge=0, le=100),
        ModelOption(),
    ] = None,
    top_k: Annotated[
        int | None,
        Doc("of such models: draw among the k likeliest codes [default: the model's]"),
        Interval(ge=1),
        ModelOption(),
    ] = None,
    truncation: Annotated[
        float | None,
        Doc("of VQ-Diffusion: draw among the likeliest codes that hold this probability [default: the model's]"),
        Interval(gt=0, le=1),
        ModelOption(),
    ] = None,
    best_of: Annotated[
        int, Doc("draw so many for each picture and keep the one that matches the prompt best"), Interval(ge=1, le=16)
    ] = 1,
    matcher: Annotated[str | None, Doc("what judges how well they match: as explain's --model")] = "starter",
    explain: Annotated[
        bool, Doc("also show where the denoiser looked for each word; -o NAME.png, .html or .npz is then of that")
    ] = False,
    strict: Strict = False,
    grid_size: Annotated[str | None, Doc("COLUMNSxROWS of the contact sheet [default: by the number]")] = None,
    dtype: DrawDtype = "auto",
    model: Annotated[str, Doc("starter, a folder or a hub id such as CompVis/stable-diffusion-v1-4")] = "starter",
    seed: Annotated[
        int | None, Doc("same seed, same picture; the next one drawn has the next seed"), Interval(ge=0, le=MAX_SEED)
    ] = None,
) -> Iterator[Image | Sheet | Heat]:
    """Make pictures of what a prompt says.

    Each is kept as a PNG of its own, with its recipe inside. -o NAME.png writes the picture, or with -n the contact
    sheet; -o FOLDER/ writes every picture.
    """
    from genarium.artefacts.sheet import usual_grid
    from genarium.data.images import read_image, read_mask
    from genarium.engines.image.best_of import best_of as best_of_each
    from genarium.engines.image.protocol import ImageRequest, settle

    options = options_of(image, dict(locals()))
    wanted = read_size(size)
    grid = _grid(grid_size, n) if grid_size is not None else usual_grid(n)
    engine = registry.open_image(model, dtype=dtype)
    request = settle(
        ImageRequest(
            prompt=prompt,
            seeds=seeds_of(seed, n * best_of),
            size=wanted,
            negative_prompt=negative_prompt or "",
            init=read_image(init) if init is not None else None,
            mask=read_mask(mask) if mask is not None else None,
            options=options,
            explain=explain,
            strict=strict,
        ),
        engine,
    )
    made, seen, spans = [], [], list[tuple[int, int]]()
    if best_of > 1:
        drawn = best_of_each(engine, request, best_of, registry.open_matcher(matcher or "starter"))
    else:
        drawn = engine.generate(request)
    for one in drawn:
        artefact = Image(
            item=one.row,
            prompt=prompt,
            pixels=one.pixels,
            seed=one.seed,
            settings=_settings(request),
            stats=one.stats,
        )
        made.append(artefact)
        emit("generated", len(made), n, preview=small(one.pixels), item=one.row)
        yield artefact
        if one.explained is not None:
            spans = list(one.explained.spans)
            seen.append(WordHeat(one.pixels, one.explained.maps, label=f"seed {one.seed}"))
    if seen:
        yield Heat(item=n, caption=prompt, spans=spans, images=seen, method=DAAM)
    elif n > 1:
        yield Sheet(item=n, prompt=prompt, images=made, grid=grid)


def _grid(text: str, n: int) -> tuple[int, int]:
    columns, rows = read_pair("grid_size", text, "5x1")
    if columns * rows < n:
        raise BadInput(f"a grid of {columns}x{rows} holds {columns * rows} pictures, but there are {n}")
    return columns, rows


def _settings(request: ImageRequest) -> dict[str, Any]:
    """What the pictures are made with, as far as the model has it."""
    negative = {"negative_prompt": request.negative_prompt} if request.negative_prompt else {}
    return negative | dict(request.options)

"""Blind comparisons: two models answer one prompt, and which is whose is told when somebody said which is better."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from annotated_types import Len
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from genarium.comparison.tally import tallies
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.ledger import comparisons as kept
from genarium.ledger.comparisons import Comparison, Verdict
from genarium.recipe import Model, Recipe
from genarium.server.desk import desk_of
from genarium.server.errors import Json, RequestRefused
from genarium.server.history import with_ledger
from genarium.server.models import Models

router = APIRouter(tags=["comparisons"])


class Asked(BaseModel):
    """`arguments` are the task's, the same for both models; a seed that is not among them is drawn."""

    models: Annotated[list[str], Len(2, 2)]
    task: Literal["chat", "text"] = "chat"
    arguments: dict[str, Any] = Field(description="message, or prompt, and what else the task takes")


class Judged(BaseModel):
    verdict: Verdict
    note: str = Field(default="", max_length=4000)


@router.post("/v1/comparisons")
async def compare(request: Request, asked: Asked) -> Response:
    """Have two models answer the same, and show both answers: on which side each is, is drawn at random."""
    if beyond := sorted({"model", "n"} & asked.arguments.keys()):
        raise BadInput(f"{beyond[0]} can't be among the arguments; both models answer once")
    arguments = {"seed": secrets.randbelow(2**31)} | asked.arguments
    desk = desk_of(request)
    recipes = await desk.prepare_all(asked.task, [{**arguments, "model": model} for model in asked.models])
    if _is_one_model(recipes):
        raise BadInput(f"both are the same model, {asked.models[0][:100]}; choose two")
    results = await desk.results(request, recipes)
    sides = [result[0].id for result in results]
    secrets.SystemRandom().shuffle(sides)
    shown = await with_ledger(lambda ledger: kept.begin(ledger, *sides))
    return Json(_blind(shown))


@router.get("/v1/comparisons")
async def totals(request: Request) -> Response:
    """What the comparisons that were judged came to, model against model, the better one first."""
    models = desk_of(request).models
    return Json({"object": "list", "data": await with_ledger(lambda ledger: _totals(ledger, models))})


@router.get("/v1/comparisons/{comparison}")
async def show_comparison(request: Request, comparison: str) -> Response:
    """A comparison: which answer is whose only once it was judged."""
    found = await _found(comparison)
    return Json(_blind(found) if found.verdict is None else _told(found, desk_of(request).models))


@router.post("/v1/comparisons/{comparison}/verdict")
async def judge(request: Request, comparison: str, said: Judged) -> Response:
    """Say which answer is better, once; then it is told which model each is of."""
    found = await _found(comparison)
    if found.verdict is not None:
        raise RequestRefused(409, "this comparison was judged already, and whose answers they are was told")
    told = await with_ledger(lambda ledger: kept.judge(ledger, comparison, said.verdict, said.note))
    models = desk_of(request).models
    pair = {side.recipe.model for side in told.sides}
    totals = await with_ledger(lambda ledger: _totals(ledger, models, pair))
    return Json(_told(told, models) | {"total": totals[0] if totals else None})


def _is_one_model(recipes: list[Recipe]) -> bool:
    one, two = (recipe.model or Model("") for recipe in recipes)
    return (one.digest or one.reference) == (two.digest or two.reference)


async def _found(identifier: str) -> Comparison:
    try:
        return await with_ledger(lambda ledger: kept.find(ledger, identifier))
    except BadInput as error:
        raise RequestRefused(404, str(error)) from None


def _blind(shown: Comparison) -> dict[str, Any]:
    """What is seen before the verdict: two texts."""
    sides = {name: {"text": side.facts["text"]} for name, side in zip(("left", "right"), shown.sides, strict=True)}
    return {"id": shown.id, "object": "comparison", "task": shown.left.recipe.task, "verdict": None, **sides}


def _told(found: Comparison, models: Models) -> dict[str, Any]:
    """What is told after it: whose they are."""
    told, called = _blind(found) | {"verdict": found.verdict, "note": found.note}, models.names()
    for name, side in zip(("left", "right"), found.sides, strict=True):
        model = side.recipe.model
        told[name] |= {"artefact": side.id, "model": called(model.reference) if model else None}
    return told


def _totals(ledger: Ledger, models: Models, only: set[Model | None] | None = None) -> list[dict[str, Any]]:
    """Model against model; `only` between these two."""
    called = models.names()
    return [
        {
            "task": tally.task,
            "model": called(tally.model.reference),
            "other": called(tally.other.reference),
            **tally.win_rate.as_dict(),
        }
        for tally in tallies(ledger)
        if only is None or {tally.model, tally.other} == only
    ]

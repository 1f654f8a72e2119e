"""The line of versions: what was aligned on this machine, from what, and what `chat` and `text` use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from genarium.checkpoints.store import promoted, versions
from genarium.checkpoints.store.promoted import Promotion
from genarium.checkpoints.store.versions import Version
from genarium.server.desk import desk_of
from genarium.server.errors import Json

router = APIRouter(tags=["models"])


@router.get("/v1/versions")
def list_versions(request: Request) -> Response:
    """Every model that was aligned here with its parents and what it learned from, newest first, and what is in use."""
    called, used = desk_of(request).models.names(), promoted.all_in_use()
    shown = [_shown(version, called, used) for version in reversed(versions.listed())]
    in_use: dict[str, Any] = {task: {"model": f"starter/{task}", "since": None} for task in promoted.TASKS}
    in_use |= {task: {"model": called(one.reference), "since": one.created} for task, one in used.items()}
    return Json({"object": "list", "data": shown, "in_use": in_use})


def _shown(version: Version, called: Callable[[str], str], used: Mapping[str, Promotion]) -> dict[str, Any]:
    return {
        "id": version.name,
        "object": "version",
        "method": version.method,
        "created": version.created,
        "is_here": version.is_here,
        "digest": version.digest,
        "parents": _named(version.parents, called),
        "rewards": _named(version.rewards, called),
        "learned_from": version.learned_from,
        "figures": version.figures,
        "promoted_for": promoted.tasks_of(version.reference, version.digest, used),
    }


def _named(listed: list[dict[str, Any]], called: Callable[[str], str]) -> list[dict[str, Any]]:
    """Models as clients know them."""
    return [
        {name: value for name, value in one.items() if name != "reference"}
        | {"model": called(str(one.get("reference", "")))}
        for one in listed
    ]

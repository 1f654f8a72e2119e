"""The line of versions: what was aligned on this machine, from what, and what `chat` and `text` use."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from genarium.checkpoints.store import promoted, versions
from genarium.checkpoints.store.versions import Version
from genarium.server.desk import desk_of
from genarium.server.errors import Json
from genarium.server.models import Models

router = APIRouter(tags=["models"])


@router.get("/v1/versions")
def list_versions(request: Request) -> Response:
    """Every model that was aligned here with its parents and what it learned from, newest first, and what is in use."""
    models = desk_of(request).models
    in_use = {task: promoted.in_use(task) for task in promoted.TASKS}
    used = {
        task: {
            "model": models.called(one.reference) if one else f"starter/{task}",
            "since": one.created if one else None,
        }
        for task, one in in_use.items()
    }
    shown = [_shown(version, models) for version in reversed(versions.listed())]
    return Json({"object": "list", "data": shown, "in_use": used})


def _shown(version: Version, models: Models) -> dict[str, Any]:
    return {
        "id": version.name,
        "object": "version",
        "method": version.method,
        "created": version.created,
        "is_here": version.is_here,
        "digest": version.digest,
        "parents": _named(version.parents, models),
        "rewards": _named(version.rewards, models),
        "learned_from": version.learned_from,
        "figures": version.figures,
        "promoted_for": promoted.tasks_of(version.reference, version.digest),
    }


def _named(listed: list[dict[str, Any]], models: Models) -> list[dict[str, Any]]:
    """Models as clients know them."""
    return [
        {name: value for name, value in one.items() if name != "reference"}
        | {"model": models.called(str(one.get("reference", "")))}
        for one in listed
    ]

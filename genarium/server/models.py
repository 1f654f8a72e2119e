"""Which models a client may name, and what they are called.

A model's name can be any folder of the machine, anything on the hub (gigabytes to fetch) or somebody's endpoint (and
its bill): so clients choose among the starters, what was pulled from the hub already, and what the server was started
with.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from genarium import files
from genarium.checkpoints.store import catalogue, promoted, versions
from genarium.checkpoints.store.find import Found
from genarium.engines import registry
from genarium.errors import GenariumError, ModelNotFound
from genarium.server.settings import ServerSettings


class Models:
    def __init__(self, settings: ServerSettings):
        self.settings = settings

    def reference(self, name: str) -> str:
        """The reference behind a name that a client gives. Raises ModelNotFound."""
        if name in self.settings.models:
            return self.settings.models[name]
        starter = name.removeprefix("starter/")
        if name == "starter" or (name != starter and starter in catalogue.starters()):
            return name
        if name in (aligned := _aligned()):
            return aligned[name]
        if self.settings.any_model or name in self.settings.models.values() or name in _promoted() or name in pulled():
            return name
        raise ModelNotFound(
            f"this server has no model {name[:100]!r}; GET /v1/models lists what it has, and `genarium serve --model "
            "REFERENCE` adds one"
        )

    def names(self) -> Callable[[str], str]:
        """What clients call the model with a reference, of all there are at this moment: its name where it has one."""
        names = {str(files.named(one).resolve()): name for name, one in self._given().items()}
        return lambda reference: names.get(reference, reference)

    def listed(self) -> list[dict[str, Any]]:
        """What there is, as OpenAI lists models; `tasks` is ours, and so is `promoted_for`: the tasks that use it where
        no model is named.
        """
        starters = [(f"starter/{s.name}", "genarium", list(s.tasks)) for s in catalogue.starters().values() if s.here]
        nothing: list[str] = []
        named = [(name, "user", _tasks_of(reference)) for name, reference in self._given().items()]
        here = [(name, name.partition("/")[0], nothing) for name in pulled()]
        called = self.names()
        in_use = {called(reference): tasks for reference, tasks in _promoted().items()}
        listed = [*reversed(named), *starters, *here]
        others = [(name, "user", tasks) for name, tasks in in_use.items() if name not in {one[0] for one in listed}]
        return [
            {"id": name, "object": "model", "created": 0, "owned_by": owner, "tasks": tasks}
            | {"promoted_for": in_use.get(name, nothing)}
            for name, owner, tasks in [*listed, *others]
        ]

    def _given(self) -> dict[str, str]:
        """The references of what was aligned here and of what the server was started with, by their names."""
        return {**_aligned(), **self.settings.models}


def _aligned() -> dict[str, str]:
    """The references of the models that were aligned on this machine, by the names of their versions.

    Where a folder was trained in again, its newest version is what is there.
    """
    latest = {version.reference: version.name for version in versions.listed() if version.is_here}
    return {name: reference for reference, name in latest.items()}


def _promoted() -> dict[str, list[str]]:
    """The tasks that use a model where none is named, by its reference."""
    found: dict[str, list[str]] = {}
    for task, one in promoted.all_in_use().items():
        found.setdefault(one.reference, []).append(task)
    return found


def _tasks_of(reference: str) -> list[str]:
    """What a folder is for, as its files say; nothing where they don't, since then it may be for anything."""
    folder = files.named(reference)
    if versions.method_of(folder) == "reward":
        return ["rank"]
    if (folder / "model_index.json").is_file():
        return _drawn_by(Found(reference, folder, ""))
    try:
        written = json.loads((folder / "config.json").read_text("utf-8")).get("architectures") or [""]
    except (OSError, ValueError, AttributeError):
        return []
    return ["text", "chat", "ask", "classify"] if str(written[0]).endswith(("ForCausalLM", "LMHeadModel")) else []


def _drawn_by(found: Found) -> list[str]:
    try:
        return ["video"] if registry.can_open(found, "video") else ["image"]
    except GenariumError:
        return []


def pulled() -> list[str]:
    """The hub checkpoints that are on this machine."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        return sorted(repo.repo_id for repo in scan_cache_dir().repos if repo.repo_type == "model")
    except CacheNotFound:
        return []

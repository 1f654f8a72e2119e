"""Which models a client may name, and what they are called.

A model's name can be any folder of the machine, anything on the hub (gigabytes to fetch) or somebody's endpoint (and
its bill): so clients choose among the starters, what was pulled from the hub already, and what the server was started
with.
"""

from __future__ import annotations

import json
from typing import Any

from genarium import files
from genarium.checkpoints.store import catalogue
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
        if self.settings.any_model or name in self.settings.models.values() or name in pulled():
            return name
        raise ModelNotFound(
            f"this server has no model {name[:100]!r}; GET /v1/models lists what it has, and `genarium serve --model "
            "REFERENCE` adds one"
        )

    def listed(self) -> list[dict[str, Any]]:
        """What there is, as OpenAI lists models; `tasks` is ours."""
        starters = [(f"starter/{s.name}", "genarium", list(s.tasks)) for s in catalogue.starters().values() if s.here]
        nothing: list[str] = []
        named = [(name, "user", _tasks_of(reference)) for name, reference in self.settings.models.items()]
        here = [(name, name.partition("/")[0], nothing) for name in pulled()]
        return [
            {"id": name, "object": "model", "created": 0, "owned_by": owner, "tasks": tasks}
            for name, owner, tasks in [*named, *starters, *here]
        ]


def _tasks_of(reference: str) -> list[str]:
    """What a folder is for, as its files say; nothing where they don't, since then it may be for anything."""
    folder = files.named(reference)
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

"""What a model drew from a prompt, a picture or a video: its prompt, seed and settings, and how files name them."""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from genarium.artefacts.media import Media
from genarium.artefacts.png import PARAMETERS_CHUNK, RECIPE_CHUNK

SHOWN_HASH = 10
"""As many digits of a model's sha256 as the web UI writes."""


@dataclass(kw_only=True)
class Drawn(Media):
    """`settings` are what it was made with, the model's own choices included."""

    prompt: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    """In order: `negative_prompt`, `steps`, `sampler`, `guidance`, `strength`; those that the model has."""

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    def tags(self) -> dict[str, str]:
        """What stands in the file's own metadata: the parameters, and the recipe as canonical JSON."""
        recipe = {} if self.recipe is None else {RECIPE_CHUNK: self.recipe.canonical().decode()}
        return {PARAMETERS_CHUNK: self.parameters()} | recipe

    def parameters(self) -> str:
        """Prompt and settings in the form that AUTOMATIC1111's web UI writes and other tools read."""
        width, height = self.size
        named = {
            "Steps": self.settings.get("steps"),
            "Sampler": SAMPLER_NAMES.get(self.settings.get("sampler") or "", self.settings.get("sampler")),
            "CFG scale": self.settings.get("guidance"),
            "Seed": self.seed,
            "Size": f"{width}x{height}",
        }
        if self.recipe is not None and self.recipe.model is not None:
            named["Model hash"] = self.recipe.model.digest[:SHOWN_HASH]
            named["Model"] = _short_name(self.recipe.model.reference)
        named["Denoising strength"] = self.settings.get("strength")
        line = ", ".join(f"{name}: {_quoted(value)}" for name, value in named.items() if value not in (None, ""))
        negative = self.settings.get("negative_prompt")
        return "\n".join([self.prompt, *([f"Negative prompt: {negative}"] if negative else []), line])

    def facts(self) -> dict[str, Any]:
        width, height = self.size
        return {"prompt": self.prompt, "seed": self.seed, "width": width, "height": height, **self.settings}

    def title(self) -> str:
        return " ".join(self.prompt.split())


# Our name for each sampler, and the web UI's.
SAMPLER_NAMES = {
    "ddpm": "DDPM",
    "ddim": "DDIM",
    "pndm": "PLMS",
    "euler": "Euler",
    "euler-a": "Euler a",
    "heun": "Heun",
    "dpm++2m": "DPM++ 2M",
    "unipc": "UniPC",
}


def _short_name(reference: str) -> str:
    """A folder's last name, a hub id or starter as it is."""
    return reference.replace("\\", "/").rstrip("/").rpartition("/")[2] if reference.startswith("/") else reference


def _quoted(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ',:\n"') else text

"""A picture that a model made, with its recipe inside the file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from genarium.artefacts.png import PARAMETERS_CHUNK, RECIPE_CHUNK, Png, encode
from genarium.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np

SHOWN_HASH = 10
"""As many digits of a model's sha256 as the web UI writes."""


@dataclass(kw_only=True)
class Image(Png):
    """`pixels` is (height, width, 3) uint8. `settings` are what it was made with, the model's own choices included.

    Its recipe is its own: one picture with this seed, however many were asked for or drawn to choose from.
    """

    kind: ClassVar[str] = "image"

    prompt: str
    pixels: np.ndarray
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    """In order: `negative_prompt`, `steps`, `sampler`, `guidance`, `strength`; those that the model has."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def own_recipe(self, recipe: Recipe) -> Recipe:
        alone = recipe.arguments | {"n": 1, "grid_size": None, "best_of": 1, "matcher": None}
        return Recipe.of(recipe.task, alone, recipe.model, self.seed)

    def content(self) -> bytes:
        from PIL import Image as Pillow

        chunks = {PARAMETERS_CHUNK: self.parameters()}
        if self.recipe is not None:
            chunks[RECIPE_CHUNK] = self.recipe.canonical().decode()
        return encode(Pillow.fromarray(self.pixels), chunks)

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

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else self.title()


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

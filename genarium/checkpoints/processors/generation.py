"""What `generation_config.json` says of how to write: what is done, and what is left to the caller and said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genarium.checkpoints.fields import shown
from genarium.checkpoints.fields.generation import GenerationFields
from genarium.checkpoints.store import adapters
from genarium.checkpoints.store.find import base_of
from genarium.checkpoints.store.folder import read_json

SETTINGS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""What a caller can set too."""
NEUTRAL = {
    "encoder_repetition_penalty": 1,
    "epsilon_cutoff": 0,
    "eta_cutoff": 0,
    "guidance_scale": 1,
    "min_length": 0,
    "min_new_tokens": 0,
    "no_repeat_ngram_size": 0,
    "num_beam_groups": 1,
    "num_beams": 1,
    "token_healing": False,
    "typical_p": 1,
}
"""Where a way to write that is not known here changes nothing."""


def read(path: Path) -> GenerationFields:
    """An adapter without the file has its base's; a folder without it says nothing. Raises BadCheckpoint."""
    file = path / GenerationFields.file
    if file.is_file():
        return GenerationFields.read(read_json(file), str(path))
    return read(base_of(path)) if adapters.is_adapter(path) else GenerationFields()


def not_done(generation: GenerationFields, settings: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """A sentence of what a run with these settings does otherwise; empty where that is nothing.

    `usual` is what the settings are where nobody set them: those that somebody set are theirs.
    """
    greedy = settings["temperature"] == 0
    open_to = [] if greedy else [name for name in SETTINGS if settings[name] == usual[name]]
    wanted = {name: value for name in open_to if (value := getattr(generation, name)) not in (None, settings[name])}
    if generation.do_sample is False and "temperature" in open_to:
        wanted = {"do_sample": False}
    elif not greedy and generation.top_k == 0:
        wanted.pop("top_k", None)
    beyond = {
        name: value
        for name in GenerationFields.model_fields
        if GenerationFields.effects()[name] == "said"
        and name not in (*SETTINGS, "do_sample")
        and (value := getattr(generation, name)) not in (None, NEUTRAL.get(name))
    }
    said = []
    if wanted:
        said.append(f"its authors suggest {_listed(wanted)}, and this run goes by its own settings")
    if beyond:
        said.append(f"{_listed(beyond)} is not done here")
    return f"{GenerationFields.file}: {'; '.join(said)}" if said else ""


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in values.items())

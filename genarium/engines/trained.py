"""What the engines of models that Genarium trained share: how a folder's parts go together, and what they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genarium.checkpoints.layouts import text_to_image as layout
from genarium.checkpoints.layouts.pipeline import INDEX
from genarium.checkpoints.store.find import find
from genarium.checkpoints.store.folder import read_json
from genarium.conditioning.prompts import PromptEncoder
from genarium.diffusion.samplers import SAMPLERS, Denoise
from genarium.engines.drawing import Request, tell_what_is_cut
from genarium.engines.vision.word_maps import Attribution
from genarium.errors import BadCheckpoint
from genarium.models.attention import watching
from genarium.models.text_to_image import Conditioning, TextToImage, TextToImageConfig
from genarium.progress import emit, is_heard

PREVIEWS = 6
"""At most so many results on the way are decoded, for whoever watches."""


def is_shown(step: int, total: int) -> bool:
    """Whether somebody watches, and sees what there is after this step."""
    return is_heard() and step < total and step % -(-total // PREVIEWS) == 0


def read_index(path: Path) -> dict[str, Any]:
    """How the parts of a folder that Genarium trained go together. Raises BadCheckpoint."""
    index = read_json(path / INDEX)
    for name in ("text_encoder", "context", "steps", "guidance"):
        if name not in index:
            raise BadCheckpoint(f"{path}: {INDEX} has no {name!r}; get the folder again")
    if index.get("sampler", "euler") not in SAMPLERS:
        raise BadCheckpoint(
            f"{path}: {INDEX} asks for the sampler {index['sampler']!r}; known are {', '.join(SAMPLERS)}"
        )
    return index


def load_parts(
    path: Path, index: dict[str, Any], name: str, config: TextToImageConfig, device: str
) -> tuple[TextToImage, PromptEncoder]:
    """The networks of a folder that Genarium trained, and what prompts are read with. Raises BadCheckpoint."""
    emit("loading", preview=name)
    model = layout.load(path, device=device)
    reads = find(str(index["text_encoder"]), default="encoder")
    if reads.path is None:
        raise BadCheckpoint(f"{name} reads prompts with {reads.reference}, which is behind an endpoint")
    prompts = PromptEncoder(reads.path, context=int(index["context"]), device=device)
    if prompts.model.config.d_model != config.cross_attention_dim:
        raise BadCheckpoint(
            f"{name} reads words {config.cross_attention_dim} numbers wide, but {reads.reference} "
            f"gives {prompts.model.config.d_model}; the folder mixes parts of two models"
        )
    return model, prompts


def read_prompts(request: Request, prompts: PromptEncoder, name: str) -> Conditioning:
    """What the networks are told of the prompt and of the negative one, a row each; what is cut is said."""
    for called, prompt in (("prompt", request.prompt), ("negative prompt", request.negative_prompt)):
        if lost := prompts.cut(prompt):
            tell_what_is_cut(name, called, prompts.context, lost, strict=request.strict)
    with torch.inference_mode():
        return prompts.conditioning(*prompts.tokens([request.prompt, request.negative_prompt]))


def watched(denoise: Denoise, model: TextToImage, looked: Attribution) -> Denoise:
    """The same, and what the denoiser's places look at of the words is added up; not what previews look at."""
    layers, of_words = model.looks(looked.latents[0] * looked.latents[1])

    def looking(x: Tensor, t: Tensor) -> Tensor:
        with watching(layers, lambda layer, weights: looked.add(layer, of_words(weights))):
            return denoise(x, t)

    return looking

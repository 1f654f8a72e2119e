"""GIT folders in transformers' layout (`GitForCausalLM`) -> `models.git`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genarium.checkpoints.fields.image_text import GitFields, GitVisionFields
from genarium.checkpoints.layouts import vit
from genarium.checkpoints.layouts.encoder_config import of_fields
from genarium.checkpoints.layouts.encoder_names import BERT_BLOCK
from genarium.checkpoints.store import folder as folders
from genarium.errors import BadCheckpoint
from genarium.models.git import Git, GitConfig


def opens(path: Path) -> bool:
    """Whether the folder is a GIT of pictures; one for videos has embeddings of time, which this network lacks."""
    raw = folders.read_config(path)
    return raw["model_type"] == "git" and not raw.get("num_image_with_embedding")


def load(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Git:
    """Frozen, in evaluation mode. Raises BadCheckpoint where a part is missing, damaged or of another shape."""
    raw = folders.read_config(path)
    config = read_config(raw, str(path))
    with torch.device("meta"):
        model = Git(config)
    stored = folders.read_tensors(path)
    if raw.get("tie_word_embeddings"):
        words = folders.require(stored, "git.embeddings.word_embeddings.weight", path)
        own = stored.get("output.weight")
        if own is not None and not torch.equal(own, words):
            raise BadCheckpoint(
                f"{path} has an output layer of its own, and its config.json says that it is the words' table; run it "
                "with transformers"
            )
        stored["output.weight"] = words

    def fetch(name: str) -> Tensor:
        return folders.stacked(stored, published_names(name), path)

    folders.fill(model, fetch, path, dtype, device)
    stored.refuse_left_over(path)
    return model.requires_grad_(False).eval()


def read_config(raw: Mapping[str, Any], where: str) -> GitConfig:
    """The `GitConfig` a published `config.json` describes. What it leaves out is as in transformers' classes."""
    fields = GitFields.read(raw, where)
    image = GitVisionFields.read(fields.vision_config or {}, f"{where}: vision_config")
    return GitConfig(
        image=vit.read_config(image, patch_bias=False, first_norm=True),
        text=of_fields(fields, context_length=fields.max_position_embeddings, n_types=0, pooler=False),
        start_token=fields.bos_token_id,
        end_token=fields.eos_token_id,
    )


IMAGE_BLOCK = {
    "attention.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.out": ("self_attn.out_proj",),
    **vit.BLOCK,
}
VISION = "git.image_encoder.vision_model"
TOP = {
    "image.class_embedding": f"{VISION}.embeddings.class_embedding",
    "image.position_embedding": f"{VISION}.embeddings.position_embedding.weight",
    "image.patch_embedding.weight": f"{VISION}.embeddings.patch_embedding.weight",
}
MODULES = {
    "image.first_norm": f"{VISION}.pre_layrnorm",
    "image.norm": f"{VISION}.post_layernorm",
    "projection": "git.visual_projection.visual_projection.0",
    "projection_norm": "git.visual_projection.visual_projection.1",
    "embedding": "git.embeddings.word_embeddings",
    "position_embedding": "git.embeddings.position_embeddings",
    "embedding_norm": "git.embeddings.LayerNorm",
    "out": "output",
}


def published_names(name: str) -> list[str]:
    """The published tensors that together, one under the other, are a native one."""
    if name in TOP:
        return [TOP[name]]
    module, _, leaf = name.rpartition(".")
    if module in MODULES:
        return [f"{MODULES[module]}.{leaf}"]
    if module.startswith("image."):
        _, _, index, part = module.split(".", 3)
        return [f"{VISION}.encoder.layers.{index}.{one}.{leaf}" for one in IMAGE_BLOCK[part]]
    _, index, part = module.split(".", 2)
    return [f"git.encoder.layer.{index}.{one}.{leaf}" for one in BERT_BLOCK[part]]

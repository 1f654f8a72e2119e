"""Reward models in transformers' layout: `LlamaForSequenceClassification` and its like with one label <-> `Scorer`.

As an adapter it is PEFT's for the task SEQ_CLS, with `score` among its new modules. `genarium_reads` in config.json
says whether it was taught on texts or on conversations; where another program wrote it, a chat template decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genarium.checkpoints.fields import shown
from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.layouts.gpt_config import read_config
from genarium.checkpoints.layouts.scorer_files import HEAD, READS
from genarium.checkpoints.store import folder as folders
from genarium.errors import BadCheckpoint
from genarium.models.scorer import Scorer

SCORE = "score.weight"


def load(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Scorer:
    """The network, in evaluation mode. Raises BadCheckpoint, also where it tells several labels apart."""
    raw = folders.read_config(path)
    config = read_config(raw, str(path))
    stored = gpt.tensors(path, config, raw["model_type"])
    score = folders.require(stored, SCORE, path)
    if score.shape != (1, config.d_model):
        raise BadCheckpoint(
            f"{path}: {SCORE} has shape {shown(list(score.shape))}, so it tells {len(score)} labels apart; a reward "
            f"model gives one score ({[1, config.d_model]})"
        )
    dict.pop(stored, "lm_head.weight", None)  # of the base that it was taught over
    trunk = gpt.network(path, stored, replace(config, tie_embeddings=True), raw, dtype, device)
    model = Scorer(trunk.config, trunk).to(device=device, dtype=dtype)
    with torch.no_grad():
        model.score.weight.copy_(score)
    if not torch.isfinite(model.score.weight).all():
        raise BadCheckpoint(f"{path}: {SCORE} holds values that are not numbers; train it again")
    return model.requires_grad_(False).eval()


def save(model: Scorer, path: Path, *, raw: Mapping[str, Any], form: str, pad: int) -> None:
    """A whole folder; `raw` is the base's config.json, `pad` the token that transformers takes for padding."""
    kind = gpt.layout_of(model.trunk.config)
    config = described({"model_type": kind}, form=form, pad=pad)
    config |= {name: raw[name] for name in ("bos_token_id", "eos_token_id") if name in raw}
    gpt.save(model.trunk, path, extra=config, more={SCORE: model.score.weight})


def described(raw: Mapping[str, Any], *, form: str, pad: int) -> dict[str, Any]:
    """What config.json says of a reward model beside what its base's does."""
    name = gpt.ARCHITECTURES[raw["model_type"]]
    stem = name.removesuffix("LMHeadModel").removesuffix("ForCausalLM")
    return {
        "architectures": [stem + HEAD],
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "pad_token_id": pad,
        READS: form,
    }


def whole(model: Scorer) -> dict[str, Tensor]:
    """What an adapter brings beside its low-rank matrices, by published name."""
    return {SCORE: model.score.weight}

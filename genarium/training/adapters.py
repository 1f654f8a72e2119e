"""Low-rank adapters (LoRA) in the place of linear layers, and how they are named in PEFT's layout."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts.encoder_names import published_names
from genarium.checkpoints.store import adapters, digest
from genarium.checkpoints.store.folder import weight_files
from genarium.models.encoder import QuestionAnsweringModel, TextClassifier

M = TypeVar("M", bound=nn.Module)
Target = Literal["qkv", "out", "up", "down"]
TARGETS: tuple[Target, ...] = ("qkv", "out", "up", "down")
NO_MODULES = "dummy-target-modules"
"""PEFT's own name for an adapter that adapts no layer and only brings new modules."""


class LoRALinear(nn.Module):
    """A frozen linear layer and a low-rank one beside it: y = W x + b + (alpha / rank) B A x.

    Hu et al. 2021, arXiv:2106.09685, eq. 3; B begins at zero, so that nothing changes at first. Where the layer is
    `parts` layers one under the other (query, key and value in one matrix), each part has its own A (rank, in) and
    B (out / parts, rank), as PEFT gives three separate layers: one A for all three would be another, smaller
    family of changes.
    """

    def __init__(self, linear: nn.Linear, *, rank: int, alpha: float, parts: int = 1, dropout: float = 0.0):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.parts, self.scale = parts, alpha / rank
        self.dropout = nn.Dropout(dropout)
        self.lora_a = nn.Parameter(linear.weight.new_empty(parts, rank, linear.in_features))
        self.lora_b = nn.Parameter(linear.weight.new_zeros(parts, linear.out_features // parts, rank))
        for part in self.lora_a:  # as an nn.Linear begins, and PEFT's A
            nn.init.kaiming_uniform_(part, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        low = F.linear(self.dropout(x), self.lora_a.flatten(0, 1)).chunk(self.parts, dim=-1)
        added = [F.linear(h, b) for h, b in zip(low, self.lora_b, strict=True)]
        return self.linear(x) + self.scale * (torch.cat(added, dim=-1) if self.parts > 1 else added[0])

    def merged(self) -> nn.Linear:
        """One linear layer of the same map: W + (alpha / rank) B A."""
        whole = nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        whole.to(self.linear.weight)
        with torch.no_grad():
            whole.weight.copy_(self.linear.weight + self.scale * (self.lora_b @ self.lora_a).flatten(0, 1))
            if self.linear.bias is not None:
                whole.bias.copy_(self.linear.bias)
        return whole


def add_lora(
    encoder: nn.Module, *, rank: int, alpha: float, targets: Sequence[str] = TARGETS, dropout: float = 0.0
) -> None:
    """Put an adapter beside every linear layer of the encoder whose own name is in `targets`, in place.

    `qkv` is query, key and value of the attention and `out` its output; `up` and `down` are the two of the MLP.
    """
    for module in list(encoder.modules()):
        for name, child in module.named_children():
            if name in targets and isinstance(child, nn.Linear):
                parts = 3 if name == "qkv" else 1
                setattr(module, name, LoRALinear(child, rank=rank, alpha=alpha, parts=parts, dropout=dropout))


def merge_lora(model: nn.Module) -> None:
    """Make every adapter in `model` part of its layer, in place."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, LoRALinear):
                setattr(module, name, child.merged())


def average(models: Sequence[M]) -> M:
    """One network whose weights are the mean of the models' (Wortsman et al. 2022, arXiv:2203.05482).

    Adapters are put side by side: the mean of n changes of rank r is one change of rank n · r, exactly.
    """
    whole = copy.deepcopy(models[0])
    with torch.no_grad():
        for name, parameter in whole.named_parameters():
            if parameter.requires_grad and ".lora_" not in name:
                parameter.copy_(torch.stack([model.get_parameter(name) for model in models]).mean(0))
        for name, module in whole.named_modules():
            if isinstance(module, LoRALinear):
                each: list[Any] = [model.get_submodule(name) for model in models]
                module.lora_a = nn.Parameter(torch.cat([one.lora_a for one in each], dim=1))
                module.lora_b = nn.Parameter(torch.cat([one.lora_b for one in each], dim=2) / len(models))
    return whole


def head_names(model: TextClassifier | QuestionAnsweringModel) -> tuple[str, ...]:
    """The modules that are new for the task, trained whole."""
    return layout.HEAD_MODULES[type(model)]


def save_adapter(
    model: TextClassifier | QuestionAnsweringModel,
    path: Path,
    *,
    base: str,
    base_path: Path,
    config: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write what was learned beside the base as a PEFT folder; the base is named, not copied.

    `base` is the reference the base is found by, `base_path` where it is now, and `config` the base's `config.json`
    with the label names.

    A head over the mean of all tokens is in no published network. Its adapters carry the names of the plain encoder
    (`BertModel`), so that peft opens them over that one and not over a classifier that would judge the first token.
    """
    kind = config["model_type"]
    mean = layout.pools_by_mean(model)
    stem = "" if mean else f"{kind}."
    tensors: dict[str, Tensor] = {}
    adapted: list[str] = []
    lora: list[LoRALinear] = []

    def published(name: str) -> list[str]:
        names = published_names(name, kind)
        heads = ("classifier.", "pre_classifier.", "qa_outputs.")
        return [adapters.PREFIX + (part if part.startswith(heads) else stem + part) for part in names]

    def keep(name: str, tensor: Tensor) -> None:
        tensors[name] = tensor.detach().to("cpu", dtype).contiguous().clone()

    for name, module in model.named_modules():
        if not isinstance(module, LoRALinear):
            continue
        lora.append(module)
        for part, a, b in zip(published(f"{name}.weight"), module.lora_a, module.lora_b, strict=True):
            layer = part.removesuffix(".weight")
            adapted.append(layer.removeprefix(adapters.PREFIX))
            keep(f"{layer}.lora_A.weight", a)
            keep(f"{layer}.lora_B.weight", b)
    heads = []
    for head in head_names(model):
        for leaf, tensor in model.get_submodule(head).named_parameters():
            (whole,) = published(f"{head}.{leaf}")
            keep(whole, tensor)
            module_name = whole.removeprefix(adapters.PREFIX).rpartition(".")[0]
            # RoBERTa's head is one module with two layers, which PEFT wraps as one.
            heads.append("classifier" if module_name.startswith("classifier.") else module_name)
    adapters.write(
        path,
        base=base,
        base_sha256={file.name: digest.of_file(file) for file in weight_files(base_path)},
        config=dict(config)
        | {"architectures": [layout.CLASS_NAMES[kind] + layout.HEAD_NAMES[type(model)]]}
        | ({"classifier_pooling": "mean"} if mean else {}),
        task_type="FEATURE_EXTRACTION" if mean else layout.TASK_TYPES[type(model)],
        rank=lora[0].lora_a.shape[1] if lora else 1,
        alpha=lora[0].scale * lora[0].lora_a.shape[1] if lora else 1,
        target_modules=adapted or NO_MODULES,
        modules_to_save=[] if mean else list(dict.fromkeys(heads)),
        tensors=tensors,
    )

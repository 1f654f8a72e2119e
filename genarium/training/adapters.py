"""Low-rank adapters (LoRA) in the place of linear layers, and how they are named in PEFT's layout."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts.encoder_names import published_names
from genarium.checkpoints.store import adapters, digest
from genarium.checkpoints.store.folder import weight_files
from genarium.models.encoder import QuestionAnsweringModel, TextClassifier
from genarium.training.options import TARGETS

M = TypeVar("M", bound=nn.Module)
NO_MODULES = "dummy-target-modules"
"""PEFT's own name for an adapter that adapts no layer and only brings new modules."""


class LoRALinear(nn.Module):
    """A frozen linear layer and a low-rank one beside it: y = W x + b + (alpha / rank) B A x.

    Hu et al. 2021, arXiv:2106.09685, eq. 3; B begins at zero, so that nothing changes at first. Where the layer is
    several layers one under the other (query, key and value in one matrix), with `widths` outputs each, each has its
    own A (rank, in) and B (width, rank), as PEFT gives three separate layers: one A for all three would be another,
    smaller family of changes. While `off`, it is the frozen layer alone.
    """

    def __init__(
        self, linear: nn.Linear, *, rank: int, alpha: float, widths: Sequence[int] | None = None, dropout: float = 0.0
    ):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.widths = tuple(widths or (linear.out_features,))
        self.scale, self.off = alpha / rank, False
        self.dropout = nn.Dropout(dropout)
        parts, alike = len(self.widths), len(set(self.widths)) == 1
        self.lora_a = nn.Parameter(linear.weight.new_empty(parts, rank, linear.in_features))
        shape = (parts, self.widths[0], rank) if alike else (linear.out_features, rank)
        self.lora_b = nn.Parameter(linear.weight.new_zeros(shape))
        for part in self.lora_a:  # as an nn.Linear begins, and PEFT's A
            nn.init.kaiming_uniform_(part, a=math.sqrt(5))

    @property
    def rank(self) -> int:
        return self.lora_a.shape[1]

    @property
    def ups(self) -> Sequence[Tensor]:
        """B (width, rank) of each part."""
        return self.lora_b.flatten(0, -2).split(self.widths)

    @property
    def change(self) -> Tensor:
        """B A of each part, one under the other, (out, in): not scaled."""
        return torch.cat([b @ a for a, b in zip(self.lora_a, self.ups, strict=True)])

    def forward(self, x: Tensor) -> Tensor:
        if self.off:
            whole: Tensor = self.linear(x)
            return whole
        low = F.linear(self.dropout(x), self.lora_a.flatten(0, 1)).chunk(len(self.widths), dim=-1)
        added = [F.linear(h, b) for h, b in zip(low, self.ups, strict=True)]
        return self.linear(x) + self.scale * (torch.cat(added, dim=-1) if len(added) > 1 else added[0])

    def merged(self) -> nn.Linear:
        """One linear layer of the same map: W + (alpha / rank) B A."""
        whole = nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        whole.to(self.linear.weight)
        with torch.no_grad():
            whole.weight.copy_(self.linear.weight + self.scale * self.change)
            if self.linear.bias is not None:
                whole.bias.copy_(self.linear.bias)
        return whole


Widths = Callable[[nn.Module, str, nn.Linear], Sequence[int]]
"""Of a layer, by the module it is in and its name there: the outputs of each published layer that it is made of."""


def of_encoder(module: nn.Module, name: str, linear: nn.Linear) -> Sequence[int]:
    """Query, key and value are three layers; the others are one."""
    parts = 3 if name == "qkv" else 1
    return (linear.out_features // parts,) * parts


def add_lora(
    network: nn.Module,
    *,
    rank: int,
    alpha: float,
    targets: Sequence[str] = TARGETS,
    dropout: float = 0.0,
    widths: Widths = of_encoder,
) -> None:
    """Put an adapter beside every linear layer of the network whose own name is in `targets`, in place.

    `qkv` is query, key and value of the attention and `out` its output; `up` (or `gate_up`) and `down` are the two
    of the MLP.
    """
    for module in list(network.modules()):
        for name, child in module.named_children():
            if name in targets and isinstance(child, nn.Linear):
                outputs = widths(module, name, child)
                setattr(module, name, LoRALinear(child, rank=rank, alpha=alpha, widths=outputs, dropout=dropout))


@contextlib.contextmanager
def without_lora(model: nn.Module) -> Iterator[None]:
    """Inside the block the model is the one before its adapters were put in."""
    adapted = [module for module in model.modules() if isinstance(module, LoRALinear)]
    for module in adapted:
        module.off = True
    try:
        yield
    finally:
        for module in adapted:
            module.off = False


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
                module.lora_b = nn.Parameter(torch.cat([one.lora_b for one in each], dim=-1) / len(models))
    return whole


def matrices(model: nn.Module, published: Callable[[str], Sequence[str]]) -> dict[str, Tensor]:
    """The adapters' A and B by PEFT's names; `published` tells what the parts of a native weight are called."""
    found: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, LoRALinear):
            for part, a, b in zip(published(f"{name}.weight"), module.lora_a, module.ups, strict=True):
                layer = adapters.PREFIX + part.removesuffix(".weight")
                found |= {f"{layer}.lora_A.weight": a, f"{layer}.lora_B.weight": b}
    return found


def layers_of(names: Iterable[str]) -> list[str]:
    """The layers whose matrices these are, by PEFT's names without what they all begin with, each once."""
    return list(dict.fromkeys(name.removeprefix(adapters.PREFIX).partition(".lora_")[0] for name in names))


def side_by_side(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Two adapters of one base as one of both ranks together: B A + B' A', exactly. Names are PEFT's, scales 1.

    Where one of the two adapts no layer, zeros stand.
    """
    down, up = ".lora_A.weight", ".lora_B.weight"
    ranks = [next(len(one) for name, one in each.items() if name.endswith(down)) for each in (before, after)]
    found: dict[str, Tensor] = {}
    for layer in dict.fromkeys(name.partition(".lora_")[0] for name in (*before, *after)):
        shape = next(each for each in (before, after) if layer + down in each)
        n_in, n_out = shape[layer + down].shape[1], shape[layer + up].shape[0]
        parts = [
            (each.get(layer + down, torch.zeros(rank, n_in)), each.get(layer + up, torch.zeros(n_out, rank)))
            for each, rank in zip((before, after), ranks, strict=True)
        ]
        found[layer + down] = torch.cat([a for a, _ in parts]).contiguous()
        found[layer + up] = torch.cat([b for _, b in parts], dim=1).contiguous()
    return found


def stored(tensor: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """As a file holds it: on the CPU, in memory of its own."""
    return tensor.detach().to("cpu", dtype).contiguous().clone()


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

    def published(name: str) -> list[str]:
        names = published_names(name, kind)
        heads = ("classifier.", "pre_classifier.", "qa_outputs.")
        return [part if part.startswith(heads) else stem + part for part in names]

    lora = [module for module in model.modules() if isinstance(module, LoRALinear)]
    tensors = {name: stored(tensor, dtype) for name, tensor in matrices(model, published).items()}
    adapted = layers_of(tensors)
    heads = []
    for head in head_names(model):
        for leaf, tensor in model.get_submodule(head).named_parameters():
            (whole,) = published(f"{head}.{leaf}")
            tensors[adapters.PREFIX + whole] = stored(tensor, dtype)
            module_name = whole.rpartition(".")[0]
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
        rank=lora[0].rank if lora else 1,
        alpha=lora[0].scale * lora[0].rank if lora else 1,
        target_modules=adapted or NO_MODULES,
        modules_to_save=[] if mean else list(dict.fromkeys(heads)),
        tensors=tensors,
    )

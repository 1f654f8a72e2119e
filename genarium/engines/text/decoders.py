"""What computes a text's next tokens: the layout's network in torch, or a graph of it on onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from genarium.decoding.protocol import Decoder
from genarium.errors import BadCheckpoint, BadInput

QUANTISED = ("int8", "int4")


def open(path: Path, dtype: str, device: str | None = None, *, backend: str = "auto") -> Decoder:
    """Raises BadInput, BadCheckpoint. `device` is torch's; None is the first GPU, else the CPU."""
    library, dtype = chosen(path, dtype, backend, device)
    if library == "onnx":
        from genarium.engines.backends.onnx.decoder import OnnxDecoder

        return OnnxDecoder(path, dtype)
    return _in_torch(path, dtype, device)


def chosen(
    path: Path, dtype: str, backend: str = "auto", device: str | None = None
) -> tuple[Literal["onnx", "torch"], str]:
    """What computes, and in what: torch where a device is named, or there is a GPU, or no graph is of such a network.

    torch's own choice of precision stays "auto": it depends on the device. Raises BadInput, BadCheckpoint.
    """
    from genarium.devices import computed_by

    if dtype in QUANTISED:
        if backend == "torch":
            raise BadInput(f"{dtype} is computed by onnxruntime; leave the backend to auto, or choose float32")
        return "onnx", dtype
    if dtype == "bfloat16":
        if backend == "onnx":
            raise BadInput("bfloat16 is computed by torch; leave the backend to auto, or choose float32")
        return "torch", dtype
    if computed_by(backend, device) == "torch":
        return "torch", dtype
    if cannot := _no_graph(path):
        if backend == "onnx":
            raise BadCheckpoint(f"{path} {cannot}, of which no graph is made here; leave the backend to auto")
        return "torch", dtype
    return "onnx", auto_dtype(path) if dtype == "auto" else dtype


def auto_dtype(path: Path) -> str:
    """What onnxruntime computes a model in where nothing is asked for: int8 what a GGUF file has in 8 bits or fewer."""
    from genarium.checkpoints.store import gguf

    if not gguf.is_gguf(path):
        return "float32"
    kinds = {tensor.kind for tensor in gguf.read(path).tensors.values() if len(tensor.shape) > 1}
    return "float32" if kinds <= {"F32", "F16", "BF16"} else "int8"


def rule() -> str:
    """What `auto` chooses on this machine, for people."""
    from genarium.devices import computed_by

    if computed_by("auto") == "torch":
        return "text and chat: torch on the GPU, in bfloat16"
    return (
        "text and chat: onnxruntime in float32, in int8 for a GGUF file of 8 bits or fewer; torch for what has no graph"
    )


def _no_graph(path: Path) -> str:
    """What no graph can do of this model, as the rest of a sentence; empty where one does it all."""
    from genarium.checkpoints.layouts.gpt_layout import LAYOUT
    from genarium.checkpoints.store import adapters
    from genarium.checkpoints.store.folder import read_config
    from genarium.progress import listening

    raw = read_config(path)
    if raw["model_type"] not in LAYOUT.model_types:
        return f"is a {raw['model_type']!r} model"
    if adapters.is_adapter(path):
        return "is an adapter"
    from genarium.checkpoints.layouts import gpt_config
    from genarium.engines.backends.onnx import graph

    with listening(lambda event: None):  # what is to be said of it is said when it is opened
        return graph.of(gpt_config.read_config(raw, str(path)))


def _in_torch(path: Path, dtype: str, device: str | None) -> Decoder:
    import torch

    from genarium.checkpoints import layouts
    from genarium.checkpoints.store.folder import read_config
    from genarium.decoding.torch_decoder import TorchDecoder
    from genarium.devices import compute_dtype, pick_device
    from genarium.engines.cpu.linear import use_decoding_linears

    device = device or pick_device("auto")
    # float32 on a CPU: seeds then give the same text alone and in a batch. A GPU runs what it is fastest in.
    auto = torch.bfloat16 if device.startswith("cuda") else torch.float32
    layout = layouts.of("text", read_config(path)["model_type"])
    assert layout is not None  # or another engine opens the folder
    network: Any = layout.load(path, dtype=compute_dtype(dtype, device, auto=auto), device=device)
    if device == "cpu":
        use_decoding_linears(network)
    return TorchDecoder(network)

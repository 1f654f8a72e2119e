"""What computes a text's next tokens: the layout's network in torch, or a quantised graph on onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genarium.decoding.protocol import Decoder

QUANTISED = ("int8", "int4")


def open(path: Path, dtype: str, device: str | None = None) -> Decoder:
    """Raises BadCheckpoint. `device` is torch's; None is the first GPU, else the CPU."""
    if dtype in QUANTISED:
        from genarium.engines.backends.onnx.decoder import OnnxDecoder

        return OnnxDecoder(path, dtype)
    return _in_torch(path, dtype, device)


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

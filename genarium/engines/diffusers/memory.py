"""How much memory there is where a pipeline computes."""

from __future__ import annotations

import torch

from genarium.devices import available_memory, total_memory


def total(device: str) -> int:
    return int(torch.cuda.mem_get_info()[1]) if device.startswith("cuda") else total_memory()


def free(device: str) -> int:
    return int(torch.cuda.mem_get_info()[0]) if device.startswith("cuda") else available_memory()

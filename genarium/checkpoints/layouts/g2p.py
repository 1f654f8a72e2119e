"""`g2p.safetensors` <-> `models.g2p.G2P`: its tensors in half precision under torch's names, its config as metadata.

The layout is Genarium's. It is read as arrays, without torch: what says words needs none.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genarium.errors import BadCheckpoint, first_line

if TYPE_CHECKING:
    from genarium.models.g2p import G2P

FILE = "g2p.safetensors"


def save(model: G2P, file: Path) -> None:
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().half().cpu().contiguous() for name, tensor in model.state_dict().items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file, metadata={"config": json.dumps(asdict(model.config), ensure_ascii=False)})


def load(file: Path) -> tuple[str, str, dict[str, NDArray[np.float32]]]:
    """Letters, phonemes, and the arrays by name as float32. Raises BadCheckpoint."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:
            config = json.loads((opened.metadata() or {})["config"])
            arrays = {name: opened.get_tensor(name).astype(np.float32) for name in opened.keys()}  # noqa: SIM118
            return config["letters"], config["phonemes"], arrays
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise BadCheckpoint(f"{file} is damaged ({first_line(error)}); train or fetch it again") from None

"""What the reference finds of the data, which never changes: computed once, and kept beside the run's state.

Read again when the run continues, it is the same to the bit, whatever number of threads computes then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from genarium.files import write_atomically

FILE = ".reference.safetensors"


def kept(folder: Path, of: Mapping[str, Any], compute: Callable[[], Sequence[Tensor]]) -> list[Tensor]:
    """The tensors that an earlier run kept of the same data, or else computed and kept now. `of` is JSON."""
    told = json.dumps(of, sort_keys=True)
    if (found := _read(folder / FILE, told)) is not None:
        return found
    made = list(compute())
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE, save({str(i): one for i, one in enumerate(made)}, metadata={"of": told}))
    return made


def _read(file: Path, told: str) -> list[Tensor] | None:
    try:
        with safe_open(file, "pt") as opened:
            if (opened.metadata() or {}).get("of") != told:
                return None
            return [opened.get_tensor(name) for name in sorted(opened.keys(), key=int)]
    except (SafetensorError, OSError, ValueError):
        return None

"""The published layouts of checkpoint folders, one a file: what each is of, loads and saves.

A layout whose networks an engine runs without knowing them declares itself in a file `NAME_layout.py` that imports
nothing heavy, or by an entry point `CAPABILITY.NAME` of the group `genarium.layouts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from genarium import plugins


@dataclass(frozen=True)
class Layout:
    """Which folders it is of, by the `model_type` of config.json, and how a network is read from one.

    `load(path, *, dtype, device)` gives the network, in evaluation mode, or raises BadCheckpoint. For `text` that is
    what `decoding/` takes: a network with prefill, step and score. For `image` it is a `models.text_to_image`
    `TextToImage`, by the class of its denoiser in model_index.json; `read_config(path)` gives its config before any
    weights are read, and `save(model, path, *, dtype)` writes its parts and gives their entries in model_index.json.
    """

    capability: str
    model_types: tuple[str, ...]
    load: Callable[..., Any]
    read_config: Callable[..., Any] | None = None
    save: Callable[..., Any] | None = None


@cache
def found(capability: str) -> list[Layout]:
    """The layouts of a capability: ours first."""
    listed = plugins.listed(
        "checkpoints/layouts", "genarium.layouts", attribute="LAYOUT", suffix="_layout", prefix=f"{capability}."
    )
    layouts: list[Layout] = []
    for plugin in listed.values():
        layout = plugins.load(plugin, Layout)
        if layout is None:
            continue
        claimed = [kind for other in layouts for kind in layout.model_types if kind in other.model_types]
        if layout.capability == capability and not claimed:
            layouts.append(layout)
        elif plugin.package:
            what = f"{claimed[0]!r} has a layout already" if claimed else f"it is declared for {layout.capability!r}"
            plugins.leave_out(plugin, f"{what}; its maker can put that right")
    return layouts


def of(capability: str, model_type: str) -> Layout | None:
    """The layout of folders of this model_type, or None."""
    return next((layout for layout in found(capability) if model_type in layout.model_types), None)


def model_types(capability: str) -> list[str]:
    """All that can be opened, for a message."""
    return list(dict.fromkeys(kind for layout in found(capability) for kind in layout.model_types))

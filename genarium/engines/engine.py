"""What an engine says of itself before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found


@dataclass(frozen=True)
class Engine:
    """How one engine is chosen and opened. `ENGINE` in a file `engines/ROOM/NAME_engine.py`, or an entry point.

    `capability` is what it does: `text`, `image`, ….
    `opens(found)` says whether it runs this model, from names and configs, without importing torch where that is
    possible. It may raise BadCheckpoint: no other is asked then.
    `open(found, **how)` gives what the tasks of the capability use.
    `order`: the lowest is asked first; those made for one kind stand before the one for all.
    `refusal(found)` is the sentence for a model that none of the capability opens, or None.
    """

    capability: str
    opens: Callable[[Found], bool]
    open: Callable[..., Any]
    order: int = 50
    refusal: Callable[[Found], str | None] = lambda found: None


def model_type(found: Found) -> str:
    """What the folder's config.json says; empty behind an endpoint. Raises BadCheckpoint."""
    if found.path is None:
        return ""
    from genarium.checkpoints.store import gguf
    from genarium.checkpoints.store.folder import read_config

    if gguf.is_gguf(found.path):
        from genarium.checkpoints.processors import gguf_tokenizer

        if gguf_tokenizer.for_llama_cpp(found.path):
            return "llama.cpp"  # its network has no config.json
    return str(read_config(found.path)["model_type"])

"""GPT-2, Llama, Mistral, Qwen2 and Qwen3 folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.checkpoints.fields.causal import BY_TYPE
from genarium.checkpoints.layouts import Layout

if TYPE_CHECKING:
    from genarium.models.gpt import GPT


def load(path: Path, **how: Any) -> GPT:
    from genarium.checkpoints.layouts import gpt

    return gpt.load(path, **how)


LAYOUT = Layout("text", tuple(BY_TYPE), load)

"""Folders of recurrent language models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.checkpoints.layouts import Layout

if TYPE_CHECKING:
    from genarium.models.rnn import RNN


def load(path: Path, **how: Any) -> RNN:
    from genarium.checkpoints.layouts import rnn

    return rnn.load(path, **how)


LAYOUT = Layout("text", ("rnn",), load)

"""Which folders are reward models, told by their configs alone (`scorer.py` loads and saves them)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from genarium.checkpoints.fields.causal import BY_TYPE
from genarium.checkpoints.store import adapters
from genarium.checkpoints.store import folder as folders

HEAD = "ForSequenceClassification"
READS = "genarium_reads"


def is_scorer(path: Path) -> bool:
    """Whether the folder, or the adapter, gives a decoder's text a score. Raises BadCheckpoint."""
    raw = folders.read_config(path)
    if raw["model_type"] not in BY_TYPE:
        return False
    if adapters.is_adapter(path):
        return adapters.read_config(path).task_type == "SEQ_CLS"
    return any(name.endswith(HEAD) for name in raw.get("architectures") or [])


def reads(path: Path) -> Literal["text", "chat"] | None:
    """What it was taught on; None where nothing says so."""
    told = folders.read_config(path).get(READS)
    return told if told in ("text", "chat") else None

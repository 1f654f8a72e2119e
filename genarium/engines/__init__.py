"""Ways to run a checkpoint. Each engine says what it can open; `open_text` picks the first that can.

An engine is asked for by what it does (write text, …), so that a faster one can take a checkpoint over without
any task knowing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from genarium.checkpoints.find import Found, find
from genarium.engines.text import TextEngine
from genarium.errors import BadCheckpoint
from genarium.progress import emit, note

if TYPE_CHECKING:
    from genarium.engines.encoder import NativeEncoder
    from genarium.engines.summary import Summarizer


def open_text(reference: str, *, default: str = "text", dtype: str = "auto") -> TextEngine:
    """The engine that writes text with this model. Raises ModelNotFound, BadCheckpoint."""
    return _open_text(find(reference, default=default), dtype)


@lru_cache(maxsize=2)
def _open_text(found: Found, dtype: str) -> TextEngine:
    if found.path is None:
        from genarium.engines.openai import OpenAIText

        if dtype != "auto":
            note(f"{found.reference} computes in what its endpoint chooses: dtype {dtype} was left out")
        return OpenAIText(found.endpoint_model)
    from genarium.checkpoints.folder import read_config
    from genarium.engines.native import NativeText

    emit("loading", preview=found.reference)
    config = read_config(found.path)
    if NativeText.opens(config):
        return NativeText(found.path, name=found.reference, dtype=dtype)
    raise BadCheckpoint(
        f"{found.reference}: no engine here writes text with a {config['model_type']!r} model; "
        f"the native one opens {', '.join(NativeText.model_types())}"
    )


def open_encoder(reference: str, *, default: str = "encoder") -> NativeEncoder:
    """The engine that makes vectors with this model. Raises ModelNotFound, BadCheckpoint."""
    return _open_encoder(find(reference, default=default))


@lru_cache(maxsize=2)
def _open_encoder(found: Found) -> NativeEncoder:
    if found.path is None:
        raise BadCheckpoint(f"{found.reference} is behind an endpoint; name an encoder that is on this machine")
    from genarium.checkpoints.folder import read_config
    from genarium.engines.encoder import NativeEncoder

    emit("loading", preview=found.reference)
    config = read_config(found.path)
    if not NativeEncoder.opens(config):
        raise BadCheckpoint(
            f"{found.reference} is a {config['model_type']!r} model, which makes no vectors here; "
            "name a BERT, MiniLM, RoBERTa or DistilBERT, or starter/encoder"
        )
    return NativeEncoder(found.path)


def open_summarizer(reference: str, *, default: str = "encoder") -> Summarizer:
    """What summarizes with this model: an encoder chooses sentences, all others write. Raises as the others do."""
    return _open_summarizer(find(reference, default=default))


@lru_cache(maxsize=2)
def _open_summarizer(found: Found) -> Summarizer:
    from genarium.checkpoints.folder import read_config
    from genarium.engines.encoder import NativeEncoder
    from genarium.engines.summary import Abstractive, Extractive, Prompted
    from genarium.engines.transformers import Seq2SeqSummary

    config = read_config(found.path) if found.path is not None else {}
    if config and NativeEncoder.opens(config):
        return Extractive(_open_encoder(found), found.reference)
    if found.path is not None and Seq2SeqSummary.opens(config):
        emit("loading", preview=found.reference)
        return Abstractive(Seq2SeqSummary(found.path, name=found.reference), found.reference)
    return Abstractive(Prompted(_open_text(found, "auto"), found.reference), found.reference)

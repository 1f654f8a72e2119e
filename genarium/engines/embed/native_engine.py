"""Encoders of the BERT family: vectors of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.checkpoints.fields.encoder import BY_TYPE
from genarium.engines.engine import Engine, model_type
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.embed.encoder import NativeEncoder


def opens(found: Found) -> bool:
    return model_type(found) in BY_TYPE


def open(found: Found, *, backend: str = "auto") -> NativeEncoder:
    emit("loading", preview=found.reference)
    from genarium.engines.embed.encoder import NativeEncoder

    assert found.path is not None
    return NativeEncoder(found.path, backend=backend)


def refusal(found: Found) -> str:
    if found.path is None:
        return f"{found.reference} is behind an endpoint; name an encoder that is on this machine"
    return (
        f"{found.reference} is a {model_type(found)!r} model, which makes no vectors here; "
        "name a BERT, MiniLM, RoBERTa or DistilBERT, or starter/encoder"
    )


ENGINE = Engine("embed", opens, open, order=10, refusal=refusal)

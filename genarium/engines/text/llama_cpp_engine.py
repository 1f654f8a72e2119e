"""GGUF files of networks, quantisations and tokenizers that are not run natively, by llama.cpp (wheel xllamacpp)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine
from genarium.progress import emit, note

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.text.llama_cpp import LlamaCppText


def opens(found: Found) -> bool:
    from genarium.checkpoints.processors import gguf_tokenizer
    from genarium.checkpoints.store import gguf

    return found.path is not None and gguf.is_gguf(found.path) and bool(gguf_tokenizer.for_llama_cpp(found.path))


def open(found: Found, *, dtype: str = "auto", backend: str = "auto") -> LlamaCppText:
    """`backend` is native engines': there is one way to compute here."""
    from genarium.engines.text.llama_cpp import LlamaCppText

    assert found.path is not None
    emit("loading", preview=found.reference)
    if dtype != "auto":
        note(f"{found.reference} is computed by llama.cpp, in what its weights are: dtype {dtype} was left out")
    return LlamaCppText(found.path, name=found.reference)


ENGINE = Engine("text", opens, open, order=5)

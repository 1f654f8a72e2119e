"""GGUF files of networks, quantisations and tokenizers that are not run natively, by llama.cpp (wheel xllamacpp)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine
from genarium.progress import emit, note

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.text.llama_cpp import LlamaCppText


NAME = "llama.cpp"


def opens(found: Found) -> bool:
    from genarium.checkpoints.processors import gguf_tokenizer
    from genarium.checkpoints.store import gguf

    return found.path is not None and gguf.is_gguf(found.path) and bool(gguf_tokenizer.for_llama_cpp(found.path))


def version(found: Found) -> str:
    """For a recipe: llama.cpp and its wheel's version, where the model is run by them; empty for all others."""
    return _here() if opens(found) else ""


def tell_other(recorded: str) -> None:
    """A note where what a recipe was written with is not what is here."""
    if recorded != (here := _here()):
        note(f"this was written by {recorded}, and here is {here}: the text may be another")


def _here() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{NAME}, xllamacpp {version('xllamacpp')}"
    except PackageNotFoundError:  # which the engine says when it is opened
        return NAME


def open(found: Found, *, dtype: str = "auto", backend: str = "auto") -> LlamaCppText:
    """`backend` chooses among those of native networks."""
    from genarium.engines.text.llama_cpp import LlamaCppText

    assert found.path is not None
    emit("loading", preview=found.reference)
    if dtype != "auto":
        note(f"{found.reference} is computed by llama.cpp, in what its weights are: dtype {dtype} was left out")
    return LlamaCppText(found.path, name=found.reference)


ENGINE = Engine("text", opens, open, order=5)

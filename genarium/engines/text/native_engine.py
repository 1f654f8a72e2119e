"""Checkpoints whose layout has a network of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine, model_type
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.text.native import NativeText


def opens(found: Found) -> bool:
    from genarium.checkpoints import layouts

    return found.path is not None and layouts.of("text", model_type(found)) is not None and not _scores(found)


def _scores(found: Found) -> bool:
    from genarium.checkpoints.layouts.scorer_files import is_scorer

    return found.path is not None and found.path.is_dir() and is_scorer(found.path)


def open(found: Found, *, dtype: str = "auto", backend: str = "auto") -> NativeText:
    emit("loading", preview=found.reference)
    from genarium.engines.text.native import NativeText

    assert found.path is not None
    return NativeText(found.path, name=found.reference, dtype=dtype, backend=backend)


def refusal(found: Found) -> str:
    from genarium.checkpoints import layouts

    if _scores(found):
        return f"{found.reference} is a reward model, which scores answers and writes none; use it with rank"
    return (
        f"{found.reference}: no engine here writes text with a {model_type(found)!r} model; "
        f"the native one opens {', '.join(layouts.model_types('text'))}"
    )


ENGINE = Engine("text", opens, open, order=10, refusal=refusal)

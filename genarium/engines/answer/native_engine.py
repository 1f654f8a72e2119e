"""Readers of the BERT family: the spans of a text that answer a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.checkpoints.fields.encoder import BY_TYPE
from genarium.engines.engine import Engine, model_type
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.answer.question_answering import NativeQuestionAnswering


def opens(found: Found) -> bool:
    return model_type(found) in BY_TYPE


def open(found: Found, *, dtype: str = "auto", backend: str = "auto") -> NativeQuestionAnswering:
    emit("loading", preview=found.reference)
    from genarium.engines.answer.question_answering import NativeQuestionAnswering

    assert found.path is not None
    return NativeQuestionAnswering(found.path, dtype=dtype, backend=backend)


def refusal(found: Found) -> str:
    if found.path is None:
        return f"{found.reference} is behind an endpoint; name a reader that is on this machine"
    return (
        f"{found.reference} is a {model_type(found)!r} model, which finds no answers here; "
        "name a BERT, RoBERTa or DistilBERT trained on SQuAD, or starter/answer"
    )


ENGINE = Engine("answer", opens, open, order=10, refusal=refusal)

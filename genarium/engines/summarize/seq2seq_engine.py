"""Summaries written by an encoder-decoder: T5, BART, Pegasus …."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.cache import kept
from genarium.engines.engine import Engine
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.summarize.seq2seq import Seq2SeqSummary
    from genarium.engines.summarize.summary import Abstractive


def opens(found: Found) -> bool:
    if found.path is None or found.path.is_file():  # a GGUF file, which holds a decoder
        return False
    from genarium.checkpoints.store.folder import read_config

    config = read_config(found.path)
    named = config.get("architectures") or [""]
    return bool(config.get("is_encoder_decoder")) or str(named[0]).endswith("ForConditionalGeneration")


def open(found: Found) -> Abstractive:
    from genarium.engines.summarize.summary import Abstractive

    return Abstractive(_network(found), found.reference)


@kept
def _network(found: Found) -> Seq2SeqSummary:
    from genarium.engines.summarize.seq2seq import Seq2SeqSummary

    assert found.path is not None
    emit("loading", preview=found.reference)
    return Seq2SeqSummary(found.path, name=found.reference)


ENGINE = Engine("summarize", opens, open, order=20)

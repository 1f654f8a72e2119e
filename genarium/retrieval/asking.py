"""From model references to what the three modules take: vectors, and a way to answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from genarium import engines
from genarium.checkpoints.find import find
from genarium.errors import BadInput
from genarium.progress import note
from genarium.retrieval import generate
from genarium.retrieval.generate import Sentence
from genarium.retrieval.rank import Score
from genarium.retrieval.store import Hit, Index

if TYPE_CHECKING:
    from genarium.engines.encoder import NativeEncoder

Generate = Callable[[str, Sequence[Hit]], list[Sentence]]


def encoder_of(index: Index) -> NativeEncoder:
    """The encoder that made the index's vectors. Raises BadInput where it is another one now."""
    meta = index.meta()
    if find(meta["encoder"], default="encoder").digest != meta["encoder_digest"]:
        raise BadInput(
            f"the encoder {meta['encoder']} is another one now than when {index.name} was made; "
            f"make the index anew: genarium index {meta['folder']}"
        )
    return engines.open_encoder(meta["encoder"])


def digest_of(reference: str) -> str:
    """The sha256 of a model's files."""
    return find(reference, default="rank").digest


def ranker_of(reference: str) -> Score:
    """What scores passages for a question: a cross-encoder reads both together. Raises BadCheckpoint."""
    return engines.open_ranker(reference).scores


def generator(model: str, encoder: NativeEncoder, *, max_new_tokens: int, seed: int) -> Generate:
    """How this model answers: an encoder quotes the sentences that come closest, a model of text writes.

    Raises ModelNotFound, BadCheckpoint.
    """
    from genarium.checkpoints.folder import read_config
    from genarium.engines.encoder import NativeEncoder
    from genarium.engines.text import TextRequest

    found = find(model, default="encoder")
    if found.path is not None and NativeEncoder.opens(read_config(found.path)):
        return lambda question, hits: generate.extract(question, hits, encoder.embed)
    engine = engines.open_text(model)

    def complete(prompt: str) -> str:
        # The likeliest token each time: an answer from documents is no place for invention.
        request = TextRequest(max_new_tokens=max_new_tokens, temperature=0.0, seed=seed)
        [completion] = engine.write([prompt], request)
        return completion.text

    def write(question: str, hits: Sequence[Hit]) -> list[Sentence]:
        kept, left_out = generate.write(question, hits, complete, encoder.embed)
        if left_out:
            note(f"{len(left_out)} of its sentences stood on no passage and were left out: {left_out[0][:80]!r}")
        return kept

    return write

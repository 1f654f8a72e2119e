"""From model references to what the three modules take: vectors, and a way to answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genarium import files
from genarium.checkpoints.layouts.sentence_transformers import is_mean
from genarium.checkpoints.store import catalogue
from genarium.checkpoints.store.find import Found, find
from genarium.devices import bfloat16_is_native, has_gpu
from genarium.engines import registry
from genarium.errors import BadInput
from genarium.messages import Message
from genarium.progress import note
from genarium.retrieval import chosen, generate, places
from genarium.retrieval.closeness import Closeness
from genarium.retrieval.extract import Judged, bears, best_of
from genarium.retrieval.generate import Read, Sentence, TextSpan
from genarium.retrieval.hits import Hit
from genarium.retrieval.rank import Score
from genarium.retrieval.store import Index

if TYPE_CHECKING:
    from genarium.engines.embed.encoder import NativeEncoder

TOGETHER = 8
"""Passages laid end to end: beyond this nothing gets faster."""
Generate = Callable[[str, Sequence[Hit], Judged], list[Sentence]]
"""An answer to a question from passages and what of them may be quoted."""


@lru_cache(maxsize=1)
def embedder(reference: str) -> Callable[[Sequence[str]], np.ndarray]:
    """What makes the vectors of passages, (N, C) float32; where torch is here and the CPU multiplies bfloat16, twice as
    fast as the encoder as it stands, and cosine 0.9999 with it. Raises ModelNotFound, BadCheckpoint.
    """
    path = find(reference, default="encoder").path
    fast = path is not None and bfloat16_is_native() and not has_gpu() and is_mean(path)
    encoder = registry.open_encoder(reference, backend="torch" if fast else "auto")
    if encoder.sentence.similarity != "cosine":
        raise BadInput(
            f"{reference} compares vectors by their dot product, in which their lengths count, and an index by the "
            "cosine; index with another encoder"
        )
    return _in_bfloat16(encoder) if fast else encoder.embed_passages


def _in_bfloat16(encoder: NativeEncoder) -> Callable[[Sequence[str]], np.ndarray]:
    import torch
    import torch.nn.functional as F

    from genarium.engines.cpu.packed import PackedEncoder
    from genarium.engines.embed.torch_network import TorchVectors

    assert isinstance(encoder.network, TorchVectors)
    packed = PackedEncoder(encoder.network.model, torch.bfloat16)

    @torch.inference_mode()
    def embed(texts: Sequence[str]) -> np.ndarray:
        rows = [encoding.ids for encoding in encoder.tokenizer.encode_batch(list(texts))]
        out = np.zeros((len(rows), encoder.config.d_model), dtype=np.float32)
        for first in range(0, len(rows), TOGETHER):
            for place, hidden in enumerate(packed(rows[first : first + TOGETHER]), first):
                out[place] = F.normalize(hidden.mean(dim=0), dim=-1).numpy()
        return out

    return embed


def usual_encoder(folder: Path, name: str | None = None) -> str:
    """What an index (called `name`) of `folder` is made with where nobody says: its own encoder; for a new one the
    retriever that knows many languages, where that has been fetched.
    """
    there = chosen.of_folder(files.named(folder)) if name is None else name if name in places.names() else None
    if there is not None:
        with Index(there) as index:
            return index.meta()["encoder"]
    return "starter/encoder" if catalogue.starter("retriever").here is None else "starter/retriever"


def vectors_digest(found: Found) -> str:
    """What decides an encoder's vectors: its files, and that they are read otherwise than at first where they say more
    than the mean, so that an index of then is made anew.
    """
    if found.path is None or is_mean(found.path):
        return found.digest
    return hashlib.sha256(f"{found.digest}  as its modules say\n".encode()).hexdigest()


def encoder_of(index: Index, backend: str = "auto") -> NativeEncoder:
    """The encoder that made the index's vectors. Raises BadInput where it or the format is another one now."""
    index.require_current()
    meta = index.meta()
    if vectors_digest(find(meta["encoder"], default="encoder")) != meta["encoder_digest"]:
        raise BadInput(
            f"the encoder {meta['encoder']} is another one now than when {index.name} was made; "
            f"make the index anew: genarium index {meta['folder']}"
        )
    return registry.open_encoder(meta["encoder"], backend=backend)


def ranker_of(reference: str, backend: str = "auto") -> Score:
    """What scores passages for a question: a cross-encoder reads both together. Raises BadCheckpoint."""
    return registry.open_ranker(reference, backend=backend).scores


def generator(model: str, encoder: NativeEncoder, *, max_new_tokens: int, seed: int, backend: str = "auto") -> Generate:
    """How this model answers: a reader quotes the sentence with the words it takes for the answer, an encoder those
    that come closest to the question, and a model of text writes.

    Raises ModelNotFound, BadCheckpoint.
    """
    from genarium.checkpoints.layouts.encoder_config import has_span_head
    from genarium.engines.text.protocol import ChatRequest, TextRequest

    found = find(model, default="encoder")
    if found.path is not None and registry.can_open(found, "embed"):
        if has_span_head(found.path):
            return lambda question, hits, _: generate.read(question, hits, spans_of(model, backend))
        return lambda _question, _hits, judged: [Sentence(quote.shown, [quote]) for quote in best_of(judged)]
    engine = registry.open_text(model, backend=backend)

    def complete(prompt: str) -> str:
        # The likeliest token each time: an answer from documents is no place for invention.
        if engine.chats:
            message: Message = {"role": "user", "content": prompt}
            [completion] = engine.reply([message], ChatRequest(max_new_tokens=max_new_tokens, temperature=0.0))
        else:
            request = TextRequest(max_new_tokens=max_new_tokens, temperature=0.0, seed=seed)
            [completion] = engine.write([prompt], request)
        return completion.text

    def close(text: str, texts: Sequence[str]) -> np.ndarray:
        return Closeness(encoder, text, says=True).of(texts)

    def write(question: str, hits: Sequence[Hit], judged: Judged) -> list[Sentence]:
        kept, left_out = generate.write(question, hits, complete, close)
        beside = [one for one in kept if not any(bears(judged, quote) for quote in one.quotes)]
        left_out += [one.text for one in beside]
        kept = [one for one in kept if one not in beside]
        if left_out:
            note(f"{len(left_out)} of its sentences stood on no passage and were left out: {left_out[0][:80]!r}")
        return kept

    return write


def spans_of(reference: str, backend: str = "auto") -> Read:
    """The best span of each text; its score is how much likelier it is than that the text has no answer."""
    from genarium.engines.answer.question_answering import AnswerRequest

    reader = registry.open_question_answering(reference, backend=backend)

    def read(question: str, texts: Sequence[str]) -> list[TextSpan]:
        spans = []
        # Two: the likeliest span, and no answer, whichever of them comes first.
        for answered in reader.read([(question, text) for text in texts], AnswerRequest(top_k=2, no_answer=True)):
            best = next((one for one in answered.answers if one.text), None)
            nothing = next((one.score for one in answered.answers if not one.text), 0.0)
            spans.append(TextSpan(best.start, best.end, best.score - nothing) if best else TextSpan(0, 0, -1.0))
        return spans

    return read

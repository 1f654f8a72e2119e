"""Summaries: sentences chosen from the text, or a text that a model writes, part by part where it can't read it whole.

Choosing: maximal marginal relevance (Carbonell and Goldstein 1998, SIGIR), with the mean of all sentence vectors in
the place of the query.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from genarium import progress
from genarium.data.sentences import sentences
from genarium.engines.embed.encoder import NativeEncoder
from genarium.engines.text.native import NativeText
from genarium.engines.text.protocol import ChatRequest, Completion, TextEngine, TextRequest
from genarium.errors import BadInput
from genarium.progress import emit, note

CANDIDATES = 4_000
"""How many sentences are read for an extract: vectors of more would take longer than a person waits."""


LEAST_ROOM = 16
"""Fewer tokens of text than this are no part worth a summary."""


@dataclass(frozen=True)
class SummaryRequest:
    """What is wanted. None leaves it to the engine; what an engine has no use for it leaves out and says so."""

    sentences: int | None = None
    ratio: float | None = None
    lambda_: float = 0.5
    language: str = "en"
    max_new_tokens: int | None = None
    num_beams: int | None = None
    length_penalty: float | None = None
    prefix: str | None = None


@dataclass(frozen=True)
class Summarized:
    """`spans` are the character ranges of chosen sentences in the text; none where a model wrote them itself."""

    text: str
    method: Literal["extractive", "abstractive"]
    spans: tuple[tuple[int, int], ...] = ()
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Summarizer(Protocol):
    """Says in short what a text says."""

    def summarize(self, text: str, request: SummaryRequest) -> Summarized:
        """Raises BadInput where there is nothing to summarize."""


def maximal_marginal_relevance(vectors: np.ndarray, query: np.ndarray, k: int, lambda_: float) -> list[int]:
    """`k` places in `vectors` (N, C), in the order they are chosen; all of length 1, as is `query` (C,).

    Each next one maximises lambda sim(s, query) - (1 - lambda) max over those chosen of sim(s, chosen): equation 1
    of the paper. Similarity is the cosine. lambda 1 takes the most central, lambda 0 the most unlike each other.
    """
    relevance = vectors @ query
    nearest = np.zeros(len(vectors), dtype=vectors.dtype)  # nothing chosen yet: the second term is not there
    left = np.ones(len(vectors), dtype=bool)
    chosen: list[int] = []
    for _ in range(min(k, len(vectors))):
        score = lambda_ * relevance - (1 - lambda_) * nearest
        best = int(np.where(left, score, -np.inf).argmax())
        left[best] = False
        likeness = vectors @ vectors[best]
        nearest = likeness if not chosen else np.maximum(nearest, likeness)
        chosen.append(best)
    return chosen


class Extractive:
    """Sentences of the text itself, word for word, chosen with an encoder."""

    def __init__(self, encoder: NativeEncoder, name: str):
        self.encoder, self.name = encoder, name

    def summarize(self, text: str, request: SummaryRequest) -> Summarized:
        _left_out(request, self.name, "max_new_tokens", "num_beams", "length_penalty", "prefix")
        spans = sentences(text, request.language)
        if not spans:
            raise BadInput("the text has no sentence to choose; give it some words")
        wanted = request.sentences or 3
        if request.ratio is not None:
            wanted = max(1, math.ceil(request.ratio * len(spans)))
        total = len(spans)
        if (step := total // max(CANDIDATES, 4 * wanted)) > 1:
            spans = spans[::step]
            note(f"the text has {total} sentences: every {_ordinal(step)} of them was considered, {len(spans)} in all")
        said = [" ".join(text[start:end].split()) for start, end in spans]
        if wanted >= len(spans):
            note(f"the text has {len(spans)} sentence{'s' * (len(spans) > 1)}, so it is its own summary")
            return Summarized(" ".join(said), "extractive", tuple(spans))
        vectors = self.encoder.embed(said)
        centroid = vectors.mean(axis=0)
        centroid /= max(float(np.linalg.norm(centroid)), 1e-12)
        chosen = sorted(maximal_marginal_relevance(vectors, centroid, wanted, request.lambda_))
        note(
            f"extractive: {wanted} of the text's {total} sentences, word for word, chosen by {self.name}; for a "
            "summary in new words name a model that writes, as --model facebook/bart-large-cnn"
        )
        return Summarized(
            " ".join(said[place] for place in chosen), "extractive", tuple(spans[place] for place in chosen)
        )


class PartWriter(Protocol):
    """A model that writes a summary of what fits its context."""

    def room(self, request: SummaryRequest) -> int | None:
        """How many tokens of text it reads at a time; None where that is not known here."""

    def count(self, text: str) -> int:
        """The text's length in its tokens."""

    def write(self, text: str, request: SummaryRequest) -> Completion:
        """The summary of a text that fits."""


class Abstractive:
    """A summary in a model's own words. A text that is too long is summarized in parts, and their summaries again.

    As in Wu et al. 2021, arXiv:2109.10862, without training for it.
    """

    def __init__(self, writer: PartWriter, name: str):
        self.writer, self.name = writer, name

    def summarize(self, text: str, request: SummaryRequest) -> Summarized:
        _left_out(request, self.name, "ratio")
        room = self.writer.room(request)
        if room is not None and room < LEAST_ROOM:
            raise BadInput(
                f"beside the summary {self.name} has room for {room} tokens of text, which is too few to read any; "
                "give a smaller max_new_tokens or a shorter prefix"
            )
        read = self.writer.count(text)
        parts = [text] if room is None or read <= room else self._parts(text, room, request.language)
        if len(parts) > 1:
            note(
                f"the text has {read} tokens and {self.name} reads {room} at a time: it was summarized in "
                f"{len(parts)} parts, and their summaries again"
            )
        made = 0
        while len(parts) > 1:
            assert room is not None
            shorter = []
            for number, part in enumerate(parts):
                emit("summarizing part", number, len(parts))
                with progress.listening(None):  # what is written on the way is not the result
                    done = self.writer.write(part, request)
                made += done.completion_tokens
                shorter.append(done.text.strip())
            joined = "\n\n".join(piece for piece in shorter if piece)
            if len(joined) >= sum(map(len, parts)):
                note("the summaries of the parts are no shorter than the parts: they stand here one after the other")
                return Summarized(joined, "abstractive", (), "stop", read, made)
            parts = [joined] if self.writer.count(joined) <= room else self._parts(joined, room, request.language)
        done = self.writer.write(parts[0], request)
        return Summarized(done.text.strip(), "abstractive", (), done.finish_reason, read, made + done.completion_tokens)

    def _parts(self, text: str, room: int, language: str) -> list[str]:
        """The text in as few parts of whole sentences as fit; a sentence that does not fit is cut at its words."""
        parts: list[str] = []
        start = end = used = 0
        for first, last in sentences(text, language):
            for begin, stop in _pieces(text, first, last, room, self.writer.count):
                length = self.writer.count(text[begin:stop]) + 1  # the white space before it
                if used and used + length > room:
                    parts.append(text[start:end])
                    used = 0
                if not used:
                    start = begin
                end, used = stop, used + length
        return [*parts, text[start:end]] if used else parts


class Prompted:
    """Any model that writes text, asked for a summary: as a message where it has a chat template.

    Without one by `TL;DR:` after the text (Radford et al. 2019, GPT-2, section 3.6).
    """

    TLDR = "\n\nTL;DR:"

    def __init__(self, engine: TextEngine, name: str):
        self.engine, self.name = engine, name

    def room(self, request: SummaryRequest) -> int | None:
        if not isinstance(self.engine, NativeText):
            return None
        around = self._question("", request)
        if self.engine.template is not None:
            framed = self.engine.template.encode(self.engine.tokenizer, [{"role": "user", "content": around}])
        else:
            framed = self.engine.tokenizer.encode(around).ids
        return self.engine.context - self._limit(request) - len(framed) - 2  # the seams may cost a token each

    def count(self, text: str) -> int:
        return len(self.engine.tokenizer.encode(text).ids) if isinstance(self.engine, NativeText) else len(text) // 4

    def write(self, text: str, request: SummaryRequest) -> Completion:
        _left_out(request, self.name, "num_beams", "length_penalty")
        asked = self._question(text, request)
        limit = self._limit(request)
        if self.engine.chats:
            settings = ChatRequest(max_new_tokens=limit, temperature=0)
            return next(iter(self.engine.reply([{"role": "user", "content": asked}], settings)))
        return next(iter(self.engine.write([asked], TextRequest(max_new_tokens=limit, temperature=0, stop=["\n\n"]))))

    def _question(self, text: str, request: SummaryRequest) -> str:
        if not self.engine.chats:
            return (request.prefix or "") + text + self.TLDR
        length = (
            f"{request.sentences} sentence{'s' * (request.sentences != 1)}" if request.sentences else "a few sentences"
        )
        return (request.prefix or f"Summarize the following text in {length}.\n\n") + text

    def _limit(self, request: SummaryRequest) -> int:
        if request.max_new_tokens is not None:
            return request.max_new_tokens
        return min(256, self.engine.context // 4) if isinstance(self.engine, NativeText) else 512


def _pieces(text: str, first: int, last: int, room: int, count: Callable[[str], int]) -> list[tuple[int, int]]:
    """The range whole where it fits, else halved at a word's end until its pieces do."""
    if last - first < 2 or count(text[first:last]) < room:
        return [(first, last)]
    middle = (first + last) // 2
    gap = text.find(" ", middle, last)
    cut = gap if gap >= 0 else middle
    return [*_pieces(text, first, cut, room, count), *_pieces(text, cut, last, room, count)]


def _ordinal(number: int) -> str:
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _left_out(request: SummaryRequest, name: str, *settings: str) -> None:
    for setting in settings:
        if getattr(request, setting) is not None:
            note(f"{setting} has no meaning for {name}: it was left out")

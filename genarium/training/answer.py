"""Learning to answer: where in a context the answer begins and ends, or that it holds none."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn

from genarium.data.labelled import Question
from genarium.models.encoder import SpanReader
from genarium.training.inputs import Batches, Inputs, outputs

MAX_ANSWER_TOKENS = 30


class Windows:
    """Question and context in windows of `max_length` tokens, each `stride` tokens into the one before.

    `spans` are the first and last token of the answer in each window; 0, 0 (the first token) where it is not there.
    """

    def __init__(self, tokenizer: Tokenizer, questions: Sequence[Question], max_length: int, stride: int):
        tokenizer.enable_truncation(max_length, stride=stride, strategy="only_second")
        self.encodings: list[Encoding] = []
        self.owners: list[int] = []
        self.spans: list[tuple[int, int]] = []
        pairs = [(question.question, question.context) for question in questions]
        for owner, first in enumerate(tokenizer.encode_batch(pairs)):
            for encoding in (first, *first.overflowing):
                self.encodings.append(encoding)
                self.owners.append(owner)
                self.spans.append(_span(encoding, questions[owner]))
        self.inputs = Inputs.of(self.encodings)


def _span(encoding: Encoding, question: Question) -> tuple[int, int]:
    if not question.answer:
        return 0, 0
    inside = [place for place, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
    first = [p for p in inside if encoding.offsets[p][0] <= question.start < encoding.offsets[p][1]]
    last = [p for p in inside if encoding.offsets[p][0] < question.end <= encoding.offsets[p][1]]
    return (first[0], last[0]) if first and last else (0, 0)


class Answer:
    """Cross-entropy of the answer's first and last token (BERT, arXiv:1810.04805, section 4.2 and 4.3)."""

    def __init__(
        self,
        model: SpanReader,
        train: tuple[list[Question], Windows],
        watched: tuple[list[Question], Windows],
        *,
        batch_size: int,
        seed: int,
        identity: dict[str, Any],
    ):
        self.model: nn.Module = model
        self.train_windows = train[1]
        self.watched, self.watched_windows = watched
        self.batches = Batches(self.train_windows.inputs.lengths, batch_size, seed)
        self.identity: dict[str, Any] = identity | {
            "data": {
                "inputs": self.train_windows.inputs.digest(),
                "watched": self.watched_windows.inputs.digest(),
            },
            "batch_size": batch_size,
        }

    def batch(self, index: int) -> tuple[Tensor, ...]:
        rows = self.batches.rows(index)
        return *self.train_windows.inputs.block(rows), torch.tensor([self.train_windows.spans[row] for row in rows])

    def loss(self, tokens: Tensor, lengths: Tensor, types: Tensor, spans: Tensor) -> Tensor:
        scores = self.model(tokens, lengths=lengths, types=types).float()
        padding = torch.arange(tokens.shape[1], device=tokens.device) >= lengths[:, None]
        scores = scores.masked_fill(padding[..., None], -torch.inf)
        return (F.cross_entropy(scores[..., 0], spans[:, 0]) + F.cross_entropy(scores[..., 1], spans[:, 1])) / 2

    def evaluate(self) -> dict[str, float]:
        return self.measure(self.watched, self.watched_windows)

    def measure(self, questions: Sequence[Question], windows: Windows) -> dict[str, float]:
        """Loss a window, `exact_match` and `f1` over words as SQuAD counts them (Rajpurkar et al. 2016, 2018)."""
        if not questions:
            return {}
        loss = 0.0
        best: dict[int, tuple[float, str]] = {}
        for places, scores in outputs(self.model, windows.inputs):
            for row, place in enumerate(places):
                encoding, owner = windows.encodings[place], windows.owners[place]
                real = scores[row, : len(encoding)]
                start, end = windows.spans[place]
                loss -= float(real[:, 0].log_softmax(0)[start] + real[:, 1].log_softmax(0)[end]) / 2
                score, answer = best_span(real, encoding, questions[owner].context)
                if owner not in best or score > best[owner][0]:
                    best[owner] = (score, answer)
        pairs = [(best[owner][1], question.answer) for owner, question in enumerate(questions)]
        return {
            "loss": loss / len(windows.inputs),
            "exact_match": sum(normalised(a) == normalised(b) for a, b in pairs) / len(pairs),
            "f1": sum(overlap(a, b) for a, b in pairs) / len(pairs),
        }

    def preview(self, step: int) -> str:
        if not self.watched:
            return ""
        place = step % len(self.watched_windows.inputs)
        encoding, question = self.watched_windows.encodings[place], self.watched[self.watched_windows.owners[place]]
        one = Inputs([encoding.ids], [encoding.type_ids])
        (_, scores), *_ = outputs(self.model, one)
        _, answer = best_span(scores[0], encoding, question.context)
        return f"{question.question} -> {answer or 'no answer'} (it is {question.answer or 'not there'})"


def best_span(scores: Tensor, encoding: Encoding, context: str) -> tuple[float, str]:
    """The likeliest answer in a window and by how much it is likelier than none; "" where none is likelier.

    `scores` (T, 2) are of beginning and end.
    """
    T = len(encoding)
    inside = torch.tensor([sequence == 1 for sequence in encoding.sequence_ids])
    start, end = (scores[:, side].masked_fill(~inside, -torch.inf) for side in (0, 1))
    allowed = torch.ones(T, T).triu().tril(MAX_ANSWER_TOKENS - 1).bool()
    sums = (start[:, None] + end[None, :]).masked_fill(~allowed, -torch.inf)
    place = int(sums.argmax())
    gain = float(sums.flatten()[place]) - float(scores[0].sum())
    if gain <= 0:
        return gain, ""
    return gain, context[encoding.offsets[place // T][0] : encoding.offsets[place % T][1]]


def normalised(answer: str) -> str:
    """SQuAD's: lower case, without punctuation, articles and extra spaces."""
    plain = "".join(c for c in answer.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", plain).split())


def overlap(found: str, true: str) -> float:
    """F1 over words; two empty answers agree."""
    a, b = normalised(found).split(), normalised(true).split()
    if not a or not b:
        return float(a == b)
    return 2 * sum((Counter(a) & Counter(b)).values()) / (len(a) + len(b))

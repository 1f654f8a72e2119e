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
from torch import Tensor

from genarium.data.delimited import listed
from genarium.data.labelled import Question
from genarium.errors import BadInput
from genarium.models.encoder import QuestionAnsweringModel
from genarium.progress import note
from genarium.training.objective import Objective
from genarium.training.sources.inputs import Batches, Inputs, digest_of, outputs

MAX_ANSWER_TOKENS = 30
LEAST_ROOM = 8
"""Tokens of the context that a window has at least: a longer question is left out."""


class SpanWindows:
    """Question and context in windows of `max_length` tokens, each `stride` tokens into the one before.

    `questions` are those that leave room for their contexts; which ones don't is said. A long question leaves less room
    than `stride`: its windows overlap by half. `spans` are the first and last token of the answer in each window; 0, 0
    (the first token) where it is not there. Raises BadInput where no question is left.
    """

    def __init__(self, tokenizer: Tokenizer, questions: Sequence[Question], max_length: int, stride: int):
        self.questions, rooms = _fitting(tokenizer, questions, max_length)
        self.encodings: list[Encoding] = []
        self.owners: list[int] = []
        self.spans: list[tuple[int, int]] = []
        strides = [stride if stride < room else room // 2 for room in rooms]
        found: dict[int, Encoding] = {}
        for one in set(strides):
            tokenizer.enable_truncation(max_length, stride=one, strategy="only_second")
            places = [place for place, needed in enumerate(strides) if needed == one]
            pairs = [(self.questions[place].question, self.questions[place].context) for place in places]
            found |= dict(zip(places, tokenizer.encode_batch(pairs), strict=True))
        for owner, question in enumerate(self.questions):
            for encoding in (found[owner], *found[owner].overflowing):
                self.encodings.append(encoding)
                self.owners.append(owner)
                self.spans.append(_span(encoding, question))
        self.inputs = Inputs.of(self.encodings)


def _fitting(tokenizer: Tokenizer, questions: Sequence[Question], max_length: int) -> tuple[list[Question], list[int]]:
    """The questions that fit into `max_length` tokens with something of their contexts, and the room each leaves."""
    tokenizer.no_truncation()
    asked = tokenizer.encode_batch([question.question for question in questions], add_special_tokens=False)
    whole = max_length - tokenizer.num_special_tokens_to_add(True)
    rooms = [whole - len(encoding) for encoding in asked]
    kept = [place for place, room in enumerate(rooms) if room >= LEAST_ROOM]
    if len(kept) < len(questions):
        rows = sorted({questions[place].row for place in set(range(len(questions))) - set(kept)})
        which = f"{len(questions) - len(kept)} of {len(questions)} questions"
        room = f"leave less than {LEAST_ROOM} of the {max_length} tokens that are read at once to their contexts"
        if not kept:
            raise BadInput(f"{which} {room}; shorten them, or raise --max-length")
        note(f"{which} ({listed(rows)}) {room}, and are left out; shorten them, or raise --max-length")
    return [questions[place] for place in kept], [rooms[place] for place in kept]


def _span(encoding: Encoding, question: Question) -> tuple[int, int]:
    if not question.answer:
        return 0, 0
    inside = [place for place, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
    first = [p for p in inside if encoding.offsets[p][0] <= question.start < encoding.offsets[p][1]]
    last = [p for p in inside if encoding.offsets[p][0] < question.end <= encoding.offsets[p][1]]
    return (first[0], last[0]) if first and last else (0, 0)


class AnswerSpans(Objective):
    """Cross-entropy of the answer's first and last token (BERT, arXiv:1810.04805, section 4.2 and 4.3)."""

    def __init__(
        self,
        model: QuestionAnsweringModel,
        train: tuple[list[Question], SpanWindows],
        validation: tuple[list[Question], SpanWindows],
        *,
        batch_size: int,
        seed: int,
        identity: dict[str, Any],
    ):
        self.model = model
        self.train_windows = train[1]
        self.validation, self.validation_windows = validation
        self.batches = Batches(self.train_windows.inputs.lengths, batch_size, seed)
        self.n_examples = len(self.train_windows.questions)
        self.identity: dict[str, Any] = identity | {
            "data": {
                "inputs": self.train_windows.inputs.digest(),
                "targets": digest_of(self.train_windows.spans),
                "watched": self.validation_windows.inputs.digest(),
                "watched_targets": digest_of([(one.context, one.answer, one.others) for one in self.validation]),
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
        return self.measure(self.validation, self.validation_windows)

    def measure(self, questions: Sequence[Question], windows: SpanWindows) -> dict[str, float]:
        """Loss a window, `exact_match` and `f1` over words as SQuAD counts them (Rajpurkar et al. 2016, 2018).

        Of several right answers the one that is nearest counts.
        """
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
        pairs = [(best[owner][1], (one.answer, *one.others)) for owner, one in enumerate(questions)]
        return {
            "loss": loss / len(windows.inputs),
            "exact_match": sum(normalised(a) in map(normalised, right) for a, right in pairs) / len(pairs),
            "f1": sum(max(overlap(a, b) for b in right) for a, right in pairs) / len(pairs),
        }

    def preview(self, step: int) -> str:
        if not self.validation:
            return ""
        place = step % len(self.validation_windows.inputs)
        windows = self.validation_windows
        encoding, question = windows.encodings[place], self.validation[windows.owners[place]]
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

"""The native reader engine: questions to the spans of a text that answer them, with a BERT folder trained on SQuAD.

A question and a text longer than the window together are read in windows that overlap. What is asked together is
laid end to end (`engines/cpu/packed.py`), and a text that many questions are asked about is cut into tokens once.

bfloat16 is twice as fast as float32 and almost always says the same. Where the best answers are so close that its
error could have put them in another order, their windows are read again in float32, which decides.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genarium.checkpoints.processors import tokenizer
from genarium.checkpoints.store.folder import read_config
from genarium.decoding.calibration import LOW, Calibration
from genarium.decoding.spans import SpanAnswer, WindowSpans, contenders, merge, spans_wanted, window_spans
from genarium.engines.answer import networks
from genarium.engines.answer.networks import Scores
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import emit

GROUP_TOKENS = 768  # windows read in one go: beyond this nothing gets faster, and progress is told less often
CLOSE = 3.0  # standard deviations of bfloat16's error within which an order of answers is not trusted
PROBE = (
    "What did the keeper write down every evening? The lighthouse on the northern point was built of grey stone in "
    "1862 and is thirty-one metres high. Its keeper, a former sailor called Duncan Reid, lived there for twelve years "
    "with his wife and two goats. Every evening, after he had lit the lamp, he wrote down the weather and the names of "
    "the ships that passed. When the light became automatic, the books were given to the museum in the harbour."
)


@dataclass(frozen=True)
class AnswerRequest:
    """How to read. Lengths are in tokens; a window holds the question as well, and overlaps the next by `doc_stride`.

    `max_seq_len` and `doc_stride` have the pipeline's defaults where they are None: 384 at most, and 128 at most.
    """

    top_k: int = 1
    max_answer_len: int = 15
    no_answer: bool = False
    max_seq_len: int | None = None
    doc_stride: int | None = None


@dataclass(frozen=True)
class Answered:
    """The best answers, best first; seconds from being asked to being answered; windows read, and read again."""

    answers: list[SpanAnswer]
    seconds: float
    windows: int
    reread: int


@dataclass(frozen=True)
class Tokens:
    """A text's token ids (T,), their characters (T, 2), and the number of the word each is part of (T,)."""

    ids: list[int]
    offsets: np.ndarray
    words: np.ndarray


@dataclass(frozen=True)
class Window:
    """A question and a part of its text as the model reads them. `first` is the place of the part's first token."""

    ids: list[int]
    types: list[int]
    first: int
    words: np.ndarray


class NativeQuestionAnswering:
    """Raises BadCheckpoint where the folder has no question-answering head or its tokenizer frames no pairs."""

    def __init__(self, path: Path, *, dtype: str = "auto", backend: str = "auto", device: str | None = None):
        network = networks.open(path, dtype, backend, device)
        self.config, self.exact, self.fast = network.config, network.exact, network.fast
        self.tokenizer = tokenizer.load(path, self.config.vocab_size)
        try:
            self.calibration = Calibration.read(read_config(path))
        except ValueError as error:
            raise BadCheckpoint(f"{path / 'config.json'}: {error}; leave it out, or fit it again") from None
        self.frame = self._frame(path)
        self._last: tuple[str, Tokens] = ("", self._tokens(""))
        self.error = 0.0 if self.fast is self.exact else self._error()

    @property
    def low(self) -> float | None:
        """The score below which an answer is likelier wrong than right; None where scores aren't calibrated."""
        return None if self.calibration is None else LOW

    def read(self, asked: Sequence[tuple[str, str]], how: AnswerRequest) -> list[Answered]:
        """Answers to the (question, context) pairs, read together.

        Raises BadInput where a question leaves no room for its text, or a text has no token.
        """
        began = time.perf_counter()
        windows = [self.windows(question, context, how) for question, context in asked]
        spans = self._spans([window for of_one in windows for window in of_one], self.fast, how)
        done = []
        at = 0
        for (_, context), of_one in zip(asked, windows, strict=True):
            mine = spans[at : at + len(of_one)]
            at += len(of_one)
            again = [] if self.fast is self.exact else self._contenders(mine, context, how)
            if again:
                for place, exact in zip(
                    again, self._spans([of_one[place] for place in again], self.exact, how), strict=True
                ):
                    mine[place] = exact
            answers = merge(mine, context, no_answer=how.no_answer)[: how.top_k]
            if self.calibration is not None:
                answers = [replace(one, score=self.calibration.chance(one.score)) for one in answers]
            done.append(Answered(answers, time.perf_counter() - began, len(of_one), len(again)))
        return done

    def windows(self, question: str, context: str, how: AnswerRequest) -> list[Window]:
        """The question with each part of the context, in order."""
        before, between, behind, types = self.frame
        asked = self._tokens(question).ids
        if context != self._last[0]:
            self._last = (context, self._tokens(context))
        text = self._last[1]
        if not text.ids:
            raise BadInput("the context holds nothing the model can read; give it some text")
        size = min(how.max_seq_len or 384, self.config.context_length)
        room = size - len(before) - len(asked) - len(between) - len(behind)
        if room < min(len(text.ids), how.max_answer_len):
            raise BadInput(
                f"the question is {len(asked)} tokens long, and the model reads {size} at once: no room is left for "
                "the text to answer it from; ask it in fewer words"
            )
        stride = min(size // 2, 128) if how.doc_stride is None else how.doc_stride
        stride = min(stride, room - 1)
        cut = []
        for first in range(0, len(text.ids), room - stride):
            end = min(first + room, len(text.ids))
            ids = [*before, *asked, *between, *text.ids[first:end], *behind]
            lengths = (len(before), len(asked), len(between), end - first, len(behind))
            kinds = [kind for kind, length in zip(types, lengths, strict=True) for _ in range(length)]
            place = len(before) + len(asked) + len(between)
            cut.append(Window(ids, kinds, place, word_ranges(text.offsets[first:end], text.words[first:end])))
            if end == len(text.ids):
                break
        return cut

    def _spans(self, windows: Sequence[Window], scores_of: Scores, how: AnswerRequest) -> list[WindowSpans]:
        found: list[WindowSpans] = []
        for group in _groups([len(window.ids) for window in windows]):
            part = [windows[place] for place in group]
            typed = [window.types for window in part] if self.config.n_types > 1 else None
            for window, scores in zip(part, scores_of([window.ids for window in part], typed), strict=True):
                inside = scores[window.first : window.first + len(window.words)]
                best = window_spans(
                    np.concatenate([scores[:1], inside]),
                    window.words,
                    n=spans_wanted(how.top_k),
                    max_answer_len=how.max_answer_len,
                )
                if self.calibration is not None:
                    best = replace(best, null_log_score=self.calibration.null(best.null_log_score))
                found.append(best)
            if len(windows) > 1:
                emit("reading", len(found), len(windows))
        return found

    def _error(self) -> float:
        """bfloat16's error in this network's scores, in units of their spread: measured on a text, not assumed."""
        before, _, behind, _ = self.frame
        room = self.config.context_length - len(before) - len(behind)
        probe = [[*before, *self._tokens(PROBE).ids[:room], *behind]]
        fast, exact = (read(probe, None)[0] for read in (self.fast, self.exact))
        return float(((fast - exact).std(axis=0, ddof=1) / exact.std(axis=0, ddof=1)).max())

    def _contenders(self, spans: Sequence[WindowSpans], context: str, how: AnswerRequest) -> list[int]:
        """The windows to read again: those that could change which answers come out, where it is a close call."""
        answers = merge(spans, context, no_answer=how.no_answer)
        # Two spans differ by two scores each, whose errors add up.
        margin = CLOSE * math.sqrt(2) * self.error * max(window.spread for window in spans)
        return contenders(spans, answers, context, top_k=how.top_k, margin=margin)

    def _tokens(self, text: str) -> Tokens:
        [encoding] = self.tokenizer.encode_batch([text], add_special_tokens=False)  # other threads go on meanwhile
        # A token that is no part of a word (a special one, written out in the text) is a word of its own.
        words = [-1 - place if word is None else word for place, word in enumerate(encoding.word_ids)]
        return Tokens(
            encoding.ids, np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2), np.array(words, dtype=int)
        )

    def _frame(self, path: Path) -> tuple[list[int], list[int], list[int], list[int]]:
        """The tokens before the question, between it and its text, and behind; and each part's segment type."""
        pair = self.tokenizer.encode("a", "b")
        parts: list[list[int]] = [[], [], [], [], []]
        types = [0] * 5
        seen = 0
        for token, kind, sequence in zip(pair.ids, pair.type_ids, pair.sequence_ids, strict=True):
            seen = max(seen, 0 if sequence is None else 2 * sequence + 1)
            place = seen if sequence is not None or not seen else seen + 1
            parts[place].append(token)
            types[place] = kind
        if not parts[0] or seen != 3:
            raise BadCheckpoint(f"{path}: its tokenizer frames no question and text; download the folder again")
        return parts[0], parts[2], parts[4], types


def word_ranges(offsets: np.ndarray, words: np.ndarray) -> np.ndarray:
    """For each token (T,) the characters (T, 2) of its word, as far as the word is in this window."""
    begins = np.flatnonzero(np.diff(words, prepend=words[0] - 1))
    ends = np.append(begins[1:], len(words)) - 1
    run = np.repeat(np.arange(len(begins)), ends - begins + 1)
    return np.stack([offsets[begins, 0][run], offsets[ends, 1][run]], axis=1)


def _groups(lengths: Sequence[int]) -> list[list[int]]:
    """Neighbours of `GROUP_TOKENS` together, in order."""
    groups: list[list[int]] = []
    used = 0
    for place, length in enumerate(lengths):
        if not groups or used + length > GROUP_TOKENS:
            groups.append([])
            used = 0
        groups[-1].append(place)
        used += length
    return groups

"""Continuous batching: texts of many callers in one batch, which each joins and leaves when it is ready.

After Orca (Yu et al. 2022, section 3.1): the batch is chosen anew at each step, not at each request. Reading the
weights is nearly all of a decoding step's time, so that thirty texts take little longer than one.

The rows lie in one key-value cache, their last tokens in one column: `padding` says how far to the left of it each
begins. Prompts of those who join are read together, behind each other in one row (Orca's selective batching, 3.2: only
attention keeps them apart), then copied in; the last row moves to the place of one that leaves.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from torch import Tensor

from genarium.decoding.choosing import Chosen, Constraint, Row, choose_next, rows_of
from genarium.decoding.generate import NewToken
from genarium.decoding.sampling import Sampling
from genarium.models.gpt import GPT, KeyValueCache

MOST_ROWS = 32
"""Texts in one step: as many as the packed weights are laid out for (`engines/cpu/linear.py`)."""
READ_AT_ONCE = 256
"""Prompt tokens read between two steps, unless one prompt alone is longer: who writes already waits for no more."""
GROWTH = 128
"""Columns that the cache grows by at least."""

_sharing: ContextVar[bool] = ContextVar("genarium_sharing_batches", default=False)


@contextmanager
def sharing() -> Iterator[None]:
    """Inside the block, native text engines write in batches they share with other threads that are inside one."""
    token = _sharing.set(True)
    try:
        yield
    finally:
        _sharing.reset(token)


def is_shared() -> bool:
    return _sharing.get()


@dataclass(eq=False)
class _Text:
    """One row of a caller: its prompt, its state, and where its tokens go."""

    number: int
    prompt: Sequence[int]
    row: Row
    left: int
    end_tokens: AbstractSet[int]
    finished: AbstractSet[int]
    out: queue.SimpleQueue[NewToken | BaseException]
    gone: threading.Event
    last: int = 0

    @property
    def dropped(self) -> bool:
        return self.gone.is_set() or self.number in self.finished


@dataclass
class _Batch:
    """The texts in the network, and their cache: (layers, room, K, capacity, D), of which the first rows are theirs."""

    texts: list[_Text] = field(default_factory=list)
    padding: list[int] = field(default_factory=list)
    length: int = 0


class ContinuousBatch:
    """Decodes with one network for any number of threads. The thread that computes ends when nothing is left to do."""

    def __init__(self, model: GPT, *, most_rows: int = MOST_ROWS):
        self.model, self.most_rows = model, most_rows
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self._lock = threading.Lock()
        self._waiting: deque[_Text] = deque()
        self._thread: threading.Thread | None = None
        self._batch = _Batch()
        self._keys = self._values = torch.empty(0)
        self.steps = self.rows_in_steps = self.passes = 0

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        *,
        samples: Sequence[int] | None = None,
        end_tokens: AbstractSet[int] = frozenset(),
        finished: AbstractSet[int] = frozenset(),
        constraints: Sequence[Constraint | None] | None = None,
    ) -> Iterator[NewToken]:
        """As `decoding.generate.generate`; tokens of other callers come from the same steps of the network.

        A caller that closes the iterator takes its rows out of the batch.
        """
        longest = max((len(prompt) for prompt in prompts), default=0)
        if longest + sampling.max_new_tokens - 1 > self.model.config.context_length:
            raise IndexError(f"prompt and new tokens exceed the context of {self.model.config.context_length}")
        out: queue.SimpleQueue[NewToken | BaseException] = queue.SimpleQueue()
        gone = threading.Event()
        rows = rows_of(prompts, sampling, samples, constraints, self.model.config.vocab_size, self.device)
        texts = [
            _Text(number, prompt, row, sampling.max_new_tokens, end_tokens, finished, out, gone)
            for number, (prompt, row) in enumerate(zip(prompts, rows, strict=True))
        ]
        with self._lock:
            self._waiting.extend(texts)
            if texts and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="genarium-decoding", daemon=True)
                self._thread.start()
        running = {text.number for text in texts}
        try:
            while running:
                new = out.get()
                if isinstance(new, BaseException):
                    raise new
                yield new
                # What the caller finished while it held the token gets no more of them.
                running -= {new.row} if new.ended else set()
                running -= finished
        finally:
            gone.set()

    def _work(self) -> None:
        """Steps, until no text is left."""
        with torch.inference_mode():
            while True:
                try:
                    self._drop()
                    self._join()
                    if self._batch.texts:
                        self._step()
                except BaseException as error:  # every caller is told; the next one begins anew
                    self._fail(error)
                    return
                with self._lock:
                    if not self._batch.texts and not self._waiting:
                        self._keys = self._values = torch.empty(0)
                        self._batch.length = 0
                        self._thread = None  # last: who sees no thread sees no cache either
                        return

    def _fail(self, error: BaseException) -> None:
        """Tell all who wait. Later ones get another thread: where memory ran out, oneDNN fails on this one for good."""
        with self._lock:
            concerned = [*self._batch.texts, *self._waiting]
            self._waiting.clear()
            self._batch = _Batch()
            self._keys = self._values = torch.empty(0)
            self._thread = None
        for out in {id(text.out): text.out for text in concerned}.values():
            out.put(error)

    def _drop(self) -> None:
        """Take out whom nobody waits for, and columns that nobody looks at."""
        batch = self._batch
        for place in reversed(range(len(batch.texts))):
            if batch.texts[place].dropped:
                self._remove(place)
        if not batch.texts:
            batch.length = 0
        elif (unused := min(batch.padding)) >= GROWTH // 2:
            self._shift(-unused)

    def _remove(self, place: int) -> None:
        batch, last = self._batch, len(self._batch.texts) - 1
        if place != last:
            n = batch.length
            self._keys[:, place, :, :n] = self._keys[:, last, :, :n]
            self._values[:, place, :, :n] = self._values[:, last, :, :n]
            batch.texts[place], batch.padding[place] = batch.texts[last], batch.padding[last]
        batch.texts.pop()
        batch.padding.pop()

    def _join(self) -> None:
        """Read the prompts of those who wait, as far as there is room, and give each its first token."""
        prompts = self._next_prompts()
        if not prompts:
            return
        try:
            self._read(prompts)
        except BaseException:
            with self._lock:
                self._waiting.extendleft(text for texts in prompts for text in texts)  # so that they are told too
            raise

    def _next_prompts(self) -> list[list[_Text]]:
        """The texts to be read now, those of one caller and one prompt together; they wait no longer."""
        room, columns = self.most_rows - len(self._batch.texts), READ_AT_ONCE
        prompts: list[list[_Text]] = []
        with self._lock:
            while self._waiting and room:
                text = self._waiting[0]
                last = prompts[-1][0] if prompts else None
                if text.dropped:
                    self._waiting.popleft()
                    continue
                if last is not None and text.out is last.out and text.prompt == last.prompt:
                    prompts[-1].append(self._waiting.popleft())
                elif last is None or len(text.prompt) <= columns:
                    prompts.append([self._waiting.popleft()])
                    columns -= len(text.prompt)
                else:
                    break
                room -= 1
        return prompts

    def _read(self, prompts: list[list[_Text]]) -> None:
        """Several prompts behind each other in one pass, so that the weights are read once; each for all its texts."""
        lengths = [len(texts[0].prompt) for texts in prompts]
        tokens = [token for texts in prompts for token in texts[0].prompt]
        read = KeyValueCache(self.model.config, 1, len(tokens), dtype=self.dtype, device=self.device)
        logits = self.model(
            torch.tensor([tokens], device=self.device),
            cache=read,
            lengths=lengths if len(lengths) > 1 else None,
            last_only=True,
        )[0].float()
        self.passes += 1
        of_prompt = torch.tensor([len(texts) for texts in prompts], device=self.device)
        spans = [
            (text, end - n, end)
            for texts, n, end in zip(prompts, lengths, accumulate(lengths), strict=True)
            for text in texts
        ]
        chosen = choose_next(logits.repeat_interleave(of_prompt, dim=0), [text.row for text, _, _ in spans])
        self._place([span for span, one in zip(spans, chosen, strict=True) if self._hand_over(span[0], one)], read)

    def _place(self, texts: list[tuple[_Text, int, int]], read: KeyValueCache) -> None:
        """Put texts into the batch, each with where its prompt begins and ends in what was read."""
        batch = self._batch
        if not texts:
            return
        if not batch.texts:
            batch.length = 0
        longest = max(end - begin for _, begin, end in texts)
        to_come = min(GROWTH, max(text.left for text, _, _ in texts))
        self._make_room(len(batch.texts) + len(texts), max(longest, batch.length) + to_come)
        if longest > batch.length:
            self._shift(longest - batch.length)
        for text, begin, end in texts:
            place, first = len(batch.texts), batch.length - (end - begin)
            self._keys[:, place, :, first : batch.length] = read.keys[:, 0, :, begin:end]
            self._values[:, place, :, first : batch.length] = read.values[:, 0, :, begin:end]
            self._keys[:, place, :, :first] = self._values[:, place, :, :first] = 0
            batch.texts.append(text)
            batch.padding.append(first)

    def _step(self) -> None:
        """One token for every text in the batch."""
        batch = self._batch
        context = self.model.config.context_length
        if batch.length + 1 > min(context, self._capacity()) and min(batch.padding):
            self._shift(-min(batch.padding))
        self._make_room(len(batch.texts), batch.length + 1)
        rows = len(batch.texts)
        cache = _View(self._keys[:, :rows], self._values[:, :rows], batch.length)
        padding = torch.tensor(batch.padding, device=self.device) if any(batch.padding) else None
        tokens = torch.tensor([[text.last] for text in batch.texts], device=self.device)
        logits = self.model(tokens, cache=cache, padding=padding)[:, -1].float()
        batch.length += 1
        self.steps += 1
        self.rows_in_steps += rows
        chosen = choose_next(logits, [text.row for text in batch.texts])
        stays = [self._hand_over(text, one) for text, one in zip(batch.texts, chosen, strict=True)]
        for place in reversed(range(rows)):
            if not stays[place]:
                self._remove(place)

    def _hand_over(self, text: _Text, chosen: Chosen) -> bool:
        """Give the caller its token; whether another one is to come."""
        text.last = chosen.token
        text.left -= 1
        ended = "stop" if chosen.token in text.end_tokens else "length" if text.left == 0 else ""
        text.out.put(NewToken(text.number, chosen, ended))
        return not ended

    def _capacity(self) -> int:
        return self._keys.shape[3] if self._keys.ndim == 5 else 0

    def _make_room(self, rows: int, columns: int) -> None:
        """A cache of at least so many rows and columns, with what is in it.

        What nobody has written yet is not looked at, and on a CPU it takes no memory: there all rows have room at once.
        """
        room = self._keys.shape[1] if self._keys.ndim == 5 else 0
        if rows <= room and columns <= self._capacity():
            return
        c = self.model.config
        more_rows = room if rows <= room else min(self.most_rows, max(rows, 2 * room))
        if self.device.type == "cpu":
            more_rows = self.most_rows
        wide = self._capacity()
        if columns > wide:
            wide = min(c.context_length, max(columns, wide + max(GROWTH, wide // 2)))
        shape = (c.n_layers, more_rows, c.n_kv_heads, wide, c.head_dim)
        keys, values = (torch.empty(shape, dtype=self.dtype, device=self.device) for _ in range(2))
        n, held = self._batch.length, len(self._batch.texts)
        if held:
            keys[:, :held, :, :n] = self._keys[:, :held, :, :n]
            values[:, :held, :, :n] = self._values[:, :held, :, :n]
        self._keys, self._values = keys, values

    def _shift(self, by: int) -> None:
        """Move all rows `by` columns to the right (to the left where it is negative)."""
        batch = self._batch
        held, n = len(batch.texts), batch.length
        if held:
            first, begin = max(0, by), max(0, -by)
            for stored in (self._keys, self._values):
                stored[:, :held, :, first : n + by] = stored[:, :held, :, begin:n].clone()
        batch.length += by
        batch.padding = [padding + by for padding in batch.padding]


class _View(KeyValueCache):
    """Part of the batch's cache, as the network takes one."""

    def __init__(self, keys: Tensor, values: Tensor, length: int):
        self.keys, self.values, self.length = keys, values, length

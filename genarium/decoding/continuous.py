"""Continuous batching: texts of many callers in one batch, which each joins and leaves when it is ready.

After Orca (Yu et al. 2022, section 3.1): the batch is chosen anew at each step, not at each request. Reading the
weights is nearly all of a decoding step's time, so that thirty texts take little longer than one.

Prompts of those who join are read together, then join the rows that are being written; the last row moves to the
place of one that leaves.
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

import numpy as np

from genarium.decoding.choosing import Chosen, Constraint, SampledRow, choose_next, rows_of
from genarium.decoding.generate import NewToken, check_length
from genarium.decoding.protocol import Decoder, State
from genarium.decoding.sampling import Sampling

MOST_ROWS = 32
"""Texts in one step: as many as the packed weights are laid out for (`engines/cpu/linear.py`)."""
READ_AT_ONCE = 256
"""Prompt tokens read between two steps, unless one prompt alone is longer: who writes already waits for no more."""

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
    row: SampledRow
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
    """The texts that are being written, a row of the state each; no state where there are none."""

    texts: list[_Text] = field(default_factory=list)
    state: State | None = None


class ContinuousBatch:
    """Decodes with one network for any number of threads. The thread that computes ends when nothing is left to do."""

    def __init__(self, decoder: Decoder, *, most_rows: int = MOST_ROWS):
        self.decoder, self.most_rows = decoder, most_rows
        self._lock = threading.Lock()
        self._waiting: deque[_Text] = deque()
        self._thread: threading.Thread | None = None
        self._batch = _Batch()
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
        check_length(self.decoder, prompts, sampling)
        out: queue.SimpleQueue[NewToken | BaseException] = queue.SimpleQueue()
        gone = threading.Event()
        rows = rows_of(prompts, sampling, samples, constraints, self.decoder.vocab_size)
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
        while True:
            try:
                self._keep([place for place, text in enumerate(self._batch.texts) if not text.dropped])
                self._join()
                if self._batch.texts:
                    self._step()
            except BaseException as error:  # every caller is told; the next one begins anew
                self._fail(error)
                return
            with self._lock:
                if not self._batch.texts and not self._waiting:
                    self._thread = None
                    return

    def _fail(self, error: BaseException) -> None:
        """Tell all who wait. Later ones get another thread: where memory ran out, oneDNN fails on this one for good."""
        with self._lock:
            concerned = [*self._batch.texts, *self._waiting]
            self._waiting.clear()
            self._batch = _Batch()
            self._thread = None
        for out in {id(text.out): text.out for text in concerned}.values():
            out.put(error)

    def _keep(self, places: list[int]) -> None:
        """Keep these texts alone. The last ones move to the places of those that leave: few rows are copied."""
        batch = self._batch
        if len(places) == len(batch.texts):
            return
        n = len(places)
        moved = [place for place in places if place >= n]
        stay = set(places)
        order = [place if place in stay else moved.pop() for place in range(n)]
        batch.texts = [batch.texts[place] for place in order]
        if order:
            self.decoder.select(batch.state, order)
        else:
            batch.state = None

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
        """Several prompts in one pass, so that the weights are read once; each for all its texts."""
        read, logits = self.decoder.prefill([texts[0].prompt for texts in prompts])
        self.passes += 1
        texts = [text for of_prompt in prompts for text in of_prompt]
        which = [place for place, of_prompt in enumerate(prompts) for _ in of_prompt]
        chosen = choose_next(logits[which], [text.row for text in texts], self.decoder.ranking)
        stays = [self._hand_over(text, one) for text, one in zip(texts, chosen, strict=True)]
        if any(stays):
            rows = [row for row, stay in zip(which, stays, strict=True) if stay]
            self._batch.state = self.decoder.join(self._batch.state, read, rows)
            self._batch.texts += [text for text, stay in zip(texts, stays, strict=True) if stay]

    def _step(self) -> None:
        """One token for every text in the batch."""
        batch = self._batch
        logits = self.decoder.step(batch.state, np.array([[text.last] for text in batch.texts]))
        self.steps += 1
        self.rows_in_steps += len(batch.texts)
        chosen = choose_next(logits, [text.row for text in batch.texts], self.decoder.ranking)
        stays = [self._hand_over(text, one) for text, one in zip(batch.texts, chosen, strict=True)]
        self._keep([place for place, stay in enumerate(stays) if stay])

    def _hand_over(self, text: _Text, chosen: Chosen) -> bool:
        """Give the caller its token; whether another one is to come."""
        text.last = chosen.token
        text.left -= 1
        ended = "stop" if chosen.token in text.end_tokens else "length" if text.left == 0 else ""
        text.out.put(NewToken(text.number, chosen, ended))
        return not ended

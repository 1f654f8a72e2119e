"""The text of one row as it is written, up to the first stop string."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer

from genarium.decoding.text_stream import TextStream
from genarium.engines.text.protocol import StopWatcher


class Written:
    """What the tokens after `prompt` say. Special tokens (`special`, by number) are never shown.

    Where a stop string names one, they are part of what it is looked for in, as they are in transformers.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], stop: Sequence[str], special: Mapping[int, str]):
        self.stream, self.watcher = TextStream(tokenizer, prompt), StopWatcher(stop)
        named = any(text in one for one in stop for text in special.values())
        self.special = special if named else {}
        self.hidden: list[tuple[int, int]] = []
        """Where in the watcher's text special tokens stand."""

    def add(self, token: int) -> str:
        """The part of the text that is now certain."""
        piece, before = self.stream.add(token), self.watcher.shown
        if token in self.special:
            end = len(self.watcher.text) + len(piece)
            piece += self.special[token]
            self.hidden.append((end, end + len(self.special[token])))
        self.watcher.add(piece)
        return self._visible(before, self.watcher.shown)

    def rest(self) -> str:
        """What was held back, when the text has ended."""
        before = self.watcher.shown
        self.watcher.rest()
        return self._visible(before, self.watcher.shown)

    @property
    def stopped(self) -> bool:
        return self.watcher.stopped

    @property
    def shown(self) -> str:
        return self._visible(0, self.watcher.shown)

    @property
    def text(self) -> str:
        return self._visible(0, len(self.watcher.text))

    def _visible(self, begin: int, end: int) -> str:
        out = ""
        for first, last in self.hidden:
            out += self.watcher.text[begin : max(begin, min(first, end))]
            begin = max(begin, min(last, end))
        return out + self.watcher.text[begin:end]

"""From tokens to text as they come: only what later tokens can't change is handed out."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

BROKEN = "�"


class TextStream:
    """The text of tokens that follow on `prompt`; special tokens have none.

    A character may take several tokens, and is handed out with its last one. As `tokenizers.decoders.DecodeStream`,
    which raises on byte-fallback tokenizers (Llama 2, Mistral): they read a row of bytes as broken as a whole when one
    of them is, after its beginning was handed out. Here the bytes since then are read alone.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int] = ()):
        self.tokenizer = tokenizer
        self.tokens = list(prompt)
        """What the text of the next token may depend on: those since the last but one piece."""
        self.told = len(self.tokens)
        """How many of them have been handed out, as `before`."""
        self.before = self._text(self.tokens)

    def add(self, token: int) -> str:
        """The piece of text that this token completes; empty where it completes none."""
        self.tokens.append(token)
        text = self._text(self.tokens)
        if text.endswith(BROKEN):
            return ""
        if not text.startswith(self.before):
            self.tokens, self.before = self.tokens[self.told :], ""
            text, self.told = self._text(self.tokens), 0
        piece = text[len(self.before) :]
        if piece:
            self.tokens = self.tokens[self.told :]
            self.told, self.before = len(self.tokens), self._text(self.tokens)
        return piece

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text

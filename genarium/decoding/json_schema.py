"""JSON of a given kind, by grammar: at every step only tokens that can still become it may be chosen.

The masks are llguidance's (github.com/guidance-ai/llguidance), the library that vLLM, llama.cpp and others use.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np

from genarium.errors import BadInput

if TYPE_CHECKING:
    from llguidance import LLMatcher
    from tokenizers import Tokenizer


class Grammar:
    """The state of one text. V is the vocabulary of the network, which may have more places than the tokenizer."""

    def __init__(self, matcher: LLMatcher, vocab_size: int):
        self.matcher, self.vocab_size = matcher, vocab_size

    def allowed(self) -> np.ndarray:
        bits = np.unpackbits(np.frombuffer(self.matcher.compute_bitmask(), np.uint8), bitorder="little")
        mask = np.zeros(self.vocab_size, dtype=bool)
        n = min(self.vocab_size, len(bits))
        mask[:n] = bits[:n]
        if self.matcher.is_error() or not mask.any():
            raise BadInput(f"json_schema could not be followed any further: {_first_line(self.matcher.get_error())}")
        return mask

    def accept(self, token: int) -> None:
        self.matcher.consume_token(token)


def json_schema(
    tokenizer: Tokenizer, vocab_size: int, end_tokens: AbstractSet[int], schema: str, rows: int
) -> Sequence[Grammar]:
    """A grammar for each of `rows` texts. Raises BadInput where the schema is not one, or can't be followed."""
    from llguidance import LLMatcher, LLTokenizer

    if not end_tokens:
        raise BadInput("this model names no token that ends a text, so it can't be held to a JSON schema")
    try:
        read: Any = json.loads(schema)
        if not isinstance(read, dict):
            raise ValueError("it must be a JSON object")
        # Without free white space, which a small model never stops writing.
        grammar = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
    except (ValueError, RecursionError) as error:
        raise BadInput(f"json_schema is not a JSON Schema: {_first_line(str(error))}") from None
    known = LLTokenizer(tokenizer.to_str(), n_vocab=vocab_size, eos_token=sorted(end_tokens))
    first = LLMatcher(known, grammar)
    if first.is_error():
        raise BadInput(f"json_schema can't be followed: {_first_line(first.get_error())}")
    return [Grammar(first if row == 0 else first.deep_copy(), vocab_size) for row in range(rows)]


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0][:300].rstrip(".")

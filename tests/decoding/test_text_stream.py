"""Streamed text: as the library has it, and without its error where a byte breaks what was handed out."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from genarium.decoding.text_stream import TextStream
from tests.chat_models import STYLES, tokenizer_for

TOKENIZERS = {name: tokenizer_for(STYLES[name]) for name in ("qwen", "mistral")}
PROMPTS = ("", "The fox", "Hügel 狐", "user\n🦊")


def streamed(tokenizer: Tokenizer, prompt: list[int], tokens: list[int]) -> list[str]:
    stream = TextStream(tokenizer, prompt)
    return [stream.add(token) for token in tokens]


@settings(max_examples=200)
@given(
    name=st.sampled_from(list(TOKENIZERS)),
    prompt=st.sampled_from(PROMPTS),
    shares=st.lists(st.floats(0, 1, exclude_max=True), max_size=24),
)
def test_pieces_are_those_of_the_library_as_far_as_it_comes(name: str, prompt: str, shares: list[float]) -> None:
    tokenizer = TOKENIZERS[name]
    ids, tokens = tokenizer.encode(prompt).ids, [int(share * tokenizer.get_vocab_size()) for share in shares]
    theirs, found = DecodeStream(ids=ids, skip_special_tokens=True), streamed(tokenizer, ids, tokens)
    for token, piece in zip(tokens, found, strict=True):
        try:
            expected = theirs.step(tokenizer, token) or ""
        except Exception:  # a row of bytes that one byte breaks
            assert name == "mistral"
            return
        assert piece == expected


@pytest.mark.parametrize("text", ["é€", "naïve ∑ 狐\n\n丘", "\U0001f98a\U0001f98a ok"])
def test_characters_come_whole_and_a_broken_byte_takes_none_back(text: str) -> None:
    tokenizer = TOKENIZERS["mistral"]
    byte = [tokenizer.token_to_id(f"<0x{b:02X}>") for b in range(256)]
    whole = [byte[b] for b in text.encode()]
    assert "".join(streamed(tokenizer, [], whole)) == text
    broken = [*whole, byte[0xFF], byte[0xC3], tokenizer.token_to_id("a"), *whole]
    assert "".join(streamed(tokenizer, [], broken)) == text + "\ufffd\ufffda" + text

"""A small random decoder that writes single characters, to learn from its own answers in seconds."""

from __future__ import annotations

import json
from pathlib import Path

from genarium.data.text import END_OF_TEXT, char_tokenizer
from tests.causal_checkpoints import save

LETTERS = "abcdefghijklmnopqrstuvwxyz .,:AUs\n"


def make_policy(folder: Path, kind: str = "llama") -> Path:
    """Its last token ends a text; it reads 48 tokens."""
    tokenizer = char_tokenizer([LETTERS])
    end = tokenizer.token_to_id(END_OF_TEXT)
    save(folder, kind, {}, eos_token_id=end, bos_token_id=end)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END_OF_TEXT}))
    return folder

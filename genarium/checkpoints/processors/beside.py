"""What lies beside a model's weights, so that others read and write text with it: tokenizer, template, end tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from genarium.checkpoints.processors import gguf_tokenizer, tokenizer
from genarium.checkpoints.processors.answers import Answers
from genarium.checkpoints.store import folder as folders
from genarium.checkpoints.store import gguf
from genarium.files import write_atomically

TEMPLATE = "chat_template.jinja"


def write(source: Path, target: Path, answers: Answers, *, context_length: int, talks: bool, pad: str = "") -> None:
    """Beside a checkpoint in `target`, what the one in `source` has; `answers` is how it reads and ends them.

    `talks`: with its template. `pad` is the token of padding, where that is to be another.
    """
    if gguf.is_gguf(source):
        named = gguf_tokenizer.special_tokens(source)
        _as_json(target / "generation_config.json", {"eos_token_id": sorted(answers.ends)})
    else:
        source = tokenizer.folder_of(source)
        folders.copy_tokenizer(source, target)
        named = {}
    if not (target / "tokenizer.json").is_file():
        described: dict[str, Any] = folders.json_or_nothing(target / "tokenizer_config.json")
        described |= {"tokenizer_class": "PreTrainedTokenizerFast", **named, "model_max_length": context_length}
        write_atomically(target / "tokenizer.json", answers.tokenizer.to_str().encode())
        _as_json(target / "tokenizer_config.json", described)
    if pad:
        _as_json(
            target / "tokenizer_config.json",
            folders.json_or_nothing(target / "tokenizer_config.json") | {"pad_token": pad},
        )
    if talks:
        write_atomically(target / TEMPLATE, answers.template.source.encode())


def _as_json(file: Path, value: Any) -> None:
    write_atomically(file, json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n")

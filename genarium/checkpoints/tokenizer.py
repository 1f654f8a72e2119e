"""The tokenizer of a checkpoint folder: `tokenizer.json`, or older vocabulary files (BERT's, RoBERTa's, GPT-2's)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from genarium.checkpoints import adapter, tokenizer_files
from genarium.checkpoints.find import base_of
from genarium.checkpoints.folder import read_config
from genarium.errors import BadCheckpoint


def load(path: Path) -> Tokenizer:
    """An adapter without a tokenizer has its base's. Raises BadCheckpoint where there is none or it can't be read."""
    path = folder_of(path)
    try:
        if (path / "tokenizer.json").exists():
            tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
            # A saved tokenizer may carry the padding and cutting of its last use; lengths are the engine's matter.
            tokenizer.no_padding()
            tokenizer.no_truncation()
            tokenizer_files.adjust(tokenizer, path, _read(path / "config.json"))
            return tokenizer
        if (made := tokenizer_files.build(path, _read(path / "config.json"))) is not None:
            tokenizer_files.adjust(made, path, _read(path / "config.json"))
            return made
        if (path / "vocab.json").exists() and (path / "merges.txt").exists():
            model = models.BPE.from_file(str(path / "vocab.json"), str(path / "merges.txt"))
            tokenizer = Tokenizer(model)
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            tokenizer.decoder = decoders.ByteLevel()
            end = "<|endoftext|>"
            if tokenizer.token_to_id(end) is not None:
                tokenizer.add_special_tokens([AddedToken(end, normalized=False)])
            return tokenizer
    except BadCheckpoint:
        raise
    except Exception as error:  # the library raises bare Exception
        raise BadCheckpoint(f"{path}: the tokenizer can't be read ({error}); download the folder again") from None
    raise BadCheckpoint(
        f"{path} has no tokenizer.json (nor vocabulary files of a kind known here); copy the model's tokenizer files "
        "there"
    )


def folder_of(path: Path) -> Path:
    """The folder whose tokenizer, and tokenizer_config.json, are those of the checkpoint in `path`."""
    own = any((path / name).exists() for name in ("tokenizer.json", "vocab.txt", "vocab.json"))
    return base_of(path) if adapter.is_adapter(path) and not own else path


def end_tokens(path: Path, tokenizer: Tokenizer) -> frozenset[int]:
    """The token ids that end a text, from generation_config.json, config.json and tokenizer_config.json."""
    ids: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        ids |= _ids(_read(path / name).get("eos_token_id"))
    named = _read(path / "tokenizer_config.json").get("eos_token")
    text = named.get("content") if isinstance(named, dict) else named
    if isinstance(text, str) and (found := tokenizer.token_to_id(text)) is not None:
        ids.add(found)
    return frozenset(i for i in ids if 0 <= i < read_config(path).get("vocab_size", 0))


def separator(path: Path, tokenizer: Tokenizer) -> int:
    """The token that stands between texts in training: the one named as the end of a text. Raises BadCheckpoint."""
    ends = end_tokens(path, tokenizer)
    if not ends:
        raise BadCheckpoint(f"{path} names no eos_token, so texts can't be set apart; add eos_token_id to config.json")
    return min(ends)


def _ids(value: Any) -> set[int]:
    if isinstance(value, int):
        return {value}
    return set(value) if isinstance(value, list) else set()


def _read(file: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}

"""The tokenizer of a checkpoint folder: `tokenizer.json`, or older vocabulary files (BERT's, RoBERTa's, GPT-2's)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from genarium.checkpoints import adapter, generation, tokenizer_config, tokenizer_files
from genarium.checkpoints.fields import shown
from genarium.checkpoints.fields.causal import BY_TYPE
from genarium.checkpoints.fields.generation import Generation
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
    except BadCheckpoint:
        raise
    except Exception as error:  # the library raises bare Exception
        raise BadCheckpoint(f"{path}: the tokenizer can't be read ({error}); download the folder again") from None
    raise BadCheckpoint(_lacking(path))


def _lacking(path: Path) -> str:
    """What to do about a folder whose tokenizer can't be read."""
    named = str(_read(path / "tokenizer_config.json").get("tokenizer_class") or "no class is named")
    other = next((name for name in ("tokenizer.model", "tekken.json", "tiktoken.model") if (path / name).exists()), "")
    if other or (path / "vocab.json").exists():
        return (
            f"{path} has its tokenizer ({shown(named, quoted=False)}) as {other or 'vocab.json'} alone, which is not "
            'read here; make a tokenizer.json of it where transformers is installed: python -c "from transformers '
            f"import AutoTokenizer as A; A.from_pretrained('{path}').save_pretrained('{path}')\""
        )
    return (
        f"{path} has no tokenizer.json (nor vocabulary files of a kind known here); copy the model's tokenizer files "
        "there"
    )


def folder_of(path: Path) -> Path:
    """The folder whose tokenizer, and tokenizer_config.json, are those of the checkpoint in `path`."""
    own = any((path / name).exists() for name in ("tokenizer.json", "vocab.txt", "vocab.json"))
    return base_of(path) if adapter.is_adapter(path) and not own else path


def end_tokens(path: Path, tokenizer: Tokenizer, vocab_size: int | None = None) -> frozenset[int]:
    """The token ids that end a text, from generation_config.json, config.json and tokenizer_config.json.

    `vocab_size` is the network's, where it is not the config's.
    Where the first two name none, it is the one that transformers' config class has.
    """
    raw = read_config(path)
    usual = fields_of(raw)
    there = (path / Generation.file).is_file()
    ids = _ids(generation.read(path).eos_token_id) | _ids(
        raw.get("eos_token_id", None if there else usual.get("eos_token_id"))
    )
    named = tokenizer_config.read(folder_of(path)).eos_token
    if named is not None and (found := tokenizer.token_to_id(named.content)) is not None:
        ids.add(found)
    size = vocab_size or raw.get("vocab_size", usual.get("vocab_size", 0))
    return frozenset(i for i in ids if 0 <= i < size)


def fields_of(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a decoder's config; none of other networks."""
    declared = BY_TYPE.get(raw["model_type"])
    return {} if declared is None else {name: field.default for name, field in declared.model_fields.items()}


def separator(path: Path, tokenizer: Tokenizer) -> int:
    """The token that stands between texts in training: the one named as the end of a text. Raises BadCheckpoint."""
    ends = end_tokens(path, tokenizer)
    if not ends:
        raise BadCheckpoint(f"{path} names no eos_token, so texts can't be set apart; add eos_token_id to config.json")
    return min(ends)


def _ids(value: Any) -> set[int]:
    given = value if isinstance(value, list) else [value]
    return {number for number in given if isinstance(number, int) and not isinstance(number, bool)}


def _read(file: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}

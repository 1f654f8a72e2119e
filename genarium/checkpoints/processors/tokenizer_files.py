"""Tokenizers from vocabulary files, where a folder has no `tokenizer.json`; and what `tokenizer_config.json` changes
where it has one.

As transformers' `BertTokenizer` (WordPiece, `vocab.txt`), `RobertaTokenizer`, `GPT2Tokenizer` and `Qwen2Tokenizer`
(byte-level BPE, `vocab.json` and `merges.txt`) build them, and `CLIPTokenizer` (BPE of small letters, ends of words
marked).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from genarium.checkpoints.processors import tokenizer_config
from genarium.checkpoints.processors.tokenizer_config import NAMED, Token, TokenizerConfig
from genarium.errors import BadCheckpoint
from genarium.progress import note

WORDPIECE = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer")
BYTE_LEVEL = ("RobertaTokenizer", "BartTokenizer", "LongformerTokenizer")
PLAIN_BYTES = ("GPT2Tokenizer", "Qwen2Tokenizer")
CLIP = "CLIPTokenizer"
OF_MODEL = {
    "bert": "BertTokenizer",
    "distilbert": "BertTokenizer",
    "blip": "BertTokenizer",
    "git": "BertTokenizer",
    "roberta": "RobertaTokenizer",
    "gpt2": "GPT2Tokenizer",
    "llama": "LlamaTokenizer",
    "qwen2": "Qwen2Tokenizer",
    "qwen3": "Qwen2Tokenizer",
}
END = "<|endoftext|>"
# What a class calls its special tokens where a folder does not say.
USUAL_TOKENS: dict[str, dict[str, str]] = {
    "GPT2Tokenizer": {"bos": END, "eos": END, "unk": END},
    "Qwen2Tokenizer": {"eos": END, "unk": END, "pad": END},
    "LlamaTokenizer": {"bos": "<s>", "eos": "</s>", "unk": "<unk>"},
    CLIP: {"bos": "<|startoftext|>", "eos": END, "unk": END, "pad": END},
}
# Qwen2's way to cut texts into words.
QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# CLIP's.
CLIP_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BERT_TOKENS = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
ROBERTA_TOKENS = {
    "bos": "<s>",
    "eos": "</s>",
    "unk": "<unk>",
    "sep": "</s>",
    "pad": "<pad>",
    "cls": "<s>",
    "mask": "<mask>",
}


def class_of(config: TokenizerConfig, model: Mapping[str, Any]) -> str:
    """The tokenizer's class without `Fast`: named by the folder, or by its kind of network; empty where by none."""
    named = config.tokenizer_class or model.get("tokenizer_class") or OF_MODEL.get(str(model.get("model_type")), "")
    return str(named).removesuffix("Fast")


def special_tokens(path: Path, model: Mapping[str, Any]) -> dict[str, str]:
    """The special tokens by name (`bos_token`, …): what the folder says, else its tokenizer's class."""
    config = tokenizer_config.read(path)
    named = _special(config, USUAL_TOKENS.get(class_of(config, model), {}))
    return {f"{part}_token": token.content for part, token in named.items()}


def build(path: Path, model: Mapping[str, Any]) -> Tokenizer | None:
    """The tokenizer of a folder without `tokenizer.json`; None where its class is none of these.

    `model` is its `config.json`. Raises BadCheckpoint where a file is missing or damaged.
    """
    config = tokenizer_config.read(path)
    name = class_of(config, model)
    if name in WORDPIECE:
        return _wordpiece(path, config)
    if name in BYTE_LEVEL:
        return _byte_level(path, config)
    if name in PLAIN_BYTES:
        return _plain_bytes(path, config, name)
    if name == CLIP:
        return _clip(path, config)
    return None


def _wordpiece(path: Path, config: TokenizerConfig) -> Tokenizer:
    vocabulary = _there(path, "vocab.txt")
    named = _special(config, BERT_TOKENS)
    tokenizer = Tokenizer(
        models.WordPiece(models.WordPiece.read_file(str(vocabulary)), unk_token=named["unk"].content)  # type: ignore[arg-type]
    )
    tokenizer.normalizer = _bert_normalizer(config, {})
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    _add(tokenizer, path, config, named)
    begin, end = (_numbered(tokenizer, named[part].content) for part in ("cls", "sep"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin[0]}:0 $A:0 {end[0]}:0",
        pair=f"{begin[0]}:0 $A:0 {end[0]}:0 $B:1 {end[0]}:1",
        special_tokens=list(dict.fromkeys((begin, end))),
    )
    return tokenizer


def _byte_level(path: Path, config: TokenizerConfig) -> Tokenizer:
    vocabulary, merges = _there(path, "vocab.json"), _there(path, "merges.txt")
    tokenizer = Tokenizer(models.BPE.from_file(str(vocabulary), str(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(config.add_prefix_space))
    tokenizer.decoder = decoders.ByteLevel()
    named = _special(config, ROBERTA_TOKENS)
    _add(tokenizer, path, config, named)
    begin, end = (_numbered(tokenizer, named[part].content) for part in ("cls", "sep"))
    tokenizer.post_processor = processors.RobertaProcessing(
        end,
        begin,
        trim_offsets=config.trim_offsets,
        add_prefix_space=bool(config.add_prefix_space),
    )
    return tokenizer


def _plain_bytes(path: Path, config: TokenizerConfig, name: str) -> Tokenizer:
    """Without a frame, where the config asks for none: what decoders read."""
    vocabulary, merges = _there(path, "vocab.json"), _there(path, "merges.txt")
    tokenizer = Tokenizer(models.BPE.from_file(str(vocabulary), str(merges)))
    prefix_space = bool(config.add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    if name == "Qwen2Tokenizer":
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(QWEN_WORDS), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=False),
            ]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    named = _special(config, USUAL_TOKENS[name])
    _add(tokenizer, path, config, named)
    _frame(tokenizer, config, named)
    return tokenizer


def _clip(path: Path, config: TokenizerConfig) -> Tokenizer:
    vocabulary, merges = _there(path, "vocab.json"), _there(path, "merges.txt")
    named = _special(config, USUAL_TOKENS[CLIP])
    tokenizer = Tokenizer(
        models.BPE.from_file(
            str(vocabulary), str(merges), unk_token=named["unk"].content, end_of_word_suffix="</w>", fuse_unk=False
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    _add(tokenizer, path, config, named)
    end, begin = (_numbered(tokenizer, named[part].content) for part in ("eos", "bos"))
    tokenizer.post_processor = processors.RobertaProcessing(end, begin, trim_offsets=False, add_prefix_space=False)
    return tokenizer


def _numbered(tokenizer: Tokenizer, token: str) -> tuple[str, int]:
    number = tokenizer.token_to_id(token)
    assert number is not None  # every special token was added
    return token, number


def _there(path: Path, name: str) -> Path:
    if not (path / name).is_file():
        raise BadCheckpoint(f"{path} has no tokenizer.json and no {name}; copy the model's tokenizer files there")
    return path / name


def _special(config: TokenizerConfig, usual: Mapping[str, str]) -> dict[str, Token]:
    """The special tokens by their part, in the order of `NAMED`."""
    found = {}
    for name in NAMED:
        part = name.removesuffix("_token")
        token = getattr(config, name) or (Token(content=usual[part]) if part in usual else None)
        if token is not None:
            found[part] = token
    return found


def _add(tokenizer: Tokenizer, path: Path, config: TokenizerConfig, named: Mapping[str, Token]) -> None:
    """Tokens beyond the vocabulary, and those that are matched before anything else, in transformers' order.

    Raises BadCheckpoint where one would not get the number that the folder gives it.
    """
    numbered: dict[int, Token] = {}
    if config.added_tokens_decoder is not None:
        numbered = {int(number): token for number, token in config.added_tokens_decoder.items()}
    else:
        special = {token.content for token in (*named.values(), *_more(config))}
        numbered = {
            number: Token(content=content, special=content in special)
            for content, number in tokenizer_config.added_tokens(path).items()
        }
    for number, token in sorted(numbered.items()):
        tokenizer.add_tokens([_added(token)])
        if (given := tokenizer.token_to_id(token.content)) != number:
            raise BadCheckpoint(
                f"{path}: its added token {token.content!r} is number {number} by its config and {given} by its "
                "vocabulary; download the folder again"
            )
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for token in (*named.values(), *_more(config)):
        if token.content not in known:
            tokenizer.add_tokens([_added(token.model_copy(update={"special": True}))])
            known.add(token.content)


def _more(config: TokenizerConfig) -> list[Token]:
    extra = config.extra_special_tokens or config.additional_special_tokens or []
    return list(extra.values()) if isinstance(extra, dict) else extra


def _added(token: Token) -> AddedToken:
    return AddedToken(
        token.content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=not token.special if token.normalized is None else token.normalized,
        special=token.special,
    )


def _bert_normalizer(config: TokenizerConfig, kept: Mapping[str, Any]) -> normalizers.BertNormalizer:
    """What the config names, else what `kept` has, else BERT's own."""

    def choose(named: bool | None, field: str, usual: bool | None) -> Any:
        return kept.get(field, usual) if named is None else named

    return normalizers.BertNormalizer(
        clean_text=kept.get("clean_text", True),
        handle_chinese_chars=choose(config.tokenize_chinese_chars, "handle_chinese_chars", True),
        strip_accents=choose(config.strip_accents, "strip_accents", None),
        lowercase=choose(config.do_lower_case, "lowercase", True),
    )


def adjust(tokenizer: Tokenizer, path: Path, model: Mapping[str, Any]) -> None:
    """What `tokenizer_config.json` changes of a tokenizer, in place. Raises BadCheckpoint.

    - What it says of case, accents, Chinese characters and a space in front counts for the classes that know these.
    - A network that is not told which of two texts a token is of reads them all as of the first.
    - Special tokens written out in a text are read as any others with `split_special_tokens`.
    """
    config = tokenizer_config.read(path)
    name = class_of(config, model)
    if name in WORDPIECE and isinstance(tokenizer.normalizer, normalizers.BertNormalizer):
        kept = json.loads(tokenizer.normalizer.__getstate__())
        tokenizer.normalizer = _bert_normalizer(config, kept)
        if config.do_lower_case is None and not kept["lowercase"]:
            note(
                f"{path}: its tokenizer.json keeps capital letters, and so it is read here; transformers would read "
                'small ones, as its tokenizer_config.json has no "do_lower_case": false'
            )
    if name in BYTE_LEVEL and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        if config.add_prefix_space is not None:
            tokenizer.pre_tokenizer.add_prefix_space = config.add_prefix_space
        elif tokenizer.pre_tokenizer.add_prefix_space:
            note(
                f"{path}: its tokenizer.json puts a space before a text, and so it is read here; transformers would "
                'not, as its tokenizer_config.json has no "add_prefix_space": true'
            )
    if name not in (*WORDPIECE, *BYTE_LEVEL):
        _add_specials(tokenizer, config, name)
    tokenizer.encode_special_tokens = config.split_special_tokens
    if not _uses_types(config, name):
        _drop_types(tokenizer)


def _add_specials(tokenizer: Tokenizer, config: TokenizerConfig, name: str) -> None:
    """Special tokens that `tokenizer.json` has as ordinary ones.

    Where the vocabulary lacks a token it is left out: its number would be beyond the network's.
    """
    named = _special(config, USUAL_TOKENS.get(name, {}))
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for token in (*(config.added_tokens_decoder or {}).values(), *named.values(), *_more(config)):
        if token.content not in known and tokenizer.token_to_id(token.content) is not None:
            special = token.special or token in named.values()
            tokenizer.add_tokens([_added(token.model_copy(update={"special": special}))])
            known.add(token.content)


def _frame(tokenizer: Tokenizer, config: TokenizerConfig, named: Mapping[str, Token]) -> None:
    """A beginning and an end where the config asks for them."""
    wanted = {"bos": config.add_bos_token, "eos": config.add_eos_token}
    frame = {part: named[part].content for part in wanted if wanted[part] and part in named}
    begin, end = (f"{frame[part]}:TYPE" if part in frame else "" for part in ("bos", "eos"))
    one = f"{begin} $A:TYPE {end}".strip()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=one.replace("TYPE", "0"),
        pair=f"{one.replace('TYPE', '0')} {one.replace('$A', '$B').replace('TYPE', '1')}",
        special_tokens=list(dict.fromkeys(_numbered(tokenizer, content) for content in frame.values())),
    )


def _uses_types(config: TokenizerConfig, name: str) -> bool:
    """Earlier versions of transformers gave segment types by `PreTrainedTokenizerFast` too."""
    if config.model_input_names is not None:
        return "token_type_ids" in config.model_input_names
    return name in ("", "BertTokenizer", "ElectraTokenizer", "PreTrainedTokenizer")


def _drop_types(tokenizer: Tokenizer) -> None:
    """Make all segment types 0."""
    frame: Any = tokenizer.post_processor
    if isinstance(frame, processors.BertProcessing):
        state = json.loads(frame.__getstate__())
        begin, end = tuple(state["cls"]), tuple(state["sep"])
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin[0]} $A {end[0]}", pair=f"{begin[0]} $A {end[0]} $B {end[0]}", special_tokens=[begin, end]
        )
    elif frame is not None:
        frame.__setstate__(json.dumps(_untyped(json.loads(frame.__getstate__()))).encode())
        tokenizer.post_processor = frame


def _untyped(state: Any) -> Any:
    if isinstance(state, list):
        return [_untyped(part) for part in state]
    if isinstance(state, dict):
        return {key: 0 if key == "type_id" else _untyped(value) for key, value in state.items()}
    return state

"""The tokenizer and chat template that a GGUF file carries: its keys `tokenizer.ggml.*` and `tokenizer.chat_template`.

Two kinds: byte-level BPE (`gpt2`), whose way to cut words is told by name in `tokenizer.ggml.pre` as in llama.cpp's
llama-vocab.cpp; and SentencePiece's BPE with bytes for what it does not know (`llama`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from genarium.checkpoints.fields import shown
from genarium.checkpoints.processors.tokenizer_files import QWEN_WORDS
from genarium.checkpoints.store import gguf, gguf_names, mapped
from genarium.errors import BadCheckpoint

UNKNOWN, CONTROL, USER_DEFINED, BYTE = 2, 3, 4, 6
"""Kinds of tokens, `tokenizer.ggml.token_type`."""
LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
PLAIN = ("gpt-2", "phi-2", "mpt", "olmo")
DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell")
QWEN = ("qwen2", "deepseek-r1-qwen")
LLAMA3 = ("llama-bpe", "llama3", "llama-v3")
ENDS = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>")
"""Control tokens that llama.cpp ends a text at, whatever the file says."""


def load(path: Path) -> Tokenizer:
    """Raises BadCheckpoint where the file has no tokenizer, or one of a kind that is not built here."""
    with mapped.no_collection():
        return build(_told(path), path)


def build(told: Mapping[str, Any], path: Path) -> Tokenizer:
    """The tokenizer that the keys after `tokenizer.ggml.` tell of, in messages that of `path`. Raises BadCheckpoint."""
    _refuse_unknown(told, path)
    tokenizer = _byte_level(path, told) if told["model"] == "gpt2" else _sentencepiece(path, told)
    tokens, kinds = told["tokens"], _kinds(told)
    added = [
        AddedToken(token, special=kind != USER_DEFINED, normalized=False)
        for token, kind in zip(tokens, kinds, strict=True)
        if kind in (CONTROL, USER_DEFINED, UNKNOWN) and token
    ]
    tokenizer.add_tokens(added)
    _frame(tokenizer, told, path)
    return tokenizer


def for_llama_cpp(path: Path) -> str:
    """Why the file is left to llama.cpp: its network, quantisation or tokenizer; empty where it is run natively.

    Raises BadCheckpoint where it is damaged.
    """
    unread = ""
    try:
        metadata = gguf.read(path).metadata
    except BadCheckpoint:
        metadata, unread = gguf.metadata(path), gguf.unread_kind(path)
        if not unread:
            return ""
    kind = metadata.get("general.architecture")
    if metadata.get("split.count", 1) != 1 or metadata.get("general.type", "model") != "model":
        return ""
    if kind not in gguf_names.ARCHITECTURES:
        return gguf_names.other_network(path, kind)
    if unread:
        return f"{path} is quantised as {unread}, which is not run natively"
    told = {key.removeprefix("tokenizer.ggml."): value for key, value in metadata.items()}
    if "tokens" not in told:
        return ""
    try:
        _refuse_unknown(told, path)
    except BadCheckpoint as error:
        return str(error).partition(";")[0]
    return ""


def _refuse_unknown(told: Mapping[str, Any], path: Path) -> None:
    kind, pre = told.get("model"), told.get("pre", "gpt-2")
    if kind not in ("gpt2", "llama"):
        raise BadCheckpoint(
            f"{path}: its tokenizer is of the kind {shown(kind)}, and gpt2 and llama are built here; name the folder "
            "that the file was made from"
        )
    if kind == "gpt2" and pre not in (known := (*PLAIN, *DIGITS, *QWEN, *LLAMA3)):
        raise BadCheckpoint(
            f"{path}: its tokenizer cuts words in the way {shown(pre)}, and {', '.join(known)} are known here; name "
            "the folder that the file was made from"
        )


def end_tokens(path: Path) -> frozenset[int]:
    """The tokens that end a text: those the file names, and the control tokens that always do."""
    told = _told(path)
    named = {told.get(f"{name}_token_id") for name in ("eos", "eot", "eom")}
    control = zip(told["tokens"], _kinds(told), strict=True)
    usual = {number for number, (token, kind) in enumerate(control) if kind == CONTROL and token in ENDS}
    return frozenset(one for one in named if isinstance(one, int) and 0 <= one < len(told["tokens"])) | usual


def chat_template(path: Path) -> Any:
    """Jinja; None where the file has none."""
    return gguf.read(path).metadata.get("tokenizer.chat_template")


def special_tokens(path: Path) -> dict[str, str]:
    """`bos_token`, `eos_token` and their like, as a template may name them."""
    return named_tokens(gguf.read(path).metadata)


def named_tokens(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Those of a file that says this of itself."""
    told = {key.removeprefix("tokenizer.ggml."): value for key, value in metadata.items()}
    tokens = told.get("tokens") or []
    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    found = {}
    for ours, theirs in names.items():
        number = told.get(f"{theirs}_token_id")
        if isinstance(number, int) and 0 <= number < len(tokens):
            found[f"{ours}_token"] = tokens[number]
    return found


def _told(path: Path) -> dict[str, Any]:
    """The keys after `tokenizer.ggml.`; the tokens are there and are distinct texts."""
    return _told_in(gguf.read(path))


@lru_cache(maxsize=2)
def _told_in(file: gguf.GGUF) -> dict[str, Any]:
    prefix, path = "tokenizer.ggml.", file.path
    told = {key[len(prefix) :]: value for key, value in file.metadata.items() if key.startswith(prefix)}
    tokens = told.get("tokens")
    if not isinstance(tokens, list) or not tokens:
        raise BadCheckpoint(
            f"{path} has no tokenizer (tokenizer.ggml.tokens); get a file that has, or name the folder it was made from"
        )
    if not all(isinstance(token, str) for token in tokens) or len(set(tokens)) < len(tokens):
        raise BadCheckpoint(f"{path}: its tokenizer.ggml.tokens are not distinct texts; {gguf.AGAIN}")
    return told


def _kinds(told: Mapping[str, Any]) -> Sequence[int]:
    kinds = told.get("token_type")
    fits = isinstance(kinds, list) and len(kinds) == len(told["tokens"])
    return kinds if fits and kinds is not None else [1] * len(told["tokens"])


def _byte_level(path: Path, told: Mapping[str, Any]) -> Tokenizer:
    merges = told.get("merges")
    if not isinstance(merges, list):
        raise BadCheckpoint(f"{path} has no tokenizer.ggml.merges; {gguf.AGAIN}")
    vocabulary = {token: number for number, token in enumerate(told["tokens"])}
    pairs = _pairs(merges, vocabulary, path)
    name = told.get("pre", "gpt-2")
    whole = name in LLAMA3  # its tokenizer takes a whole word that is a token as that, whatever the merges say
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=whole))  # type: ignore[arg-type]
    by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if name in PLAIN:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    elif name in DIGITS:
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    else:
        words = Regex(QWEN_WORDS if name in QWEN else LLAMA3_WORDS)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(words, "isolated"), by_bytes])
        if name in QWEN:
            tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _pairs(merges: Sequence[Any], vocabulary: Mapping[str, int], path: Path) -> list[tuple[str, ...]]:
    """Raises BadCheckpoint where a merge is not of two tokens that make a third."""
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else () for merge in merges]
    tokens = vocabulary.keys()
    if {*map(len, pairs)} <= {2} and {*chain(*pairs)} <= tokens and {*map("".join, pairs)} <= tokens:
        return pairs
    bad = next(pair for pair in pairs if len(pair) != 2 or not {*pair, "".join(pair)} <= tokens)
    raise BadCheckpoint(f"{path}: its tokenizer merges {shown(' '.join(bad))}, which is not in it; {gguf.AGAIN}")


def _sentencepiece(path: Path, told: Mapping[str, Any]) -> Tokenizer:
    tokens, scores = told["tokens"], told.get("scores")
    if not isinstance(scores, list) or len(scores) != len(tokens):
        raise BadCheckpoint(f"{path} has no tokenizer.ggml.scores for its tokens; {gguf.AGAIN}")
    vocabulary = {token: number for number, token in enumerate(tokens)}
    has_bytes = all(f"<0x{byte:02X}>" in vocabulary for byte in range(256))
    unknown = told.get("unknown_token_id", 0)
    merges = _merges(vocabulary, scores, _kinds(told))
    tokenizer = Tokenizer(
        models.BPE(
            vocabulary,
            merges,
            unk_token=tokens[unknown] if 0 <= unknown < len(tokens) else None,  # type: ignore[arg-type]
            fuse_unk=True,
            byte_fallback=has_bytes,
        )
    )
    spaces = normalizers.Replace(" ", "▁")
    begins = told.get("add_space_prefix", True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if begins else spaces
    steps: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if begins else steps)
    return tokenizer


def _merges(vocabulary: Mapping[str, int], scores: Sequence[float], kinds: Sequence[int]) -> list[tuple[str, str]]:
    """SentencePiece's merges, which are its pieces by score: the likeliest first, as transformers rebuilds them."""
    found: list[tuple[float, tuple[int, int], tuple[str, str]]] = []
    for piece, number in vocabulary.items():
        if kinds[number] in (CONTROL, UNKNOWN, BYTE):
            continue
        for at in range(1, len(piece)):
            left, right = vocabulary.get(piece[:at]), vocabulary.get(piece[at:])
            if left is not None and right is not None:
                found.append((-scores[number], (left, right), (piece[:at], piece[at:])))
    # Of equal scores the piece that comes first in the vocabulary, then its halves that do.
    found.sort(key=lambda one: (one[0], vocabulary["".join(one[2])], one[1]))
    return [pair for _, _, pair in found]


def _frame(tokenizer: Tokenizer, told: Mapping[str, Any], path: Path) -> None:
    """The tokens before and after every text."""
    starts = told.get("model") == "llama" or told.get("pre") in LLAMA3
    begins, ends = told.get("add_bos_token", starts), told.get("add_eos_token", False)
    parts, named = ["$A"], []
    for wanted, key, place in ((begins, "bos_token_id", 0), (ends, "eos_token_id", len(parts) + 1)):
        if not wanted:
            continue
        number = told.get(key, 1 if key == "bos_token_id" else 2)
        token = tokenizer.id_to_token(number) if isinstance(number, int) and number >= 0 else None
        if token is None:
            raise BadCheckpoint(f"{path}: tokenizer.ggml.{key} is {shown(number)}, which is no token; {gguf.AGAIN}")
        parts.insert(place, token)
        named.append((token, number))
    if not named:
        return
    frame = processors.TemplateProcessing(single=parts, special_tokens=list(dict.fromkeys(named)))
    is_bytes = told.get("model") == "gpt2"
    tokenizer.post_processor = (
        processors.Sequence([processors.ByteLevel(trim_offsets=False), frame]) if is_bytes else frame  # type: ignore[list-item]
    )

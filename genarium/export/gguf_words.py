"""A tokenizer as a GGUF file's keys `tokenizer.ggml.*`: the inverse of `checkpoints/processors/gguf_tokenizer.py`.

What is written is read again and held against the tokenizer: the same tokens, merges and way to cut words, and the same
numbers for texts that are hard to cut. A tokenizer that no keys tell of is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tokenizers import Tokenizer

from genarium.checkpoints.processors import chat_template, gguf_tokenizer, tokenizer, tokenizer_files
from genarium.checkpoints.processors.gguf_tokenizer import BYTE, CONTROL, ENDS, UNKNOWN, USER_DEFINED
from genarium.errors import BadCheckpoint, BadInput
from genarium.export.source import Source
from genarium.progress import note

NORMAL, UNUSED = 1, 5
PROBES = (
    "The fox ran, didn't it? I'LL say so.",
    " two  spaces\n\n\tand 1234567 tabs \r\n ",
    "Füchse 狐が 🦊 é, naïve — “quoted”…",
    "def f(x):\n    return x**2  # a_b\n\n\n",
    "\x01\u200b\ufeff ١٢٣ ½ ﬁ",
)
CUTS = ("gpt-2", "smollm", "qwen2", "llama-bpe")
"""Ways to cut words that have a name, one of each kind."""
WAY_OUT = "export it as safetensors or onnx, which carry the tokenizer as it is"


def keys(source: Source) -> dict[str, Any]:
    """All keys of words: `tokenizer.ggml.…`, and the chat template. Raises BadInput for what can't be told."""
    made = tokenizer.load(source.path, source.config.vocab_size)
    state = json.loads(made.to_str())
    told = _vocabulary(made, state, source.config.vocab_size) | _special(source, made) | _framed(source, made)
    if state["model"]["type"] == "BPE" and (state.get("decoder") or {}).get("type") == "ByteLevel":
        told |= _byte_level(made, state, told, source)
    elif state["model"]["type"] == "BPE" and state["model"].get("byte_fallback"):
        told |= _sentencepiece(made, state, told, source)
    else:
        raise BadInput(
            f"{source.found.reference} has a {state['model']['type']} tokenizer, and a GGUF file tells of byte-level "
            f"BPE and SentencePiece's with bytes; {WAY_OUT}"
        )
    _tell_changes(state, source)
    return {f"tokenizer.ggml.{key}": value for key, value in told.items()} | _template(source)


def _vocabulary(made: Tokenizer, state: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Tokens and their kinds; numbers that no token has are filled, since the network has rows for them."""
    pieces = {number: piece for piece, number in made.get_vocab(with_added_tokens=True).items()}
    tokens = [pieces.get(number, f"[PAD{number}]") for number in range(size)]
    kinds = [NORMAL if number in pieces else UNUSED for number in range(size)]
    if state["model"].get("byte_fallback"):
        for byte in range(256):
            if (number := made.token_to_id(f"<0x{byte:02X}>")) is not None:
                kinds[number] = BYTE
    for number, token in made.get_added_tokens_decoder().items():
        kinds[number] = CONTROL if token.special else USER_DEFINED
    unknown = state["model"].get("unk_token")
    if (
        unknown is not None
        and (number := made.token_to_id(unknown)) is not None
        and state["model"].get("byte_fallback")
    ):
        kinds[number] = UNKNOWN
    return {"tokens": tokens, "token_type": kinds}


def _special(source: Source, made: Tokenizer) -> dict[str, int]:
    """The numbers of the special tokens, and of up to three that end a text."""
    named = tokenizer_files.special_tokens(tokenizer.folder_of(source.path), source.raw)
    numbers = {part: made.token_to_id(named.get(f"{part}_token", "")) for part in ("bos", "eos", "unk", "pad")}
    ends = set(tokenizer.end_tokens(source.path, made, source.config.vocab_size))
    if (turn := _end_of_turn(source, made)) is not None:
        ends.add(turn)
    first = numbers["eos"] if numbers["eos"] in ends else min(ends, default=None)
    others = sorted(ends - {first}, key=lambda number: (made.id_to_token(number) in ENDS, number))
    begins = numbers["bos"] if numbers["bos"] is not None else source.raw.get("bos_token_id")
    found = {"bos": begins, "eos": first, "unknown": numbers["unk"], "padding": numbers["pad"]}
    found |= dict(zip(("eot", "eom"), others, strict=False))
    if lost := [made.id_to_token(number) for number in others[2:] if made.id_to_token(number) not in ENDS]:
        note(f"left out, as a GGUF file names three ends of a text: {', '.join(map(repr, lost))}")
    within = {name: number for name, number in found.items() if isinstance(number, int) and number >= 0}
    return {f"{name}_token_id": number for name, number in within.items() if number < source.config.vocab_size}


def _end_of_turn(source: Source, made: Tokenizer) -> int | None:
    try:
        return chat_template.load(source.path, source.found.reference).end_of_turn(made)
    except BadCheckpoint:  # it has none
        return None


def _framed(source: Source, made: Tokenizer) -> dict[str, bool]:
    """Whether a text gets a beginning and an end. Raises BadInput where it gets something else."""
    alone, whole = made.encode("a", add_special_tokens=False).ids, made.encode("a").ids
    told = _special(source, made)
    for begins in (False, True):
        for ends in (False, True):
            frame = [told["bos_token_id"]] * begins if "bos_token_id" in told else []
            after = [told["eos_token_id"]] * ends if "eos_token_id" in told else []
            if [*frame, *alone, *after] == whole:
                return {"add_bos_token": bool(frame), "add_eos_token": bool(after)}
    raise BadInput(
        f"{source.found.reference} puts {len(whole) - len(alone)} tokens around a text that are not its beginning and "
        f"end, which a GGUF file can't tell; {WAY_OUT}"
    )


def _byte_level(made: Tokenizer, state: Mapping[str, Any], told: Mapping[str, Any], source: Source) -> dict[str, Any]:
    more = {"model": "gpt2", "merges": [" ".join(pair) for pair in _pairs(state)]}
    cut = [_plainly(one) for one in _flat(state.get("pre_tokenizer"))]
    for pre in CUTS:
        rebuilt = gguf_tokenizer.build({**told, **more, "pre": pre}, source.path)
        theirs = json.loads(rebuilt.to_str())
        same_cut = cut == [_plainly(one) for one in _flat(theirs.get("pre_tokenizer"))]
        if same_cut and _model(state) == _model(theirs) and _agree(made, rebuilt):
            return {**more, "pre": pre}
    raise BadInput(
        f"{source.found.reference} has a tokenizer that cuts words in a way that has no name in a GGUF file "
        f"(there are {', '.join(CUTS)}); {WAY_OUT}"
    )


def _sentencepiece(
    made: Tokenizer, state: Mapping[str, Any], told: Mapping[str, Any], source: Source
) -> dict[str, Any]:
    """SentencePiece's scores, made of the merges' order; what begins a text is found by trying."""
    vocabulary = made.get_vocab(with_added_tokens=True)
    scores = [0.0] * len(told["tokens"])
    for rank, pair in enumerate(_pairs(state)):
        number = vocabulary["".join(pair)]
        scores[number] = scores[number] or -float(rank + 1)
    for begins in (True, False):
        more = {"model": "llama", "scores": scores, "add_space_prefix": begins}
        rebuilt = gguf_tokenizer.build({**told, **more}, source.path)
        same = _pairs(json.loads(rebuilt.to_str())) == _pairs(state)
        if same and all(f"<0x{byte:02X}>" in vocabulary for byte in range(256)) and _agree(made, rebuilt):
            return more
    raise BadInput(f"{source.found.reference} has a tokenizer that no SentencePiece scores tell of; {WAY_OUT}")


def _agree(made: Tokenizer, rebuilt: Tokenizer) -> bool:
    """Whether both give texts the same numbers, once they are composed; the texts' ends and spaces count too."""
    normal = made.normalizer
    is_nfc = normal is not None and json.loads(normal.__getstate__())["type"] == "NFC"
    tokens = [token for token in made.get_added_tokens_decoder().values() if not (token.lstrip or token.rstrip)]
    added = [token.content for token in tokens][:20]
    texts = [*PROBES, *(f"a {token} b" for token in added)]
    return all(
        made.encode(text).ids
        == rebuilt.encode(normal.normalize_str(text) if normal is not None and is_nfc else text).ids
        for text in texts
    )


def _pairs(state: Mapping[str, Any]) -> list[list[str]]:
    return [list(pair) if isinstance(pair, list) else pair.split(" ") for pair in state["model"]["merges"]]


def _model(state: Mapping[str, Any]) -> dict[str, Any]:
    """What of a BPE changes tokens, beside its vocabulary."""
    model = state["model"]
    names = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")
    return {name: model.get(name) or None for name in names} | {"merges": _pairs(state)}


def _flat(step: Any) -> Iterator[dict[str, Any]]:
    """The steps of a pre-tokenizer, without the sequences they are in."""
    if step is None:
        return
    if step["type"] == "Sequence":
        for one in step["pretokenizers"]:
            yield from _flat(one)
    else:
        yield step


def _plainly(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step without what changes offsets alone."""
    return {name: value for name, value in step.items() if name != "trim_offsets"}


def _tell_changes(state: Mapping[str, Any], source: Source) -> None:
    """What llama.cpp reads otherwise."""
    if (state.get("normalizer") or {}).get("type") == "NFC":
        note("its tokenizer composes characters (NFC) first, which llama.cpp does not: give that composed text")
    strips = [token["content"] for token in state["added_tokens"] if token["lstrip"] or token["rstrip"]]
    if strips:
        note(f"left out, as a GGUF file can't tell it: {strips[0]!r} takes the spaces beside it")


def _template(source: Source) -> dict[str, str]:
    try:
        return {"tokenizer.chat_template": chat_template.load(source.path, source.found.reference).source}
    except BadCheckpoint:  # it has none
        return {}

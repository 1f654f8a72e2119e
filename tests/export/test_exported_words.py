"""Tokenizers and chat templates in GGUF files: the same numbers for every text, or refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

from genarium.checkpoints.processors import chat_template, gguf_tokenizer
from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.checkpoints.processors.gguf_tokenizer import LLAMA3_WORDS
from genarium.checkpoints.processors.tokenizer_files import QWEN_WORDS
from genarium.checkpoints.store import gguf
from genarium.data.text import char_tokenizer
from genarium.errors import BadInput
from genarium.export.export import export
from genarium.progress import listening
from tests import causal_checkpoints
from tests.conftest import STORY

TEXTS = [STORY, "it's 1234567 e\u0301 é 狐 🦊\n\n\t x ", "<|im_start|>user\nHello<|im_end|>\n", "a  b   c"]
START, END = "<|im_start|>", "<|im_end|>"
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def byte_level(first: object | None, *, normal: object | None = None, whole: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=whole))
    alone = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not isinstance(first, pre_tokenizers.Split))
    tokenizer.pre_tokenizer = alone if first is None else pre_tokenizers.Sequence([first, alone])  # type: ignore[list-item]
    if normal is not None:
        tokenizer.normalizer = normal  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([STORY], trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet))
    tokenizer.add_special_tokens(["<|endoftext|>", START, END])
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    return tokenizer


def llama3() -> Tokenizer:
    tokenizer = byte_level(pre_tokenizers.Split(Regex(LLAMA3_WORDS), "isolated"), whole=True)
    begin = tokenizer.token_to_id("<|endoftext|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", begin)]
    )
    return tokenizer


def sentencepiece(begins: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    spaces = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if begins else spaces
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator([STORY] * 3, trainers.BpeTrainer(vocab_size=380, special_tokens=first))
    model = json.loads(tokenizer.to_str())
    model["added_tokens"] = [one for one in model["added_tokens"] if one["id"] < 3]
    # As transformers makes SentencePiece's merges: every way to put a piece together, in the order of their scores.
    told = {"model": "llama", "tokens": [tokenizer.id_to_token(n) for n in range(tokenizer.get_vocab_size())]}
    rank = {"".join(pair): -float(n) for n, pair in reversed(list(enumerate(model["model"]["merges"], 1)))}
    more = {"scores": [rank.get(token, 0.0) for token in told["tokens"]], "token_type": [2, 3, 3, *[6] * 256]}
    more["token_type"] += [1] * (len(told["tokens"]) - 259)
    whole = gguf_tokenizer.build({**told, **more, "add_bos_token": False}, Path("x"))
    model["model"]["merges"] = json.loads(whole.to_str())["model"]["merges"]
    built = Tokenizer.from_str(json.dumps(model))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    built.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if begins else steps)
    built.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return built


MADE: dict[str, tuple[Callable[[], Tokenizer], str]] = {
    "gpt-2": (lambda: byte_level(None), "gpt-2"),
    "smollm": (lambda: byte_level(pre_tokenizers.Digits(individual_digits=True)), "smollm"),
    "qwen": (
        lambda: byte_level(pre_tokenizers.Split(Regex(QWEN_WORDS), "isolated"), normal=normalizers.NFC()),
        "qwen2",
    ),
    "llama-3": (llama3, "llama-bpe"),
    "sentencepiece": (lambda: sentencepiece(True), ""),
    "sentencepiece without a space before": (lambda: sentencepiece(False), ""),
}


def folder_of(tokenizer: Tokenizer, folder: Path, *, more_rows: int = 0, template: str = TEMPLATE) -> Path:
    size = {"vocab_size": tokenizer.get_vocab_size() + more_rows}
    ends = {"eos_token_id": tokenizer.token_to_id("<|endoftext|>") or 2}
    begin = tokenizer.token_to_id("<|endoftext|>") or 1
    causal_checkpoints.save(folder, "llama", size, bos_token_id=begin, **ends)
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("kind", MADE)
def test_the_file_gives_texts_the_same_numbers(kind: str, tmp_path: Path) -> None:
    make, pre = MADE[kind]
    made = make()
    folder = folder_of(made, tmp_path / "folder", more_rows=5)
    file = export(str(folder), "gguf", dtype="float32", output=str(tmp_path / "model.gguf")).path
    told = gguf.read(file).metadata
    assert told.get("tokenizer.ggml.pre", "") == pre
    read = tokenizers.load(file)
    for text in TEXTS:
        assert read.encode(text).ids == made.encode(text).ids
        assert read.decode(read.encode(text).ids) == made.decode(made.encode(text).ids)
    # Rows of the network that no token has.
    assert told["tokenizer.ggml.tokens"][-1] == f"[PAD{made.get_vocab_size() + 4}]"
    assert told["tokenizer.ggml.token_type"][-5:] == [5] * 5
    if pre:
        assert chat_template.load(file, "it").source == TEMPLATE
        assert gguf_tokenizer.end_tokens(file) >= {made.token_to_id("<|endoftext|>"), made.token_to_id(END)}
    out = export(str(file), "safetensors", output=str(tmp_path / "out")).path
    theirs = AutoTokenizer.from_pretrained(out)
    for text in TEXTS:
        assert theirs(text)["input_ids"] == made.encode(text).ids
    messages = [{"role": "user", "content": "Hello"}]
    if pre:
        assert theirs.apply_chat_template(messages, tokenize=False) == f"{START}user\nHello{END}\n"


def strange(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


def framed(tokenizer: Tokenizer) -> Tokenizer:
    number = tokenizer.token_to_id(START)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {START}", special_tokens=[(START, number)]
    )
    return tokenizer


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: char_tokenizer([STORY]), "has a WordLevel tokenizer"),
        (lambda: strange(byte_level(None)), "cuts words in a way that has no name in a GGUF file"),
        (lambda: framed(byte_level(None)), "puts 2 tokens around a text"),
        (lambda: byte_level(None, normal=normalizers.Lowercase()), "cuts words in a way that has no name"),
    ],
)
def test_words_that_no_key_tells_of_are_refused(make: Callable[[], Tokenizer], said: str, tmp_path: Path) -> None:
    folder = folder_of(make(), tmp_path / "folder")
    with pytest.raises(BadInput) as told:
        export(str(folder), "gguf", output=str(tmp_path / "model.gguf"))
    assert said in str(told.value)
    assert "export it as safetensors or onnx" in str(told.value)
    out = export(str(folder), "safetensors", output=str(tmp_path / "out")).path
    assert (out / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_what_llama_cpp_reads_otherwise_is_said(tmp_path: Path) -> None:
    made = byte_level(None, normal=normalizers.NFC())
    made.add_special_tokens([AddedToken("<|x|>", special=True, normalized=False, rstrip=True)])
    folder = folder_of(made, tmp_path / "folder")
    heard: list[str] = []
    with listening(lambda event: heard.append(str(event.preview)) if event.stage == "note" else None):
        export(str(folder), "gguf", output=str(tmp_path / "model.gguf"))
    assert any("composes characters (NFC)" in one for one in heard)
    assert any("'<|x|>' takes the spaces beside it" in one for one in heard)

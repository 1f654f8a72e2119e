"""Decoders' tokenizers as transformers has them: from vocabulary files, framed, with special and added tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.errors import BadCheckpoint
from tests.causal_checkpoints import BASES
from tests.chat_models import STYLES, tokenizer_for

TEXTS = [
    "The fox ran over the hill, didn't it?",
    " leading and  double spaces\n\n\tand tabs ",
    "Füchse 1234 狐が丘を走る 🦊 e\u0301",
    "a<|im_start|>user\nb<|im_end|><|endoftext|> c <|mine|>  d",
    "",
]
QWEN = STYLES["qwen"]
Files = dict[str, Any]


def vocabulary_files(folder: Path, kind: str, files: Files, *, special: tuple[str, ...] = ("<|endoftext|>",)) -> None:
    """vocab.json and merges.txt of the tokenizer, without all special tokens but these; and `files` as JSON."""
    model = json.loads(tokenizer_for(QWEN).to_str())["model"]
    left_out = set(QWEN.special) - set(special)
    kept = sorted((number, piece) for piece, number in model["vocab"].items() if piece not in left_out)
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, (_, piece) in enumerate(kept)}))
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    write(folder, kind, files)


def write(folder: Path, kind: str, files: Files) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": kind, **BASES[kind], "vocab_size": 500}))
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


def assert_equal(folder: Path) -> Tokenizer:
    ours, theirs = tokenizers.load(folder), AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        ids = theirs(text)["input_ids"]
        assert ours.encode(text).ids == ids, text
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert {k: v.special for k, v in ours.get_added_tokens_decoder().items()} == {
        k: v.special for k, v in theirs.added_tokens_decoder.items()
    }
    return ours


def token(content: str, **more: Any) -> Files:
    usual = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {"content": content, **usual, **more}


@pytest.mark.parametrize("kind", ["gpt2", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    "files",
    [
        {},
        {"tokenizer_config.json": {"add_prefix_space": True, "add_bos_token": True, "bos_token": "<|endoftext|>"}},
        {"tokenizer_config.json": {"add_eos_token": True}},
        {"added_tokens.json": {"<|im_start|>": 379, "<|mine|>": 380}},
        {
            "tokenizer_config.json": {
                "eos_token": "<|im_end|>",
                "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
                "added_tokens_decoder": {
                    "0": token("<|endoftext|>"),
                    "379": token("<|im_start|>"),
                    "380": token("<|im_end|>"),
                    "381": token("<|mine|>", special=False, lstrip=True, rstrip=True),
                },
            }
        },
    ],
    ids=["plain", "begin", "end", "added", "chat"],
)
def test_vocabulary_files_give_the_tokens_of_transformers(kind: str, files: Files, tmp_path: Path) -> None:
    vocabulary_files(tmp_path, kind, files)
    assert_equal(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"add_bos_token": True, "bos_token": "<s>"},
        {"add_bos_token": False, "bos_token": "<s>"},
        {"add_bos_token": True, "add_eos_token": True, "bos_token": "<s>", "eos_token": "</s>"},
        {"eos_token": "r"},
        {"extra_special_tokens": ["an", "▁"]},
    ],
)
def test_the_frame_is_tokenizer_json_s_and_special_tokens_are_the_config_s(config: Files, tmp_path: Path) -> None:
    tokenizer_for(STYLES["zephyr"]).save(str(tmp_path / "tokenizer.json"))
    write(tmp_path, "mistral", {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", **config}})
    assert_equal(tmp_path)


def test_a_token_of_two_numbers_is_refused(tmp_path: Path) -> None:
    vocabulary_files(tmp_path, "qwen2", {"tokenizer_config.json": {"add_bos_token": True}})
    assert tokenizers.load(tmp_path).encode("").ids == []
    vocabulary_files(tmp_path, "qwen2", {"added_tokens.json": {"<begin>": 7}})
    with pytest.raises(BadCheckpoint, match="its added token '<begin>' is number 7 by its config"):
        tokenizers.load(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.model", "tekken.json", "vocab.json"])
def test_a_tokenizer_that_is_not_read_is_named_with_the_way_out(name: str, tmp_path: Path) -> None:
    write(tmp_path, "llama", {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer"}})
    (tmp_path / name).write_text("{}")
    with pytest.raises(BadCheckpoint, match=rf"\(LlamaTokenizer\) as {name} alone.*AutoTokenizer"):
        tokenizers.load(tmp_path)


def test_the_end_of_a_text_is_where_transformers_ends_it(tmp_path: Path) -> None:
    def ends(kind: str, config: Files, files: Files = {}) -> set[int]:  # noqa: B006
        write(tmp_path, kind, {"tokenizer_config.json": {}, **files})
        raw = json.loads((tmp_path / "config.json").read_text()) | config
        (tmp_path / "config.json").write_text(json.dumps(raw))
        return set(tokenizers.end_tokens(tmp_path, made))

    made = tokenizer_for(QWEN)
    assert ends("llama", {}) == {2}
    assert ends("qwen2", {}) == set()
    assert ends("llama", {"eos_token_id": None}) == set()
    assert ends("llama", {"eos_token_id": [5, 499, 500]}) == {5, 499}
    assert ends("llama", {"eos_token_id": 7}, {"generation_config.json": {"eos_token_id": [8]}}) == {7, 8}
    assert ends("llama", {}, {"generation_config.json": {"eos_token_id": 8}}) == {8}
    assert ends("qwen2", {}, {"tokenizer_config.json": {"eos_token": "<|im_end|>"}, "generation_config.json": {}}) == {
        2
    }
    with pytest.raises(BadCheckpoint, match=r"generation_config\.json has eos_token_id"):
        ends("llama", {}, {"generation_config.json": {"eos_token_id": [[8]]}})

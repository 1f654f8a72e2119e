"""Tokenizers of BERT-like folders read texts as transformers' AutoTokenizer does, from whichever files there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.errors import BadCheckpoint
from genarium.progress import listening

TEXTS = [
    "The keeper lit the lamp, didn't he?",
    "  Crème brûlée — ÀÉÎ 漢字 <mask>[MASK] é",
    "a <extra>b [X] <pad> </s>",
    "",
    "\tTabs\nand\u200b zero width ﬁ",
]
CORPUS = ["The keeper lit the lamp every evening and wrote down the weather, didn't he?", "crème brûlée 漢字 b a x"] * 9
BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def wordpiece(folder: Path, **config: Any) -> None:
    """`vocab.txt`, `config.json` and `tokenizer_config.json` of a cased vocabulary."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    both = [*CORPUS, *(line.lower() for line in CORPUS), "creme brulee aei"]
    made.train_from_iterator(both, trainers.WordPieceTrainer(vocab_size=200, special_tokens=BERT_TOKENS))
    made.model.save(str(folder))
    described(folder, "bert", config)


def byte_level(folder: Path, **config: Any) -> None:
    """`vocab.json`, `merges.txt` and the two configs."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=330, special_tokens=ROBERTA_TOKENS, initial_alphabet=alphabet)
    )
    made.model.save(str(folder))
    described(folder, "roberta", config)


def described(folder: Path, kind: str, config: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))


def assert_the_same(folder: Path) -> None:
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    ours = tokenizers.load(folder)
    for text in TEXTS:
        assert ours.encode(text).ids == theirs(text)["input_ids"], text
        pair = theirs(text, TEXTS[0])
        assert ours.encode(text, TEXTS[0]).ids == pair["input_ids"], text
        types = pair.get("token_type_ids", [0] * len(pair["input_ids"]))
        assert ours.encode(text, TEXTS[0]).type_ids == types, text


BERTS: list[dict[str, Any]] = [
    {},
    {"do_lower_case": False},
    {"strip_accents": False},
    {"strip_accents": True, "do_lower_case": False},
    {"tokenize_chinese_chars": False},
    {"tokenizer_class": "DistilBertTokenizer"},
    {"model_input_names": ["input_ids", "attention_mask"]},
    {"cls_token": "[X]", "sep_token": {"__type": "AddedToken", "content": "[SEP]", "lstrip": True}},
    {"additional_special_tokens": ["<extra>"]},
    {"extra_special_tokens": ["[X]", "<extra>"]},
    {"split_special_tokens": True},
]


@pytest.mark.parametrize("config", BERTS, ids=json.dumps)
def test_a_vocabulary_of_word_pieces_is_read_as_transformers_reads_it(config: dict[str, Any], tmp_path: Path) -> None:
    wordpiece(tmp_path, **config)
    assert_the_same(tmp_path)


ROBERTAS: list[dict[str, Any]] = [
    {},
    {"add_prefix_space": True},
    {"trim_offsets": False},
    {"mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "normalized": False}},
    {"cls_token": "<extra>", "sep_token": "<pad>"},
    {"additional_special_tokens": ["<extra>"]},
]


@pytest.mark.parametrize("config", ROBERTAS, ids=json.dumps)
def test_a_vocabulary_with_merges_is_read_as_transformers_reads_it(config: dict[str, Any], tmp_path: Path) -> None:
    byte_level(tmp_path, **config)
    assert_the_same(tmp_path)


@pytest.mark.parametrize("make", [wordpiece, byte_level])
def test_added_tokens_get_the_numbers_that_the_folder_names(make: Any, tmp_path: Path) -> None:
    make(tmp_path)
    size = len(transformers.AutoTokenizer.from_pretrained(tmp_path))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<extra>": size, "[X]": size + 1}))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["[X]"]}))
    assert_the_same(tmp_path)
    assert tokenizers.load(tmp_path).token_to_id("[X]") == size + 1
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<extra>": size + 7}))
    with pytest.raises(BadCheckpoint, match=f"'<extra>' is number {size + 7} by its config and {size} by its"):
        tokenizers.load(tmp_path)


@pytest.mark.parametrize("make", [wordpiece, byte_level])
def test_what_transformers_saves_is_read_alike(make: Any, tmp_path: Path) -> None:
    """With `tokenizer.json`, `added_tokens_decoder` and all."""
    (tmp_path / "from").mkdir()
    make(tmp_path / "from")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "from")
    theirs.add_tokens(["<extra>"])
    theirs.add_special_tokens({"additional_special_tokens": ["[X]"]})
    theirs.save_pretrained(tmp_path)
    described(tmp_path, "bert" if make is wordpiece else "roberta", {})
    assert_the_same(tmp_path)


@pytest.mark.parametrize(
    "config", [{"do_lower_case": True}, {"do_lower_case": False}, {"do_lower_case": True, "strip_accents": False}]
)
def test_the_config_counts_over_tokenizer_json_as_in_transformers(config: dict[str, Any], tmp_path: Path) -> None:
    wordpiece(tmp_path, do_lower_case=not config["do_lower_case"])
    tokenizers.load(tmp_path).save(str(tmp_path / "tokenizer.json"))
    described(tmp_path, "bert", {"tokenizer_class": "BertTokenizer"} | config)
    assert_the_same(tmp_path)


def test_a_tokenizer_that_keeps_capitals_is_kept_and_the_difference_is_said(tmp_path: Path) -> None:
    wordpiece(tmp_path, do_lower_case=False)
    expected = tokenizers.load(tmp_path).encode(TEXTS[0]).ids
    tokenizers.load(tmp_path).save(str(tmp_path / "tokenizer.json"))
    described(tmp_path, "bert", {"tokenizer_class": "BertTokenizer"})
    told: list[str] = []
    with listening(lambda event: told.append(str(event.preview))):
        assert tokenizers.load(tmp_path).encode(TEXTS[0]).ids == expected
    assert "keeps capital letters" in told[0]


@pytest.mark.parametrize("frame", ["template", "bert"])
def test_a_network_that_is_not_told_of_types_gets_none(frame: str, tmp_path: Path) -> None:
    wordpiece(tmp_path)
    made = tokenizers.load(tmp_path)
    if frame == "bert":
        made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.save(str(tmp_path / "tokenizer.json"))
    assert 1 in tokenizers.load(tmp_path).encode("a", "b").type_ids
    described(tmp_path, "bert", {"tokenizer_class": "TokenizersBackend"})
    assert_the_same(tmp_path)
    assert 1 not in tokenizers.load(tmp_path).encode("a", "b").type_ids


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"truncation_side": "middle"}, "truncation_side 'middle'"),
        ({"do_lower_case": "no"}, "do_lower_case 'no'"),
        ({"cls_token": 3}, "cls_token 3"),
        ({"added_tokens_decoder": {"0": "x"}}, "added_tokens_decoder"),
        ({"tokenizer_class": "BertJapaneseTokenizer"}, "no tokenizer.json"),
    ],
)
def test_what_can_not_be_read_is_refused_by_name(config: dict[str, Any], said: str, tmp_path: Path) -> None:
    wordpiece(tmp_path, **config)
    with pytest.raises(BadCheckpoint) as refused:
        tokenizers.load(tmp_path)
    assert said in str(refused.value)

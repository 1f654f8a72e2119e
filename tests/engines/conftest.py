"""Encoders of random weights, as transformers makes and saves them, with a tokenizer of letters and a few words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

Made = tuple[Path, Any]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["river", "bank", "loan", "film", "the", "good", "bad", "cat"]
CONTEXT = 24


def wordpieces() -> Tokenizer:
    """Uncased WordPiece with BERT's template for one text and for a pair."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS), ".", "!"]
    tokenizer = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Made]:
    """Makes a BERT of random weights with a head: its folder, and transformers' model."""

    def make(head: str = "Model", **more: Any) -> Made:
        import torch
        import transformers

        folder = tmp_path_factory.mktemp("bert")
        tokenizer = wordpieces()
        config = transformers.BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=96,
            max_position_embeddings=CONTEXT,
            **more,
        )
        torch.manual_seed(0)
        model = getattr(transformers, f"Bert{head}")(config).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        model.save_pretrained(folder)
        tokenizer.save(str(folder / "tokenizer.json"))
        return folder, model

    return make


@pytest.fixture(scope="module")
def theirs() -> Callable[..., dict[str, Any]]:
    """Tokenizes with transformers: padded, cut at the context."""
    import transformers

    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=wordpieces(), pad_token="[PAD]")
    fast.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]

    def tokenize(*texts: list[str]) -> dict[str, Any]:
        return dict(fast(*texts, padding=True, truncation=True, max_length=CONTEXT, return_tensors="pt"))

    return tokenize

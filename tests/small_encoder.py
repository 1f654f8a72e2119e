"""A small random encoder with a tokenizer of a few words, to fine-tune in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from genarium.checkpoints.layouts import encoder as layout
from genarium.models.encoder import Encoder
from genarium.models.encoder_config import EncoderConfig

GOOD, BAD, SO_SO = ["lovely", "great", "fine"], ["awful", "poor", "dull"], ["plain", "usual", "middling"]
THINGS = ["film", "book", "song", "play", "tale", "dance"]
COLOURS = ["red", "blue", "green", "black"]
OTHERS = ["the", "is", "a", "it", "was", "what", "colour", "has", "where"]


def make_base(folder: Path, model: Any = None) -> Path:
    """A small random encoder (or `model`) with a tokenizer of the few words used here."""
    config = EncoderConfig(vocab_size=64, context_length=64, n_layers=2, n_heads=2, d_model=32, d_ff=64, dropout=0.0)
    torch.manual_seed(0)
    made = Encoder(config) if model is None else model(config)
    for name, parameter in made.named_parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=1.0 if "embedding" in name else 0.2)
    layout.save(made, folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *GOOD, *BAD, *SO_SO, *THINGS, *COLOURS, *OTHERS]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder

"""BLIP matchers and CLIPs in miniature: transformers' own classes and layout, random weights, a tokenizer of pieces."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    BlipConfig,
    BlipForImageTextRetrieval,
    BlipImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedModel,
)

WORDS = ("a", "bird", "red", "over", "the", "sea", "sail", "##boat", ",", "two", "dog", "##s", "[UNK]")
CONTEXT = 24


def write_tokenizer(folder: Path) -> int:
    """BERT's way: [CLS] pieces [SEP]; gives how many tokens there are."""
    names = ["[PAD]", *WORDS, "[CLS]", "[SEP]"]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return len(vocabulary)


def _scattered(model: PreTrainedModel) -> None:
    """The usual starting weights are so small that every map is flat."""
    for name, parameter in model.named_parameters():
        norm = "norm" in name.lower() and name.endswith("weight")
        torch.nn.init.normal_(parameter, mean=float(norm), std=0.3)
    model.eval()


def blip(folder: Path, *, kind: type = BlipForImageTextRetrieval, layers: int = 12) -> PreTrainedModel:
    """Writes the folder, and gives the model with attention that shows itself."""
    vocabulary = write_tokenizer(folder)
    torch.manual_seed(0)
    config = BlipConfig(
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "max_position_embeddings": CONTEXT,
            "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1,
            "sep_token_id": vocabulary - 1,
            "pad_token_id": 0,
        },
        vision_config={
            "hidden_size": 24,
            "intermediate_size": 40,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "image_size": 32,
            "patch_size": 8,
        },
        image_text_hidden_size=16,
    )
    model = kind(config)
    _scattered(model)
    model.save_pretrained(folder)
    BlipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    model.set_attn_implementation("eager")
    return model


def clip(folder: Path) -> CLIPModel:
    vocabulary = write_tokenizer(folder)
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": CONTEXT,
            "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1,
            "pad_token_id": 0,
        },
        vision_config={
            "hidden_size": 40,
            "intermediate_size": 80,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": 32,
            "patch_size": 8,
        },
        projection_dim=24,
    )
    model = CLIPModel(config)
    _scattered(model)
    model.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    model.set_attn_implementation("eager")
    return model

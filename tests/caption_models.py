"""Captioners of random weights in the layouts that are published, as transformers makes and saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

WORDS = "a the cat dog red sky photo of on in what is picture this ? describe one sentence . : user assistant".split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]", "<image>"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VISION = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 24,
    "patch_size": 8,
}


def wordpieces() -> Tokenizer:
    names = [*SPECIAL, *WORDS, *(c for c in LETTERS if c != "a"), *(f"##{c}" for c in LETTERS)]
    made = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(SPECIAL)
    return made


def fast_tokenizer(**more: Any) -> transformers.PreTrainedTokenizerFast:
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=wordpieces(),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        bos_token="[CLS]",
        eos_token="[SEP]",
        **more,
    )


def randomised(model: torch.nn.Module, dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval().to(dtype)


def make_blip(folder: Path, *, kind: str = "ConditionalGeneration", dtype: torch.dtype = torch.float32) -> Any:
    tokenizer = wordpieces()
    text = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 48,
        "bos_token_id": 4,
        "eos_token_id": 3,
        "sep_token_id": 3,
    }
    config = transformers.BlipConfig(text_config=text, vision_config=VISION, image_text_hidden_size=16)
    model = randomised(getattr(transformers, f"BlipFor{kind}")(config), dtype)
    model.save_pretrained(folder)
    transformers.BlipImageProcessor(size={"height": 24, "width": 24}).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return model


def make_git(folder: Path, *, dtype: torch.dtype = torch.float32) -> Any:
    tokenizer = wordpieces()
    config = transformers.GitConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        bos_token_id=2,
        eos_token_id=3,
        vision_config=VISION,
    )
    model = randomised(transformers.GitForCausalLM(config), dtype)
    model.save_pretrained(folder)
    pixels = transformers.CLIPImageProcessor(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    transformers.GitProcessor(pixels, fast_tokenizer()).save_pretrained(folder)
    return model


def make_blip2(folder: Path, *, dtype: torch.dtype = torch.float32) -> Any:
    """BLIP-2 with OPT, as `Salesforce/blip2-opt-2.7b` is."""
    size = wordpieces().get_vocab_size()
    config = transformers.Blip2Config(
        vision_config=VISION,
        qformer_config={
            "vocab_size": 30,
            "hidden_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "intermediate_size": 32,
            "encoder_hidden_size": 24,
        },
        text_config={
            "model_type": "opt",
            "vocab_size": size,
            "hidden_size": 32,
            "ffn_dim": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 64,
            "word_embed_proj_dim": 32,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "pad_token_id": 0,
        },
        num_query_tokens=4,
        image_token_index=5,
    )
    model = randomised(transformers.Blip2ForConditionalGeneration(config), dtype)
    model.save_pretrained(folder)
    pixels = transformers.BlipImageProcessor(size={"height": 24, "width": 24})
    transformers.Blip2Processor(pixels, fast_tokenizer(), num_query_tokens=4).save_pretrained(folder)
    return model


CHAT = (
    "{% for message in messages %}user : {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}assistant : {% endif %}"
)


def make_chat(folder: Path, *, dtype: torch.dtype = torch.float32) -> Any:
    """LLaVA: pictures inside a conversation, with a chat template."""
    size = wordpieces().get_vocab_size()
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**VISION),
        text_config=transformers.LlamaConfig(
            vocab_size=size,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
        ),
        image_token_index=5,
    )
    model = randomised(transformers.LlavaForConditionalGeneration(config), dtype)
    model.generation_config.eos_token_id = 3
    model.save_pretrained(folder)
    pixels = transformers.CLIPImageProcessor(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    processor = transformers.LlavaProcessor(
        pixels,
        fast_tokenizer(extra_special_tokens={"image_token": "<image>"}),
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=CHAT,
        num_additional_image_tokens=1,
    )
    processor.save_pretrained(folder)
    return model


MAKERS = {"blip": make_blip, "git": make_git, "blip-2": make_blip2, "chat": make_chat}


def described(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())

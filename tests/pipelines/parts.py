"""What tiny pipelines are made of: tokenizers, text encoders, autoencoders, schedulers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.image_models import BETAS, WORDS, write_tokenizer

WIDTH = 32
"""Numbers that a text encoder gives for a token."""
LETTERS = "abcdefghijklmnopqrstuvwxyz.,0123456789"


def clip_tokenizer(folder: Path) -> tuple[Any, int]:
    """CLIP's, over bytes and a few words, and its size."""
    from transformers import CLIPTokenizer

    size = write_tokenizer(folder)
    return CLIPTokenizer.from_pretrained(folder), size


def clip(size: int, kind: str = "CLIPTextModel", **more: Any) -> nn.Module:
    import transformers

    shape = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": WIDTH,
        "max_position_embeddings": 77,
    }
    special = {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    return getattr(transformers, kind)(transformers.CLIPTextConfig(vocab_size=size, **{**shape, **special, **more}))


def clip_vision() -> nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    shape = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    return CLIPVisionModelWithProjection(CLIPVisionConfig(image_size=32, patch_size=8, projection_dim=WIDTH, **shape))


def clip_images() -> Any:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def t5_tokenizer(length: int = 512) -> Any:
    from transformers import T5TokenizerFast

    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -2.0), ("▁", -2.0)]
    vocab = special + [(letter, -3.0) for letter in LETTERS] + [("▁" + letter, -3.5) for letter in LETTERS]
    return T5TokenizerFast(vocab=vocab, extra_ids=0, model_max_length=length)


def t5(tokenizer: Any, kind: str = "T5") -> nn.Module:
    """The encoder of a T5, or of a UMT5."""
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        vocab_size=max(len(tokenizer), 128), d_model=WIDTH, d_kv=8, d_ff=37, num_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    return getattr(transformers, f"{kind}EncoderModel")(config)


def bert_tokenizer() -> Any:
    from transformers import BertTokenizer

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *LETTERS, *("##" + letter for letter in LETTERS)]
    return BertTokenizer(vocab={name: number for number, name in enumerate(dict.fromkeys(names))}, model_max_length=77)


def bert(tokenizer: Any) -> nn.Module:
    from transformers import BertConfig, BertModel

    shape = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=77, **shape))


def gemma_tokenizer() -> Any:
    """Gemma's, over letters and spaces."""
    from tokenizers.processors import TemplateProcessing
    from transformers import GemmaTokenizer

    names = [
        "<pad>",
        "<eos>",
        "<bos>",
        "<unk>",
        "<mask>",
        "▁",
        *LETTERS,
        *LETTERS.upper(),
        *"<>_:-'\n",
        *(f"<0x{i:02X}>" for i in range(256)),
    ]
    vocab = {name: number for number, name in enumerate(dict.fromkeys(names))}
    tokenizer = GemmaTokenizer(vocab=vocab, merges=[], model_max_length=8192)
    tokenizer._tokenizer.post_processor = TemplateProcessing(  # as published folders have it
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", vocab["<bos>"])]
    )
    return tokenizer


def causal(tokenizer: Any, config: str, model: str, **more: Any) -> nn.Module:
    """A language model whose hidden states are read, of the classes of that name in transformers."""
    import transformers

    shape = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
    }
    return getattr(transformers, model)(getattr(transformers, config)(vocab_size=len(tokenizer), **{**shape, **more}))


def qwen_tokenizer() -> Any:
    """Qwen's, over bytes, with a chat template."""
    from transformers import Qwen2Tokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    vocab = {letter: number for number, letter in enumerate(bytes_to_unicode().values())}
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=[], model_max_length=4096)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return tokenizer


def autoencoder(channels: int = 4, **more: Any) -> nn.Module:
    """Of images of 64 pixels, 8 pixels a latent."""
    from diffusers import AutoencoderKL

    shape: dict[str, Any] = {
        "sample_size": 64,
        "block_out_channels": (8, 8, 16, 16),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
    }
    return AutoencoderKL(latent_channels=channels, **{**shape, **more})


def lively(*networks: nn.Module, by: float = 1.5) -> None:
    """The usual starting weights leave every image grey, whatever the prompt: make them larger."""
    with torch.no_grad():
        for network in networks:
            for parameter in network.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(by)


def pndm(**more: Any) -> Any:
    from diffusers import PNDMScheduler

    return PNDMScheduler(**BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, **more)


def flow_euler(**more: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, **more})


def save(pipeline: Any, folder: Path) -> Path:
    """The pipeline's folder, each network as it is after training: without dropout."""
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.eval()
    pipeline.save_pretrained(folder)
    return folder

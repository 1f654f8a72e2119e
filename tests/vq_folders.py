"""Folders as `microsoft/vq-diffusion-ithq`, of weights from a formula."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import Transformer2DModel, VQDiffusionPipeline, VQDiffusionScheduler, VQModel
from diffusers.pipelines.deprecated.vq_diffusion.pipeline_vq_diffusion import LearnedClassifierFreeSamplingEmbeddings
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tests.dalle_folders import wave

Sizes = dict[str, dict[str, Any]]
TINY: Sizes = {
    "text_encoder": {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": 8,
    },
    "vqvae": {
        "block_out_channels": (32, 32), "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2, "latent_channels": 8, "num_vq_embeddings": 24, "vq_embed_dim": 8,
        "norm_num_groups": 8,
    },
    "transformer": {
        "num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 2, "num_vector_embeds": 25, "sample_size": 6,
        "num_embeds_ada_norm": 10, "cross_attention_dim": 32,
    },
}  # fmt: skip


def write_folder(path: Path, *, safe: bool, sizes: Sizes = TINY) -> Path:
    """As microsoft/vq-diffusion-ithq, tiny, with the config of 2022 (no norm_type) and weights from a formula."""
    tokenizer = path / "tokenizer"
    tokenizer.mkdir(parents=True)
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    words = [*letters, *(letter + "</w>" for letter in letters), "ba", "bat</w>", "<|startoftext|>", "<|endoftext|>"]
    (tokenizer / "vocab.json").write_text(json.dumps({word: place for place, word in enumerate(words)}), "utf-8")
    (tokenizer / "merges.txt").write_text("#version: 0.2\nb a\nba t</w>\n", "utf-8")
    text = CLIPTextConfig(
        vocab_size=len(words), bos_token_id=len(words) - 2, eos_token_id=len(words) - 1, **sizes["text_encoder"]
    )
    width, length = text.hidden_size, text.max_position_embeddings
    more = {"norm_type": "ada_norm", "attention_bias": True, "activation_fn": "geglu-approximate"}
    parts = {
        "vqvae": VQModel(**sizes["vqvae"]),
        "text_encoder": CLIPTextModel(text),
        "transformer": Transformer2DModel(**sizes["transformer"], **more),
        "learned_classifier_free_sampling_embeddings": LearnedClassifierFreeSamplingEmbeddings(True, width, length),
    }
    for module in parts.values():
        for key, (name, parameter) in enumerate(module.named_parameters()):
            one = 1.0 if parameter.dim() == 1 and name.endswith("weight") else 0.0
            fan_in = parameter[0].numel() if parameter.dim() > 1 and "embed" not in name else 1
            # Small biases: as large as what they are added to, they would say more than the prompt does.
            scale = 0.1 if parameter.dim() == 1 else (3 / fan_in) ** 0.5
            parameter.data = wave(tuple(parameter.shape), key) * scale + one
    pipeline = VQDiffusionPipeline(
        **parts,
        tokenizer=CLIPTokenizer.from_pretrained(tokenizer, model_max_length=length, pad_token="<|endoftext|>"),
        scheduler=VQDiffusionScheduler(
            num_vec_classes=sizes["transformer"]["num_vector_embeds"],
            num_train_timesteps=sizes["transformer"]["num_embeds_ada_norm"],
        ),
    )
    pipeline.save_pretrained(path, safe_serialization=safe)
    if not safe:  # transformers writes nothing else any more
        state = parts["text_encoder"].state_dict()
        torch.save(state, path / "text_encoder" / "pytorch_model.bin")
        (path / "text_encoder" / "model.safetensors").unlink(missing_ok=True)
    config = json.loads((path / "transformer" / "config.json").read_text("utf-8"))
    del config["norm_type"]
    (path / "transformer" / "config.json").write_text(json.dumps(config), "utf-8")
    return path

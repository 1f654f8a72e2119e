"""The native CLIP gives transformers' outputs from transformers' own folders, and writes folders transformers opens."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import CLIPConfig as TheirConfig
from transformers import CLIPModel, CLIPProcessor, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from genarium.checkpoints.layouts import clip as layout
from genarium.checkpoints.processors.image_processor import Pixels
from genarium.errors import BadCheckpoint
from genarium.models.clip import CLIP, CLIPConfig, TextConfig, VisionConfig
from tests.image_models import write_tokenizer

BEGIN, END, PAD = 97, 98, 1
TEXT = {
    "vocab_size": 99,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 12,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
    "pad_token_id": PAD,
}
VISION = {
    "hidden_size": 40,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 24,
    "patch_size": 8,
}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "quick gelu": ({}, {}),
    "gelu": ({"hidden_act": "gelu"}, {"hidden_act": "gelu"}),
    "the largest id ends a text": ({"eos_token_id": 2, "bos_token_id": 0}, {}),
    "ends are padding": ({"pad_token_id": END}, {"layer_norm_eps": 1e-6}),
}


def theirs(kind: str) -> CLIPModel:
    text, vision = KINDS[kind]
    torch.manual_seed(0)
    model = CLIPModel(TheirConfig(text_config=TEXT | text, vision_config=VISION | vision, projection_dim=24)).eval()
    with torch.no_grad():  # the usual weights are so small that all outputs are alike
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        model.logit_scale.fill_(1.5)
    return model


def texts(pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens of texts of 9, 4 and 2 words, and where they are real."""
    rows = [[BEGIN, *range(10, 19), END], [BEGIN, 40, 41, 42, 43, END], [BEGIN, 60, 61, END]]
    tokens = torch.full((3, 11), pad)
    mask = torch.zeros(3, 11, dtype=torch.bool)
    for place, row in enumerate(rows):
        tokens[place, : len(row)], mask[place, : len(row)] = torch.tensor(row), True
    return tokens, mask


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_and_scores_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    model = theirs(kind)
    model.save_pretrained(tmp_path)
    ours = layout.load(tmp_path)
    tokens, mask = texts(model.config.text_config.pad_token_id)
    images = torch.randn(4, 3, 24, 24)
    with torch.inference_mode():
        expected = model(input_ids=tokens, pixel_values=images, attention_mask=mask.long())
        close = {"atol": 1e-5, "rtol": 1e-5}
        torch.testing.assert_close(ours.encode_images(images), expected.image_embeds, **close)
        torch.testing.assert_close(ours.encode_texts(tokens, mask), expected.text_embeds, **close)
        torch.testing.assert_close(ours(images, tokens, mask), expected.logits_per_image, **close)
        # Padding after the end is never looked at, so it needs no mask and no place.
        torch.testing.assert_close(ours(images, tokens), expected.logits_per_image, **close)
        torch.testing.assert_close(ours.encode_texts(tokens[1:, :7]), expected.text_embeds[1:], **close)
    assert expected.text_embeds.std(dim=0).min() > 1e-3


def test_padding_before_a_text_needs_the_mask_and_is_transformers_too() -> None:
    model = theirs("quick gelu")
    ours = CLIP(CLIPConfig(TextConfig(**TEXT), VisionConfig(**VISION), projection_dim=24)).eval()
    ours.load_state_dict(model.state_dict())
    tokens = torch.tensor([[PAD, PAD, BEGIN, 7, END], [BEGIN, 5, 6, 7, END]])
    mask = tokens != PAD
    with torch.inference_mode():
        found = ours.encode_texts(tokens, mask)
        expected = model(
            input_ids=tokens, pixel_values=torch.randn(1, 3, 24, 24), attention_mask=mask.long()
        ).text_embeds
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(ours.encode_texts(tokens)[0], found[0], atol=1e-3)


def words_tokenizer() -> Tokenizer:
    """A word a token: <b> text <e>."""
    vocab = {f"w{i}": i for i in range(97)} | {"<b>": BEGIN, "<e>": END}
    tokenizer = Tokenizer(WordLevel(vocab, unk_token="w0"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(["<b>", "<e>", "w1"])
    tokenizer.post_processor = TemplateProcessing(single="<b> $A <e>", special_tokens=[("<b>", BEGIN), ("<e>", END)])
    return tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_opens_what_is_written_with_its_words_and_images(kind: str, tmp_path: Path) -> None:
    theirs(kind).save_pretrained(tmp_path / "theirs")
    ours = layout.load(tmp_path / "theirs")
    preprocessing = Pixels(24, crop=True)
    layout.save(ours, tmp_path / "ours", words_tokenizer(), preprocessing)
    opened, report = CLIPModel.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values())
    processor = CLIPProcessor.from_pretrained(tmp_path / "ours")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    said = ["w5 w6 w7", "w9", " ".join(f"w{i}" for i in range(10, 40))]
    entered = processor(text=said, images=Image.fromarray(pixels), padding=True, truncation=True, return_tensors="pt")
    tokenizer = layout.load_tokenizer(tmp_path / "ours", config=ours.config.text_config)
    tokens = layout.read_tokens(tokenizer, said)
    assert torch.equal(tokens, entered["input_ids"])
    assert tokens.shape == (3, 12)
    images = preprocessing.scaled(pixels[None])
    assert layout.load_preprocessing(tmp_path / "ours", 24) == preprocessing
    torch.testing.assert_close(images, entered["pixel_values"], atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        expected = opened.eval()(**entered).logits_per_image
        torch.testing.assert_close(ours(images, tokens), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(layout.load(tmp_path / "ours")(images, tokens), expected, atol=1e-5, rtol=1e-5)


def test_a_published_folders_words_are_the_same_when_written_again(tmp_path: Path) -> None:
    """Its config names token 1, a quotation mark, as padding, and 0 as the beginning; they must stay words."""
    vocab = write_tokenizer(tmp_path / "published", context=12)
    text = TextConfig(**TEXT | {"vocab_size": vocab, "eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 1})
    words = layout.load_tokenizer(tmp_path / "published", config=text)
    ours = CLIP(CLIPConfig(text, VisionConfig(**VISION), projection_dim=24)).eval()
    layout.save(ours, tmp_path / "ours", words, Pixels(24, crop=True))
    said = ['a "bird"! flying', '"', "!!", "blue sky with a red cat and a dog at night"]
    options = {"padding": True, "truncation": True, "return_tensors": "pt"}
    expected = CLIPProcessor.from_pretrained(tmp_path / "ours").tokenizer(said, **options)
    published = CLIPTokenizer.from_pretrained(tmp_path / "published")(said, **options)
    assert torch.equal(expected["input_ids"], published["input_ids"])
    theirs = CLIPModel.from_pretrained(tmp_path / "ours").eval()
    with torch.inference_mode():
        found = ours.encode_texts(layout.read_tokens(words, said))
        wanted = theirs(pixel_values=torch.zeros(1, 3, 24, 24), **expected).text_embeds
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(40, 30), (25, 61), (24, 24), (9, 17)], ids=str)
def test_images_of_any_shape_enter_as_in_transformers(size: tuple[int, int], tmp_path: Path) -> None:
    CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}).save_pretrained(tmp_path)
    preprocessing = layout.load_preprocessing(tmp_path, 24)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    expected = CLIPImageProcessorPil.from_pretrained(tmp_path)(image, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(preprocessing.tensor([image]), expected, atol=1e-5, rtol=1e-5)


def test_the_first_folders_say_their_config_a_second_time_and_leave_defaults_out() -> None:
    raw = {"model_type": "clip", "text_config": {"hidden_size": 1}, "text_config_dict": {"hidden_size": 640}}
    found, expected = layout.read_config(raw, "folder"), TheirConfig(**raw)
    for tower in ("text_config", "vision_config"):
        ours, published = getattr(found, tower), getattr(expected, tower)
        for name, value in vars(ours).items():
            assert getattr(published, name) == value, name
    assert found.logit_scale_init_value == expected.logit_scale_init_value
    assert found.text_config.hidden_size == 640


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"model_type": "bert"}, "holds a bert"),
        ({"model_type": "clip", "text_config": {"hidden_act": "relu"}}, "hidden_act 'relu'"),
        ({"model_type": "clip", "vision_config": {"image_size": [24, 32]}}, r"image_size \[24, 32\]"),
        ({"model_type": "clip", "text_config": {"eos_token_id": [1, 2]}}, r"eos_token_id \[1, 2\]"),
    ],
)
def test_a_network_it_can_not_be_is_refused(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(BadCheckpoint, match=said):
        layout.read_config(raw, "folder")


def test_a_tokenizer_that_ends_texts_otherwise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(words_tokenizer().to_str())
    with pytest.raises(BadCheckpoint, match="does not end texts with token 50"):
        layout.load_tokenizer(tmp_path, config=TextConfig(**TEXT | {"eos_token_id": 50}))
    with pytest.raises(BadCheckpoint, match=r"no tokenizer\.json"):
        layout.load_tokenizer(tmp_path / "none", config=TextConfig(**TEXT))


def test_images_wanted_in_another_way_are_refused(tmp_path: Path) -> None:
    for raw in ({"size": {"shortest_edge": 30}, "crop_size": 30}, {"size": 24, "do_center_crop": False}):
        (tmp_path / layout.PREPROCESSING).write_text(json.dumps(raw))
        with pytest.raises(BadCheckpoint, match="and the network takes 24 by 24 pixels"):
            layout.load_preprocessing(tmp_path, 24)


def test_it_starts_as_large_as_clips_authors_began() -> None:
    torch.manual_seed(0)
    text, vision = TEXT | {"hidden_size": 128, "num_hidden_layers": 2}, VISION | {"hidden_size": 128}
    ours = CLIP(CLIPConfig(TextConfig(**text), VisionConfig(**vision), projection_dim=64))
    reference = CLIPModel(TheirConfig(text_config=text, vision_config=vision, projection_dim=64))
    for name, expected in reference.state_dict().items():
        # transformers takes the sizes of what enters attention for those of what leaves it; theirs are not CLIP's.
        if expected.numel() < 1000 or ".self_attn." in name:
            continue
        assert float(ours.state_dict()[name].std()) == pytest.approx(float(expected.std()), rel=0.1, abs=1e-6), name
    assert math.exp(ours.logit_scale.item()) == pytest.approx(1 / 0.07, rel=1e-3)

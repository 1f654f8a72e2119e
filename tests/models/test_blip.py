"""The native BLIP gives transformers' outputs, reads its folders and writes folders it reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file
from transformers import BlipConfig, BlipForConditionalGeneration, BlipForImageTextRetrieval

from genarium.checkpoints.layouts import blip as layout
from genarium.checkpoints.processors import image_processor
from genarium.errors import BadCheckpoint
from tests.caption_models import VISION

TINY = {
    "text_config": {
        "vocab_size": 50,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 24,
        "bos_token_id": 48,
        "eos_token_id": 2,
        "sep_token_id": 3,
    },
    "vision_config": VISION,
    "image_text_hidden_size": 16,
}


def theirs(kind: type, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = kind(BlipConfig(**TINY)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, 24, 24, generator=generator)
    tokens = torch.randint(4, 48, (2, 9), generator=generator)
    return images, tokens, torch.tensor([9, 6])


def test_the_captioner_scores_every_next_token_as_transformers_does(tmp_path: Path, inputs: tuple) -> None:
    model = theirs(BlipForConditionalGeneration)
    model.save_pretrained(tmp_path)
    ours = layout.load_captioner(tmp_path)
    images, tokens, _ = inputs
    with torch.no_grad():
        expected = model(pixel_values=images, input_ids=tokens).logits
        torch.testing.assert_close(ours(images, tokens), expected, atol=1e-5, rtol=1e-5)


def test_a_token_at_a_time_is_the_same_as_all_at_once_and_texts_share_their_image(
    tmp_path: Path, inputs: tuple
) -> None:
    theirs(BlipForConditionalGeneration).save_pretrained(tmp_path)
    ours = layout.load_captioner(tmp_path)
    images, tokens, _ = inputs
    three = torch.cat([tokens, tokens.flip(0), tokens.roll(1, 1)]).view(3, 2, 9).transpose(0, 1).reshape(6, 9)
    whole = ours(images.repeat_interleave(3, dim=0), three)
    rows = ours.start(images, 3, 9)
    steps = [ours.step(rows, three[:, :4])]
    steps += [ours.step(rows, three[:, i : i + 1]) for i in range(4, 9)]
    torch.testing.assert_close(torch.stack(steps, dim=1), whole[:, 3:], atol=1e-5, rtol=1e-5)


def test_the_matcher_judges_as_transformers_does(tmp_path: Path, inputs: tuple) -> None:
    model = theirs(BlipForImageTextRetrieval)
    model.save_pretrained(tmp_path)
    ours = layout.load_matcher(tmp_path)
    images, tokens, lengths = inputs
    mask = (torch.arange(9) < lengths[:, None]).long()
    with torch.no_grad():
        expected = model(pixel_values=images, input_ids=tokens, attention_mask=mask)
        alone = model(pixel_values=images, input_ids=tokens, attention_mask=mask, use_itm_head=False)
        torch.testing.assert_close(ours(images, tokens, lengths=lengths), expected.itm_score, atol=1e-5, rtol=1e-5)
        similar = ours.similarity(ours.image(images), tokens, lengths=lengths)
        torch.testing.assert_close(similar, alone.itm_score, atol=1e-5, rtol=1e-5)


def test_attention_maps_are_transformers_own_and_carry_gradients(tmp_path: Path, inputs: tuple) -> None:
    """The reference: transformers' own probabilities, kept as they pass through its module, differentiated there."""
    model = theirs(BlipForImageTextRetrieval)
    model.save_pretrained(tmp_path)
    ours = layout.load_matcher(tmp_path)
    images, tokens, lengths = inputs
    kept: list[torch.Tensor] = []
    module = model.text_encoder.encoder.layer[1].crossattention.self
    module.register_forward_hook(lambda _m, _i, out: kept.append(out[1]))
    mask = (torch.arange(9) < lengths[:, None]).long()
    score = model(pixel_values=images, input_ids=tokens, attention_mask=mask).itm_score[:, 1].sum()
    (expected,) = torch.autograd.grad(score, kept[0])
    scores, maps = ours.judge(ours.image(images), tokens, lengths=lengths, maps_of=1)
    assert maps is not None
    (found,) = torch.autograd.grad(scores[:, 1].sum(), maps)
    torch.testing.assert_close(maps, kept[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    plain = ours(images, tokens, lengths=lengths)
    torch.testing.assert_close(scores, plain, atol=1e-5, rtol=1e-5)


def test_maps_of_several_texts_of_an_image_stand_in_the_order_of_the_texts(tmp_path: Path, inputs: tuple) -> None:
    theirs(BlipForImageTextRetrieval).save_pretrained(tmp_path)
    ours = layout.load_matcher(tmp_path)
    images, tokens, _ = inputs
    with torch.no_grad():
        states = ours.image(images[:1])
        together, maps = ours.judge(states, tokens, maps_of=2)
        for row in range(2):
            score, own = ours.judge(states, tokens[row : row + 1], maps_of=2)
            torch.testing.assert_close(together[row : row + 1], score, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(maps[row : row + 1], own, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [BlipForConditionalGeneration, BlipForImageTextRetrieval])
def test_what_is_written_is_what_transformers_writes(kind: type, tmp_path: Path) -> None:
    model = theirs(kind)
    model.save_pretrained(tmp_path / "theirs")
    load = layout.load_captioner if kind is BlipForConditionalGeneration else layout.load_matcher
    layout.save(load(tmp_path / "theirs"), tmp_path / "ours", image_processor.Pixels(24))
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    assert set(after) <= set(before)  # the tied output weights stand there once
    assert set(before) - set(after) <= {f"text_decoder.cls.predictions.decoder.{leaf}" for leaf in ("weight", "bias")}
    for name, tensor in after.items():
        assert torch.equal(tensor, before[name]), name
    again = kind.from_pretrained(tmp_path / "ours")
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_images_reach_the_network_as_transformers_brings_them(tmp_path: Path) -> None:
    image = Image.effect_noise((61, 43), 90).convert("RGB")
    for made in (
        transformers.BlipImageProcessor(size={"height": 24, "width": 24}),
        transformers.CLIPImageProcessor(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}),
    ):
        made.save_pretrained(tmp_path)
        expected = made(image, return_tensors="pt")["pixel_values"]
        found = image_processor.read(tmp_path, 24).tensor([image])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_line_of_twenty_thousand_pixels_costs_little(tmp_path: Path) -> None:
    fitted = image_processor.Pixels(224, crop=True).fit(Image.new("RGB", (20_000, 10), "red"))
    assert fitted.size == (224, 224)


def test_damaged_folders_say_what_is_wrong(tmp_path: Path) -> None:
    theirs(BlipForConditionalGeneration).save_pretrained(tmp_path)
    with pytest.raises(BadCheckpoint, match="no BLIP matcher"):
        layout.load_matcher(tmp_path)
    raw = json.loads((tmp_path / "config.json").read_text())
    raw["text_config"]["intermediate_size"] = 64
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(BadCheckpoint, match="asks for"):
        layout.load_captioner(tmp_path)

"""Scores and heat maps of BLIP matchers and CLIPs, against transformers' own classes and the papers' formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, BlipForConditionalGeneration, CLIPModel, PreTrainedModel

from genarium.engines import registry
from genarium.engines.vision.match import BlipMatcher, ClipMatcher
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import listening
from tests.image_models import stable_diffusion
from tests.match_models import CONTEXT, blip, clip

CAPTION = "two dogs, a red sailboat over the sea"


def image(width: int = 50, height: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[PreTrainedModel, Path]:
    folder = tmp_path_factory.mktemp("blip")
    return blip(folder), folder


@pytest.fixture(scope="module")
def their_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[CLIPModel, Path]:
    folder = tmp_path_factory.mktemp("clip")
    return clip(folder), folder


def tokens(matcher: BlipMatcher | ClipMatcher, text: str) -> torch.Tensor:
    return torch.tensor([matcher.tokenizer.encode(text).ids])


def pixels_of(folder: Path) -> torch.Tensor:
    return AutoImageProcessor.from_pretrained(folder)(images=image(), return_tensors="pt")["pixel_values"]


@pytest.mark.parametrize("layer", [None, 0, 10])
def test_grad_cam_of_blip_is_the_formula_on_transformers_own_attention(
    theirs: tuple[PreTrainedModel, Path], layer: int | None
) -> None:
    """Mean over heads of A · max(dS/dA, 0) with S the score of a match, from their eager attention alone."""
    model, folder = theirs
    matcher = BlipMatcher(folder)
    found = matcher.explain(image(), CAPTION, layer)
    attention = model.text_encoder.encoder.layer[7 if layer is None else layer].crossattention.self
    kept: list[torch.Tensor] = []
    hook = attention.register_forward_hook(lambda module, given, made: kept.append(made[1]))
    score = model(input_ids=tokens(matcher, CAPTION), pixel_values=pixels_of(folder), use_itm_head=True).itm_score
    hook.remove()
    (weights,) = kept
    (slopes,) = torch.autograd.grad(score[0, 1], weights)
    by_hand = torch.zeros(weights.shape[2], 4, 4)
    for head in range(weights.shape[1]):
        cam = weights[0, head] * slopes[0, head].clamp(min=0)
        by_hand += cam[:, 1:].reshape(-1, 4, 4) / weights.shape[1]
    # [CLS] two dog ##s , a red sail ##boat over the sea [SEP]
    pieces = [[1], [2, 3], [5], [6], [7, 8], [9], [10], [11]]
    expected = torch.stack([by_hand[each].mean(0) for each in pieces]).detach().numpy()
    assert found.words == ["two", "dogs", "a", "red", "sailboat", "over", "the", "sea"]
    assert expected.max() > 1e-4
    np.testing.assert_allclose(found.maps, expected, atol=min(1e-5, 1e-3 * expected.max()))


def test_the_probability_of_a_match_is_transformers_softmax(theirs: tuple[PreTrainedModel, Path]) -> None:
    model, folder = theirs
    matcher = BlipMatcher(folder)
    with torch.no_grad():
        score = model(input_ids=tokens(matcher, CAPTION), pixel_values=pixels_of(folder), use_itm_head=True).itm_score
    (found,) = matcher.scores(image(), [CAPTION])
    assert found.probability == pytest.approx(float(score.softmax(-1)[0, 1]), abs=1e-5)
    assert found.cosine is None


@pytest.mark.parametrize("layer", [None, 0])
def test_relevance_of_clip_is_chefers_formula_on_transformers_own_attention(
    their_clip: tuple[CLIPModel, Path], layer: int | None
) -> None:
    model, folder = their_clip
    matcher = ClipMatcher(folder)
    found = matcher.explain(image(), "a red sailboat", layer)
    for place, word in enumerate(("a", "red", "sailboat")):
        out = model(input_ids=tokens(matcher, word), pixel_values=pixels_of(folder), output_attentions=True)
        cosine = (out.image_embeds * out.text_embeds).sum()
        R = torch.eye(17)
        for weights in out.vision_model_output.attentions[2 if layer is None else layer :]:
            (slopes,) = torch.autograd.grad(cosine, weights, retain_graph=True)
            R = R + (weights * slopes)[0].clamp(min=0).mean(0) @ R
        expected = R[0, 1:].reshape(4, 4).detach().numpy()
        assert expected.max() > 1e-5
        np.testing.assert_allclose(found.maps[place], expected, atol=1e-5 * expected.max(), rtol=1e-4)


def test_clip_gives_cosines_and_shares_among_several(their_clip: tuple[CLIPModel, Path]) -> None:
    model, folder = their_clip
    matcher = ClipMatcher(folder)
    (alone,) = matcher.scores(image(), ["a dog"])
    both = matcher.scores(image(), ["a dog", "a red sailboat"])
    with torch.no_grad():
        logits = [
            model(input_ids=tokens(matcher, text), pixel_values=pixels_of(folder)).logits_per_image
            for text in ("a dog", "a red sailboat")
        ]
        cosine = float(logits[0] / model.logit_scale.exp())
    expected = torch.cat(logits, dim=1).softmax(-1)[0].tolist()
    assert alone.probability is None
    assert [score.probability for score in both] == pytest.approx(expected, abs=1e-4)
    assert alone.cosine == pytest.approx(cosine, abs=1e-5)


def test_what_clip_crops_away_is_outside_of_its_box(their_clip: tuple[CLIPModel, Path]) -> None:
    found = ClipMatcher(their_clip[1]).explain(image(80, 40), "a dog")
    assert found.box == (0.25, 0.0, 0.75, 1.0)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (10, 3000)])
def test_images_of_any_shape_are_explained(
    theirs: tuple[PreTrainedModel, Path], their_clip: tuple[CLIPModel, Path], size: tuple[int, int]
) -> None:
    for matcher in (BlipMatcher(theirs[1]), ClipMatcher(their_clip[1])):
        found = matcher.explain(image(*size), "a dog")
        assert found.maps.shape == (2, 4, 4)
        assert np.isfinite(found.maps).all()


def test_500_words_are_read_as_far_as_the_model_reads_and_the_rest_is_told(
    theirs: tuple[PreTrainedModel, Path], their_clip: tuple[CLIPModel, Path]
) -> None:
    long = " ".join(["bird"] * 499 + ["dog"])
    for matcher in (BlipMatcher(theirs[1]), ClipMatcher(their_clip[1])):
        notes: list[str] = []
        with listening(lambda event, notes=notes: notes.append(event.preview) if event.stage == "note" else None):
            found = matcher.explain(image(), long)
            matcher.scores(image(), [long])
        assert len(found.words) == CONTEXT - 2
        assert len(notes) == 1
        assert f"reads the first {CONTEXT} tokens of a caption; left out: “bird bird" in notes[0]


def test_layers_are_counted_as_in_the_file(
    theirs: tuple[PreTrainedModel, Path], their_clip: tuple[CLIPModel, Path]
) -> None:
    for matcher, last in ((BlipMatcher(theirs[1]), 10), (ClipMatcher(their_clip[1]), 2)):
        with pytest.raises(BadInput, match=f"can explain by the layers 0 to {last}, got {last + 1}; leave out --layer"):
            matcher.explain(image(), CAPTION, last + 1)
    assert "block 7 " in BlipMatcher(theirs[1]).method()


def test_models_with_nothing_to_explain_say_which_have(tiny: Path, tmp_path: Path) -> None:
    which = "name a BLIP matcher such as Salesforce/blip-itm-base-coco, a CLIP such as"
    blip(tmp_path / "captioner", kind=BlipForConditionalGeneration, layers=2)
    for folder, said in (
        (tiny, "is a 'gpt2' model, which says of no text how well it matches"),
        (tmp_path / "captioner", "is a 'blip' captioner, which says of no text"),
        (stable_diffusion(tmp_path / "sd"), "genarium image --explain shows where it looked"),
    ):
        with pytest.raises(BadCheckpoint, match=f"{said}.*{which}"):
            registry.open_matcher(str(folder))

"""Captioner and matcher learn from scenes: what they are shown is true, and a stopped run ends in the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import BlipForConditionalGeneration, BlipForImageTextRetrieval

from genarium.checkpoints.layouts import blip as layout
from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.models.blip import Captioner
from genarium.scenes import World, is_held_out, parse
from genarium.scenes.changes import CHANGES
from genarium.scenes.dice import Dice
from genarium.scenes.kinds import COLOURS, KINDS
from genarium.scenes.telling import place_of, told, wrong
from genarium.training.commands.caption import _config, train_caption
from genarium.training.commands.match import train_match
from genarium.training.objectives.describe import Match, Tell
from genarium.training.sources import captions

numbers = st.integers(0, 10**6)
SMALL = {"width": 32, "image_layers": 1, "text_layers": 1, "batch_size": 4, "evaluate_every": 100, "device": "cpu"}


@given(numbers, st.sampled_from(["train", "heldout"]))
@settings(max_examples=60, deadline=None)
def test_a_full_caption_tells_all_and_one_changed_word_is_found(index: int, split: str) -> None:
    scene = World(64, snap=8).scene(3, index, split)  # type: ignore[arg-type]
    ask = told(scene, 64)
    assert wrong(captions.full_caption(scene, Dice(index)), ask) == set()
    for full in (True, False):
        true, false, about = captions.true_and_false(scene, Dice(index), split=split, full=full)  # type: ignore[arg-type]
        assert true != false
        assert about in CHANGES
        if full:
            assert (wrong(true, ask), wrong(false, ask)) == (set(), {about})
        if split == "train":
            assert not is_held_out(parse(false).ask)


def test_half_of_the_scenes_stand_on_the_patches_grid_and_the_others_between() -> None:
    source = captions.Scenes(3)
    scenes = source.scenes(400, 400, "train")
    assert scenes[5:8] == source.scenes(405, 3, "train")  # by number, wherever a batch begins
    finest = [
        max(snap for snap in (8, 4, 2) if not any(edge % snap for t in s.things for edge in t.box)) for s in scenes
    ]
    assert all(found >= snap for found, snap in zip(finest, captions.SNAPS * 100, strict=True))
    assert [finest.count(snap) / 400 for snap in (8, 4, 2)] == pytest.approx([0.55, 0.25, 0.2], abs=0.05)


def test_places_are_those_of_the_boxes() -> None:
    spots = {"left": (0, 16), "right": (40, 24), "top": (16, 0), "bottom": (24, 40), "middle": (20, 20)}
    assert {place_of((x, y, x + 24, y + 24), 64): (x, y) for x, y in spots.values()} == spots


@given(numbers)
@settings(max_examples=20, deadline=None)
def test_patches_are_labelled_with_what_covers_them(index: int) -> None:
    scene = World(64, snap=8).scene(3, index)
    labels = captions.shown_by_patch([scene], 8)[0].view(4, 8, 8)
    covered = 0
    for thing in scene.things:
        left, top, right, bottom = (edge // 8 for edge in thing.box)
        part = labels[:, top:bottom, left:right]
        covered += part[0].numel()
        assert part[0].unique().tolist() == [1 + list(KINDS).index(thing.kind)]
    assert int((labels[0] > 0).sum()) == covered


def test_recolouring_turns_hues_and_keeps_greys_grey() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.rand(64, 3, 4, 4, generator=random) * 0.4 + 0.3  # so that nothing is clipped
    changed = (captions.recoloured(images * 2 - 1, np.random.default_rng(0)) + 1) / 2
    brightness = changed.mean(dim=1) / images.mean(dim=1)  # each picture's own, the same for all of its pixels
    torch.testing.assert_close(brightness, brightness[:, :1, :1].expand_as(brightness), atol=1e-5, rtol=0)
    assert 0.4 <= float(brightness.min()) < 0.5
    assert 0.9 < float(brightness.max()) <= 1.0
    spread = changed.std(dim=1) / brightness / images.std(dim=1)  # how far from grey: the saturation
    torch.testing.assert_close(spread, spread[:, :1, :1].expand_as(spread), atol=1e-4, rtol=0)
    assert float(spread.min()) < 0.1
    assert 1.4 < float(spread.max()) <= 1.5 + 1e-4
    grey = torch.linspace(-1, 1, 5).expand(8, 3, 1, 5)
    same = captions.recoloured(grey, np.random.default_rng(0))
    torch.testing.assert_close(same, same[:, :1].expand_as(same))


def test_nothing_is_said_of_the_colours_of_recoloured_images() -> None:
    made, source = captions.tokenizer(), captions.Scenes(1)
    objective = Tell(Captioner(_config(32, 1, 1, made.get_vocab_size())), made, source, batch_size=32, seed=0)
    images, read, wanted, patches, _ = objective.batch(0)
    other = (patches[:, captions.SHADE] == -100).all(dim=1)
    assert 5 < int(other.sum()) < 22
    as_drawn = source.images(source.scenes(0, 32, "train"))
    assert [torch.equal(one, two) for one, two in zip(images, as_drawn, strict=True)] == (~other).tolist()
    colours = torch.tensor([made.token_to_id(colour) for colour in COLOURS])
    for tokens in (read, wanted):
        assert torch.isin(tokens[~other], colours).any()
        assert not torch.isin(tokens[other], colours).any()
    assert (patches[~other] >= 0).all()
    assert (patches[other][:, [0, 2, 3]] >= 0).all()


def test_the_tokenizer_knows_every_word_of_the_grammar_and_spells_the_others() -> None:
    made = captions.tokenizer()
    world = World(64)
    for index in range(300):
        text = world.scene(5, index).caption
        ids = made.encode(text).ids
        assert captions.UNKNOWN not in ids
        assert len(ids) - 2 == len(text.split())  # a token a word
        assert made.decode(ids, skip_special_tokens=True) == text
    assert captions.UNKNOWN not in made.encode("a unicorn skateboarding").ids


def test_a_stopped_run_ends_in_the_same_weights_and_both_open_in_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_caption(out=str(tmp_path / "whole"), steps=6, **SMALL)  # type: ignore[arg-type]
    assert {"loss", "right", "seconds"} < set(whole)
    batch, seen = captions.Scenes.scenes, []

    def stopping(self: captions.Scenes, first: int, n: int, split: captions.Split) -> list:
        if split == "train":
            seen.append(first)
            if first == 12 and seen.count(12) == 1:
                raise KeyboardInterrupt
        return batch(self, first, n, split)

    monkeypatch.setattr(captions.Scenes, "scenes", stopping)
    again = {"out": str(tmp_path / "stopped"), "steps": 6, "checkpoint_minutes": 0.0} | SMALL
    with pytest.raises(KeyboardInterrupt):
        train_caption(**again)  # type: ignore[arg-type]
    train_caption(**again)  # type: ignore[arg-type]
    assert seen == [0, 4, 8, 12, 12, 16, 20]
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(one[name], other[name]) for name in one)

    train_match(init_from=str(tmp_path / "whole"), out=str(tmp_path / "match"), steps=3, batch_size=4, device="cpu")
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([tokenizers.load(tmp_path / "match").encode("a red car on the left").ids])
    with torch.no_grad():
        theirs = BlipForConditionalGeneration.from_pretrained(tmp_path / "whole", dtype=torch.float32)
        expected = theirs(pixel_values=image, input_ids=tokens).logits
        torch.testing.assert_close(
            layout.load_captioner(tmp_path / "whole")(image, tokens), expected, atol=1e-4, rtol=0
        )
        judge = BlipForImageTextRetrieval.from_pretrained(tmp_path / "match", dtype=torch.float32)
        scores = judge(pixel_values=image, input_ids=tokens).itm_score
        torch.testing.assert_close(layout.load_matcher(tmp_path / "match")(image, tokens), scores, atol=1e-4, rtol=0)


def test_the_frozen_encoder_stays_and_the_rest_learns(tmp_path: Path) -> None:
    train_caption(out=str(tmp_path / "caption"), steps=1, **SMALL)  # type: ignore[arg-type]
    begin = load_file(tmp_path / "caption" / "model.safetensors")
    arguments = {"init_from": str(tmp_path / "caption"), "steps": 2, "batch_size": 4, "device": "cpu"}
    for frozen in (True, False):
        out = tmp_path / f"match-{frozen}"
        train_match(out=str(out), frozen=frozen, **arguments)  # type: ignore[arg-type]
        after = load_file(out / "model.safetensors")
        eye = "vision_model.encoder.layers.0.mlp.fc1.weight"
        assert torch.equal(after[eye], begin[eye]) is frozen
        word = "encoder.layer.0.attention.self.query.weight"
        assert not torch.equal(after[f"text_encoder.{word}"], begin[f"text_decoder.bert.{word}"])


def test_true_and_false_captions_stand_in_turn(tmp_path: Path) -> None:
    train_caption(out=str(tmp_path), steps=1, **SMALL)  # type: ignore[arg-type]
    source, made = captions.Scenes(1), captions.tokenizer()
    from genarium.models.blip import BlipForMatching

    objective = Match(
        BlipForMatching(layout.load_captioner(tmp_path).config), made, source, batch_size=3, seed=0, frozen=False
    )
    _, tokens, lengths, _ = objective.batch(0)
    scenes = source.scenes(0, 3, "train")
    for row, scene in enumerate(scenes):
        full, changed = (made.decode(tokens[4 * row + i, : lengths[4 * row + i]].tolist()) for i in (0, 1))
        assert wrong(full, told(scene, 64)) == set()
        assert len(wrong(changed, told(scene, 64))) == 1


def test_grounding_asks_the_first_block_to_look_at_what_nouns_and_colours_name(tmp_path: Path) -> None:
    train_caption(out=str(tmp_path), steps=1, **SMALL)  # type: ignore[arg-type]
    source, made = captions.Scenes(1), captions.tokenizer()
    from genarium.models.blip import BlipForMatching

    matcher = BlipForMatching(layout.load_captioner(tmp_path).config)
    plain, grounded = (
        Match(matcher, made, source, batch_size=8, seed=0, frozen=True, grounding=weight) for weight in (0.0, 0.5)
    )
    images, tokens, lengths, named = grounded.batch(0)
    assert named.shape[:2] == (16, tokens.shape[1])
    expected = []
    with torch.no_grad():
        _, maps = matcher.judge(matcher.image(images), tokens, lengths=lengths, maps_of=0)
        assert maps is not None
        for row, place in named.any(-1).nonzero().tolist():
            word = made.decode([tokens[2 * row, place]])
            assert word not in ("a", "the", "on", "over", "sky", "left")  # nor anything that names no thing
            on_it = sum(maps[2 * row, head, place, 1:][named[row, place]].sum() for head in range(maps.shape[1]))
            expected.append(-torch.log(on_it / maps.shape[1]))
        more = grounded.loss(images, tokens, lengths, named) - plain.loss(images, tokens, lengths, named)
    assert len(expected) >= 16
    assert float(more) == pytest.approx(0.5 * float(torch.stack(expected).mean()), rel=1e-4)
    # Things of the first scene, and the patches under its boxes.
    scene = source.scenes(0, 1, "train")[0]
    boxes = torch.zeros(8, 8, dtype=torch.bool)
    for thing in scene.things:
        left, top, right, bottom = (edge // 8 for edge in thing.box)
        boxes[top:bottom, left:right] = True
    assert torch.equal(named[0].any(0).view(8, 8), boxes)

"""Scenes: captions are true, training never sees what is held out, everything follows from whole numbers."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genarium.errors import BadInput
from genarium.scenes import (
    Ask,
    Wanted,
    World,
    is_held_out,
    parse,
    sprites,
)
from genarium.scenes.checker import Checker, Seen, Sight, judge
from genarium.scenes.closeups import closeups
from genarium.scenes.degrade import blur, jpeg
from genarium.scenes.kinds import GROUPS, KINDS, of_group
from genarium.scenes.world import held_out

worlds = st.sampled_from([World(64), World(64, snap=8), World(128, snap=8), World(32, snap=4)])
seeds, indices = st.integers(0, 2**63), st.integers(0, 2**40)
splits = st.sampled_from(["train", "heldout"])


@given(worlds, seeds, indices, splits)
@settings(max_examples=200, deadline=None)
def test_things_stand_inside_the_image_on_the_grid_and_apart(world, seed, index, split):
    boxes = [thing.box for thing in world.scene(seed, index, split).things]
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert 0 <= left < right <= world.size
        assert 0 <= top < bottom <= world.size
        assert not any(side % world.snap for side in (left, top, right, bottom))
        assert all(left >= b[2] or right <= b[0] or top >= b[3] or bottom <= b[1] for b in boxes[:number])


@given(worlds, seeds, indices, splits)
@settings(max_examples=200, deadline=None)
def test_what_the_annotation_shows_is_what_the_caption_asks(world, seed, index, split):
    scene = world.scene(seed, index, split)
    seen = tuple(
        Seen(
            thing.kind,
            thing.colour or KINDS[thing.kind].natural or "natural",
            thing.size,
            (thing.box[0] + thing.box[2]) / 2 / world.size,
            (thing.box[1] + thing.box[3]) / 2 / world.size,
            1.0,
        )
        for thing in scene.things
    )
    assert judge(scene.ask, Sight(scene.background, seen)).wrong == ()
    assert parse(scene.caption) == (parsed := parse(scene.caption.upper()))
    assert (parsed.ask, parsed.unknown) == (scene.ask, ())


def test_training_never_shows_what_is_held_out_and_held_out_prompts_always_ask_for_it():
    world, shown = World(64), set()
    for index in range(4000):
        scene = world.scene(3, index)
        counts = {kind: [t.kind for t in scene.things].count(kind) for kind in {t.kind for t in scene.things}}
        shown |= {(kind, scene.background) for kind in counts} | set(counts.items())
        shown |= {(t.kind, t.colour) for t in scene.things if t.colour} | {(a, b) for a in counts for b in counts}
    assert len(shown) > 1000
    assert not [pair for pair in shown if held_out(*pair)]
    prompts = world.prompts("heldout", 300)
    assert len({text for text, _ in prompts}) == 300
    assert all(is_held_out(ask) and parse(text).ask == ask for text, ask in prompts)
    assert not any(is_held_out(ask) for _, ask in world.prompts("train", 300))


def test_a_close_up_shows_the_one_thing_that_its_caption_asks_for():
    world = World(64, snap=8, flip=False)
    images, captions = closeups(world, 5, 10, 60)
    again, told = closeups(world, 5, 40, 1)
    assert np.array_equal(images[30:31], again)
    assert captions[30] == told[0]
    asks = [parse(caption).ask for caption in captions]
    assert not any(is_held_out(ask) or ask.things[0].place or len(ask.things) > 1 for ask in asks)
    whole = np.pad(images, ((0, 0), (16, 16), (16, 16), (0, 0)), mode="edge")
    wrong = [verdict.wrong for verdict in Checker().check(whole, [Ask(ask.things) for ask in asks])]
    assert sum(set(faults) <= {"extra"} for faults in wrong) >= 54, (
        wrong
    )  # the checker sees things in the stretched edge


def test_the_world_has_sixty_kinds_and_more_flying_ones_first():
    assert len(KINDS) >= 60
    assert list(KINDS)[:9] == "bird eagle bat butterfly bee superhero rocket balloon plane".split()
    assert sum(bool(kind.colours) for kind in KINDS.values()) >= 24
    assert all(len(of_group(group)) >= 4 for group in GROUPS)


@pytest.mark.parametrize(
    ("prompt", "ask", "unknown"),
    [
        ("flying batman with colorful sky", Ask((Wanted("superhero"),), "colorful sky"), ()),
        (
            "flying animals with blue sky and white clouds",
            Ask((Wanted(group="flying animal", count=None),), "blue sky"),
            (),
        ),
        ("flying bird", Ask((Wanted("bird"),)), ()),
        ("an orange and an orange dog", Ask((Wanted("orange"), Wanted("dog", colour="orange"))), ()),
        ("a purple unicorn over Paris at night", Ask((), "night"), ("unicorn", "paris")),
        ("7 cats", Ask((Wanted("cat", count=7),)), ("7",)),
        ("a flying cat", Ask((Wanted("cat"),)), ("flying",)),
        ("", Ask(()), ()),
    ],
)
def test_prompts_are_understood_as_far_as_the_world_goes(prompt, ask, unknown):
    parsed = parse(prompt)
    assert (parsed.ask, parsed.unknown) == (ask, unknown)


@given(st.text(max_size=200))
def test_any_text_can_be_parsed(text):
    parse(text)


def test_a_scene_is_the_same_every_time_and_another_with_another_seed():
    first, captions = World(64, snap=8).arrays(5, 10, 20)
    again, same = World(64, snap=8).arrays(5, 10, 20)
    assert np.array_equal(first, again)
    assert captions == same
    middle, _ = World(64, snap=8).arrays(5, 15, 1)
    assert np.array_equal(first[5], middle[0])
    assert captions != World(64, snap=8).arrays(6, 10, 20)[1]


def test_an_image_differs_from_its_background_within_the_boxes_alone():
    world = World(64)
    for index in range(50):
        scene = world.scene(1, index)
        empty = world.image(type(scene)(scene.background, scene.variant, (), scene.ask, ""))
        changed = (world.image(scene) != empty).any(axis=-1)
        for thing in scene.things:
            left, top, right, bottom = thing.box
            assert changed[top:bottom, left:right].mean() > 0.1
            changed[top:bottom, left:right] = False
        assert not changed.any()


def sha256(*parts):
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]


def test_drawings_are_those_of_the_font_to_the_byte():
    """What these are was computed with Debian's font installed, before the drawings came with the package."""
    assert sha256(*(sprites.glyph(kind) for kind in KINDS)) == "89e124077dd338fc"
    red = [pixels for kind in KINDS.values() for pixels in sprites.sprite(kind.name, (*kind.colours, None)[0], 24)]
    assert sha256(*red) == "5af68e7d1235946e"
    assert sha256(World(64, snap=8).arrays(0, 0, 100)[0]) == "6d60c954380adbaa"
    assert sha256(World(128, snap=1).arrays(7, 0, 20, "heldout")[0]) == "a861daf1eb04966e"


@pytest.mark.parametrize("options", [{"size": 16}, {"size": 65, "snap": 8}, {"snap": 0}, {"kinds": ["unicorn"]}])
def test_worlds_that_cannot_be_are_refused(options):
    with pytest.raises(BadInput):
        World(**options)


@pytest.mark.parametrize(
    ("ask", "wrong"),
    [
        (Ask((Wanted("cat", colour="red", place="left"),), "sea"), ()),
        (Ask((Wanted("dog"),)), ("extra", "kind")),
        (Ask((Wanted("cat", count=2),)), ("count",)),
        (
            Ask((Wanted("cat", colour="blue", place="right", size="small"),), "night"),
            ("background", "colour", "place", "size"),
        ),
        (Ask((Wanted(group="animal"),)), ()),
        (Ask((Wanted(group="animal", count=None),)), ("count",)),
        (Ask(()), ("extra",)),
    ],
)
def test_verdicts_name_what_is_wrong(ask, wrong):
    assert judge(ask, Sight("sea", (Seen("cat", "red", "medium", 0.3, 0.6, 0.9),))).wrong == wrong


def test_two_of_a_kind_are_told_apart_by_their_colours():
    ask = Ask((Wanted("cat", colour="red", place="left"), Wanted("cat", colour="blue", place="right")))
    red, blue = Seen("cat", "red", "medium", 0.2, 0.5, 0.9), Seen("cat", "blue", "medium", 0.8, 0.5, 0.9)
    assert judge(ask, Sight("sea", (blue, red))).right
    assert not judge(ask, Sight("sea", (blue, blue))).right


def mild(images: np.ndarray, seed: int) -> np.ndarray:
    """Through JPEG of quality 50, a blur of 0.7 pixels and noise of 0.03 (of the range 0 to 1); uint8 in and out."""
    worn = np.stack([jpeg(image, 50) for image in images])
    x = blur(torch.from_numpy(worn).permute(0, 3, 1, 2).float() / 255, 0.7)
    x = x + 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return (x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def test_the_checker_sees_what_mildly_damaged_held_out_scenes_show():
    world, checker = World(64), Checker()
    scenes = [world.scene(23, index, "heldout") for index in range(100)]
    images = mild(np.stack([world.image(scene) for scene in scenes]), 23)
    asks = [scene.ask for scene in scenes]
    assert sum(verdict.right for verdict in checker.check(images, asks)) >= 96
    # Each picture judged by what the next one was asked.
    assert sum(verdict.right for verdict in checker.check(images, asks[1:] + asks[:1])) <= 4

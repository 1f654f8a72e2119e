"""Words of captions and the things they name, checked on scenes of the grammar itself."""

from __future__ import annotations

import numpy as np

from genarium.scenes import World
from genarium.scenes.kinds import COLOURS, KINDS
from genarium.scenes.regions import covered, named

WORLD = World(64)


def test_nouns_and_colours_stand_for_the_things_they_are_said_of() -> None:
    wanted = nouns = 0
    for index in range(300):
        scene = WORLD.scene(5, index, "heldout")
        found = named(scene)
        wanted += len(scene.ask.things)
        nouns += sum(not one.colour for one in found)
        for one in found:
            word = scene.caption[one.start : one.end]
            assert " " not in word
            assert one.things
            if one.colour:
                assert word in COLOURS
                assert {thing.colour for thing in one.things} == {word}
        words = {scene.caption[one.start : one.end] for one in found}
        for thing in scene.things:
            if len(scene.ask.things) == 2:
                assert any(name.split()[-1] in words for name in KINDS[thing.kind].names)
    assert nouns > 0.99 * wanted


def test_a_region_is_where_the_image_changes_without_the_thing() -> None:
    scene = next(s for i in range(99) if len((s := WORLD.scene(1, i)).things) == 2)
    first = scene.things[:1]
    without = type(scene)(scene.background, scene.variant, scene.things[1:], scene.ask, scene.caption)
    changed = (WORLD.image(scene) != WORLD.image(without)).any(axis=2)
    boxes, exact = covered(first, 64), covered(first, 64, exactly=True)
    assert not (changed & ~boxes).any()
    assert (exact & changed).sum() > 0.9 * exact.sum()
    assert 0.2 * boxes.sum() < exact.sum() < boxes.sum()
    assert np.array_equal(exact & boxes, exact)

"""A recipe is the same recipe however it is written down, and another one when anything in it changes."""

from __future__ import annotations

import hashlib
import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genarium.errors import BadInput
from genarium.recipe import MAX_SEED, Model, Recipe

NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(TEXTS, VALUES, max_size=6)
MODELS = st.none() | st.builds(Model, TEXTS, TEXTS)
RECIPES = st.builds(Recipe.of, TEXTS, ARGUMENTS, MODELS, st.integers(0, MAX_SEED))


def shuffled(value: Any, order: random.Random) -> Any:
    """The same JSON value with the keys of every object in another order."""
    if isinstance(value, dict):
        items = [(k, shuffled(v, order)) for k, v in value.items()]
        order.shuffle(items)
        return dict(items)
    return [shuffled(v, order) for v in value] if isinstance(value, list) else value


@given(RECIPES)
def test_written_as_json_and_read_back_it_is_the_same(recipe: Recipe) -> None:
    for again in (
        Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))),
        Recipe.from_json(recipe.canonical().decode()),
    ):
        assert again == recipe
        assert again.digest == recipe.digest == hashlib.sha256(recipe.canonical()).hexdigest()


@given(RECIPES, st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(recipe: Recipe, order: random.Random) -> None:
    other = Recipe.from_dict(shuffled(recipe.as_dict(), order))
    assert other.digest == recipe.digest


@given(RECIPES, RECIPES)
def test_equal_digests_are_equal_recipes(first: Recipe, second: Recipe) -> None:
    assert (first.digest == second.digest) == (first.canonical() == second.canonical())
    assert (first == second) == (first.digest == second.digest)


@given(RECIPES, st.integers(0, MAX_SEED), TEXTS)
def test_every_part_is_in_the_digest(recipe: Recipe, seed: int, text: str) -> None:
    raw = recipe.as_dict()
    changes = [{"seed": seed}, {"task": text}, {"model": {"reference": text, "digest": "0"}}]
    changes.append({"arguments": recipe.arguments | {"a new one": text}})
    for change in changes:
        other = Recipe.from_dict(raw | change)
        assert (other.digest == recipe.digest) == (other.as_dict() == recipe.as_dict())


def test_whole_numbers_and_their_floats_are_one_value() -> None:
    """JSON has one kind of number, so 1 and 1.0 must be one recipe (RFC 8785, 3.2.2.3)."""
    first, second = (Recipe.of("text", {"temperature": value}, None, 0) for value in (1, 1.0))
    assert first.digest == second.digest
    assert first == second


def test_the_canonical_form_is_the_one_of_the_standard() -> None:
    recipe = Recipe.of("text", {"b": 1e30, "a": "€\n", "c": [0.1, True, None]}, Model("gpt2", "00"), 7)
    assert (
        recipe.canonical()
        == (
            '{"arguments":{"a":"€\\n","b":1e+30,"c":[0.1,true,null]},"format":1,'
            '"model":{"digest":"00","reference":"gpt2"},"seed":7,"task":"text"}'
        ).encode()
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", 2**60 + 1, {1: 2}])
def test_what_json_can_not_hold_is_a_sentence(value: Any) -> None:
    with pytest.raises(BadInput, match="can't be written down as JSON"):
        Recipe.of("text", {"x": value}, None, 0)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(BadInput, match="seed must be between"):
        Recipe.of("text", {}, None, seed)


def test_a_recipe_of_a_later_format_is_refused() -> None:
    raw = Recipe.of("text", {}, None, 0).as_dict()
    with pytest.raises(BadInput, match="update Genarium"):
        Recipe.from_dict(raw | {"format": 2})
    with pytest.raises(BadInput, match="not a recipe"):
        Recipe.from_dict({"format": 1})


def test_changing_the_arguments_given_out_changes_no_recipe() -> None:
    recipe = Recipe.of("text", {"stop": ["a"]}, None, 0)
    recipe.arguments["stop"].append("b")
    assert recipe.arguments == {"stop": ["a"]}

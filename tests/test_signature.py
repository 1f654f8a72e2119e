"""One reading of a signature gives checks, schema and options that agree with each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval, MaxLen, MinLen
from hypothesis import given
from hypothesis import strategies as st

from genarium.errors import BadInput
from genarium.signature import Verbatim, bind, grouped, parameters


def paint(
    prompt: Annotated[str, Doc("what to paint"), MinLen(1)],
    words: Annotated[list[str] | None, Doc("more of it")] = None,
    *,
    n: Annotated[int, Doc("how many"), Interval(ge=1, le=9)] = 1,
    strength: Annotated[float, Doc("how much"), Gt(0), Interval(lt=1)] = 0.5,
    steps: Annotated[int | None, Doc("how long"), Ge(1)] = None,
    style: Annotated[Literal["oil", "ink"], Doc("with what")] = "oil",
    signed: Annotated[bool, Doc("with a name")] = False,
    brushes: Annotated[str | list[str] | None, Doc("with one or several"), MaxLen(2)] = None,
) -> None: ...


PARAMETERS = parameters(paint)
ANYTHING = (
    st.none() | st.booleans() | st.integers(-5, 15) | st.floats() | st.sampled_from(["oil", "ink", "", " ", "a"])
) | st.lists(st.sampled_from(["a", 1]), max_size=2)


@given(st.dictionaries(st.sampled_from([p.name for p in PARAMETERS]), ANYTHING, min_size=1))
def test_what_the_checks_take_the_schema_takes_and_no_more(given_values: dict[str, Any]) -> None:
    """But for blank text and numbers that are not finite, which JSON Schema has no word for."""
    values = {"prompt": "a tree"} | given_values
    try:
        bound = bind("paint", PARAMETERS, (), values)
    except BadInput:
        bound = None
    schema = {
        "type": "object",
        "properties": {p.name: p.schema() for p in PARAMETERS},
        "required": [p.name for p in PARAMETERS if p.required],
        "additionalProperties": False,
    }
    valid = jsonschema.Draft202012Validator(schema).is_valid(values)
    blank = values["prompt"] == " "
    infinite = any(isinstance(v, float) and not math.isfinite(v) for v in values.values())
    if not blank and not infinite:
        assert (bound is not None) == valid
    if bound is not None:
        assert list(bound) == [p.name for p in PARAMETERS]
        assert all(bound[name] in (value, [value]) for name, value in values.items())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prompt": "  "}, "prompt is empty; give it some text"),
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"n": 10}, "n must be at most 9, got 10"),
        ({"n": 1.5}, "n must be a whole number, got 1.5"),
        ({"n": True}, "n must be a whole number, got True"),
        ({"strength": 0}, "strength must be more than 0, got 0"),
        ({"strength": 1}, "strength must be less than 1, got 1"),
        ({"strength": math.nan}, "strength must be a number, got nan"),
        ({"style": "chalk"}, "style must be one of oil, ink; got 'chalk'"),
        ({"words": "one"}, "words must be a list, got 'one'"),
        ({"m": 1}, "paint has no 'm'; it takes prompt, words, n, strength, steps, style, signed, brushes"),
    ],
)
def test_a_mistake_is_named_with_the_way_out(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        bind("paint", PARAMETERS, (), {"prompt": "a tree"} | values)
    assert str(caught.value) == message


def test_missing_twice_given_and_too_many_arguments_are_named() -> None:
    with pytest.raises(BadInput, match="paint needs prompt: what to paint"):
        bind("paint", PARAMETERS, (), {})
    with pytest.raises(BadInput, match="got prompt twice"):
        bind("paint", PARAMETERS, ("a tree",), {"prompt": "a tree"})
    with pytest.raises(BadInput, match="takes 2 unnamed arguments, got 3"):
        bind("paint", PARAMETERS, ("a tree", ["old"], 3), {})


def test_one_text_given_unnamed_is_a_list_of_one() -> None:
    assert bind("paint", PARAMETERS, ("a tree", "old"), {})["words"] == ["old"]


def test_a_file_must_be_one_that_is_there(tmp_path: Path) -> None:
    def read(file: Annotated[Path, Doc("what to read")]) -> None: ...

    [wanted] = parameters(read)
    there = tmp_path / "there.txt"
    there.write_text("x")
    assert wanted.check(str(there)) == wanted.check(there) == there
    with pytest.raises(BadInput, match=r"file must be a file to read, but .*gone\.txt is not there"):
        wanted.check(str(tmp_path / "gone.txt"))
    with pytest.raises(BadInput, match="is a folder"):
        wanted.check(tmp_path)
    assert wanted.schema() == {"type": "string", "format": "path", "description": "what to read"}


def test_what_is_named_by_text_may_be_a_path_in_python_and_a_prompt_may_not(tmp_path: Path) -> None:
    def look(photos: Annotated[list[str], Doc("pictures"), Verbatim()], prompt: str = "") -> None: ...

    assert bind("look", parameters(look), (tmp_path,), {})["photos"] == [str(tmp_path)]
    with pytest.raises(BadInput, match="prompt must be text"):
        bind("look", parameters(look), (tmp_path,), {"prompt": tmp_path})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"texts": ["x"] * 4}, "texts has 4 items; give at most 3"),
        ({"texts": ["x" * 11]}, "texts has 11 characters; at most 10 are read"),
        ({"texts": ["\ud800"]}, r"texts is not UTF-8 text \(character 1\)"),
        ({"texts": "x" * 10_000}, "texts must be a list, got '.{100,130}'$"),
        ({"word": ["y" * 10_000] * 1000}, "word must be text, got .{10,900}$"),
        ({"word": "x" * 1_000_001}, "word has 1,000,001 characters; at most 1,000,000 are read"),
    ],
)
def test_what_is_given_has_limits_and_is_cut_in_messages(values: dict[str, Any], said: str) -> None:
    def task(
        *, texts: Annotated[list[Annotated[str, MaxLen(10)]] | None, MaxLen(3)] = None, word: str = ""
    ) -> None: ...

    wanted = parameters(task)
    assert wanted[0].schema()["anyOf"][0]["maxItems"] == 3
    assert wanted[0].schema()["anyOf"][0]["items"]["maxLength"] == 10
    with pytest.raises(BadInput, match=said):
        bind("task", wanted, (), values)


@dataclass(frozen=True)
class Tools:
    brush: Annotated[str, Doc("what with")]
    size: Annotated[int | None, Doc("how wide"), Ge(1)] = None


@dataclass(frozen=True)
class Studio(Tools):
    light: Annotated[bool, Doc("in the sun")] = False


def test_a_dataclass_stands_for_its_fields_with_the_defaults_that_the_function_gives() -> None:
    def draw(*, tools: Tools, n: int = 1) -> None: ...
    def paint(*, n: int = 1, studio: Studio = Studio("fine", size=3)) -> None: ...

    drawn, painted = parameters(draw), parameters(paint)
    assert [(p.name, p.required, p.default, p.optional) for p in drawn[1:]] == [
        ("size", False, None, True),
        ("n", False, 1, False),
    ]
    assert drawn[0].required
    assert [(p.name, p.default, p.optional) for p in painted] == [
        ("n", 1, False),
        ("brush", "fine", False),
        ("size", 3, False),
        ("light", False, False),
    ]
    with pytest.raises(BadInput, match="draw needs brush: what with"):
        bind("draw", drawn, (), {"size": 1})
    for given_size, said in ((0, "size must be at least 1"), (None, "size must be a whole number")):
        with pytest.raises(BadInput, match=said):
            bind("paint", painted, (), {"size": given_size})
    assert grouped(draw, bind("draw", drawn, (), {"brush": "wide"})) == {"tools": Tools("wide"), "n": 1}
    values = bind("paint", painted, (), {"light": True, "n": 2})
    assert grouped(paint, values) == {"n": 2, "studio": Studio("fine", 3, light=True)}


def test_a_field_that_the_function_names_itself_is_as_it_says_there_and_in_both_places() -> None:
    def draw(*, size: Annotated[int | None, Doc("wider"), Ge(0)] = None, tools: Tools = Tools("fine", 3)) -> None: ...

    size, brush = parameters(draw)
    assert (size.name, size.help, size.minimum, size.default, brush.name) == ("size", "wider", 0, None, "brush")
    assert grouped(draw, bind("draw", [size, brush], (), {"size": 0})) == {"size": 0, "tools": Tools("fine", 0)}

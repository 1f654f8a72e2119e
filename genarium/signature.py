"""A function's signature as data: what the command line, the HTTP schema and the web form are built from.

A parameter is `name: Annotated[TYPE, Doc("help"), Ge(0), …] = default`, in the words of the standard libraries for
it: `annotated_doc.Doc` for help, `annotated_types` for ranges, `Literal` for choices, `X | None` for optional,
`list[X]` for repeatable, `Path` for a file to read, a `TypedDict` for an object with named fields. FastAPI and
pydantic read the same annotations.
"""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from annotated_doc import Doc
from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MinLen

from genarium.errors import BadInput

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Verbatim:
    """Metadata of an argument that may be `-`: the task reads standard input itself, as bytes."""


@dataclass(frozen=True)
class Parameter:
    """One argument: its type, its bounds (`above`/`below` exclusive), its choices, its default and its help."""

    name: str
    type: type
    default: Any = REQUIRED
    help: str = ""
    positional: bool = False
    optional: bool = False
    repeated: bool = False
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    needs_content: bool = False
    verbatim: bool = False
    fields: tuple[Parameter, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    def check(self, value: Any) -> Any:
        """The value as this parameter's type, or BadInput: what is wrong, and what would be right."""
        if value is None and (self.optional or self.default is None):
            return None
        if self.repeated:
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise BadInput(f"{self.name} must be a list, got {value!r}")
            if self.needs_content and not value:
                raise BadInput(f"{self.name} is empty; give at least one")
            return [self._check_one(item) for item in value]
        return self._check_one(value)

    def _check_one(self, value: Any) -> Any:
        # A photo is named by text, which from Python may be a path.
        converted = _convert(str(value) if self.verbatim and isinstance(value, Path) else value, self.type)
        if converted is None:
            raise BadInput(f"{self.name} must be {TYPE_NAMES.get(self.type, self.type.__name__)}, got {value!r}")
        if self.fields:
            return bind(self.name, self.fields, (), converted)
        if self.choices and converted not in self.choices:
            raise BadInput(f"{self.name} must be one of {', '.join(map(str, self.choices))}; got {value!r}")
        if self.needs_content and not converted.strip():
            raise BadInput(f"{self.name} is empty; give it some text")
        if self.type is Path and not converted.is_file():
            found = "is a folder" if converted.is_dir() else "is not there"
            raise BadInput(f"{self.name} must be a file to read, but {value} {found}")
        tests = (
            (self.minimum, lambda limit: converted < limit, "at least"),
            (self.maximum, lambda limit: converted > limit, "at most"),
            (self.above, lambda limit: converted <= limit, "more than"),
            (self.below, lambda limit: converted >= limit, "less than"),
        )
        for limit, broken, words in tests:
            if limit is not None and broken(limit):
                raise BadInput(f"{self.name} must be {words} {limit:g}, got {value!r}")
        return converted

    def schema(self) -> dict[str, Any]:
        """This parameter as JSON Schema."""
        one: dict[str, Any] = {"type": JSON_TYPES[self.type]} | ({"format": "path"} if self.type is Path else {})
        if self.fields:
            one["properties"] = {field.name: field.schema() for field in self.fields}
            one["required"] = [field.name for field in self.fields if field.required]
        bounds = {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "exclusiveMinimum": self.above,
            "exclusiveMaximum": self.below,
            "enum": list(self.choices) or None,
            "minLength": 1 if self.needs_content else None,
        }
        one |= {name: value for name, value in bounds.items() if value is not None}
        whole = {"type": "array", "items": one} if self.repeated else one
        if self.optional:
            whole = {"anyOf": [whole, {"type": "null"}]}
        if not self.required:
            whole["default"] = self.default
        return whole | {"description": self.help}


JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", Path: "string", dict: "object"}
TYPE_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a file's path",
    dict: "an object",
}


def _convert(value: Any, wanted: type) -> Any:
    """The value as `wanted` where nothing is lost by it, else None."""
    if wanted is bool:
        return value if isinstance(value, bool) else None
    if wanted is int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return int(value) if whole and not isinstance(value, bool) else None
    if wanted is float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if number else None
    if wanted is Path:
        return Path(value).expanduser() if isinstance(value, str | Path) and str(value) else None
    if wanted is dict:
        return dict(value) if isinstance(value, Mapping) else None
    return value if isinstance(value, wanted) else None


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """The function's parameters in order."""
    hints = get_type_hints(function, include_extras=True)
    return [
        _parameter(p.name, hints[p.name], default=p.default, positional=p.kind is not inspect.Parameter.KEYWORD_ONLY)
        for p in inspect.signature(function).parameters.values()
    ]


def _parameter(name: str, hint: Any, *, default: Any = REQUIRED, positional: bool = False) -> Parameter:
    metadata: list[Any] = []
    if get_origin(hint) is Annotated:
        hint, *metadata = get_args(hint)
    optional = False
    if get_origin(hint) in (Union, types.UnionType):
        inner = [part for part in get_args(hint) if part is not type(None)]
        optional, hint = True, inner[0]
    repeated = get_origin(hint) is list
    if repeated:
        hint = get_args(hint)[0]
    choices: tuple[Any, ...] = ()
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        hint = type(choices[0])
    facts: dict[str, Any] = {}
    if is_typeddict(hint):
        named = get_type_hints(hint, include_extras=True)
        facts["fields"], hint = tuple(_parameter(field, inner) for field, inner in named.items()), dict
    for item in [m for entry in metadata for m in (entry if isinstance(entry, GroupedMetadata) else [entry])]:
        match item:
            case Doc():
                facts["help"] = item.documentation
            case Ge():
                facts["minimum"] = item.ge
            case Le():
                facts["maximum"] = item.le
            case Gt():
                facts["above"] = item.gt
            case Lt():
                facts["below"] = item.lt
            case MinLen() | Verbatim():
                facts["verbatim" if isinstance(item, Verbatim) else "needs_content"] = True
    return Parameter(
        name=name,
        type=hint,
        default=default,
        positional=positional,
        optional=optional,
        repeated=repeated,
        choices=choices,
        **facts,
    )


def bind(name: str, wanted: Sequence[Parameter], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter's checked value, defaults filled in. Raises BadInput, naming the parameter."""
    given = dict(kwargs)
    places = [p for p in wanted if p.positional]
    if len(args) > len(places):
        raise BadInput(f"{name} takes {len(places)} unnamed argument{'s' * (len(places) != 1)}, got {len(args)}")
    for place, value in zip(places, args, strict=False):
        if place.name in given:
            raise BadInput(f"{name} got {place.name} twice")
        # genarium.answer("Who?", …): one text given unnamed is a list of one, as on the command line.
        given[place.name] = [value] if place.repeated and isinstance(value, str | Path) else value
    if unknown := sorted(given.keys() - {p.name for p in wanted}):
        raise BadInput(f"{name} has no {unknown[0]!r}; it takes {', '.join(p.name for p in wanted)}")
    values = {}
    for parameter in wanted:
        if parameter.name not in given:
            if parameter.required:
                raise BadInput(f"{name} needs {parameter.name}: {parameter.help}")
            values[parameter.name] = parameter.default
        else:
            values[parameter.name] = parameter.check(given[parameter.name])
    return values

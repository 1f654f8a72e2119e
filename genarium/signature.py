"""A function's signature as data: what the command line, the HTTP schema and the web form are built from.

A parameter is `name: Annotated[TYPE, Doc("help"), Ge(0), …] = default`, in the words of the standard libraries for
it: `annotated_doc.Doc` for help, `annotated_types` for ranges, `Literal` for choices, `X | None` for optional,
`list[X]` for repeatable (`MaxLen` then counts items; of each it stands inside, `list[Annotated[X, MaxLen(9)]]`),
`X | list[X]` where one stands for a list of one, `Path`
for a file to read, a `TypedDict` for an object with named fields. FastAPI and pydantic read the same annotations.
A parameter whose type is a dataclass stands for its fields: options that several functions share are written once.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import reprlib
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from annotated_doc import Doc
from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen

from genarium import files
from genarium.errors import BadInput

REQUIRED = inspect.Parameter.empty
LONGEST_TEXT = 1_000_000
"""Characters of a text where the signature says nothing else: ten novels, and a second to tokenise."""
LONGEST_BOOK = 10_000_000
"""Characters where a text is read piece by piece."""
MOST_ITEMS = 1_000_000
LARGEST_FILE = 2**30
"""Bytes of a file that is given as an argument."""


@dataclass(frozen=True)
class Verbatim:
    """Metadata of an argument that may be `-`: the task reads standard input itself, as bytes."""


@dataclass(frozen=True)
class ModelOption:
    """Metadata of an argument that not every model takes: an engine's limits say which do, and what it usually is."""


@dataclass(frozen=True)
class Parameter:
    """One argument: its type, its bounds (`above`/`below` exclusive), its choices, its default and its help.

    `longest` is in characters of a text, `most` the items of a repeated argument. `or_one` says that a repeated one may
    be given as its only item.
    """

    name: str
    type: type
    default: Any = REQUIRED
    help: str = ""
    positional: bool = False
    optional: bool = False
    repeated: bool = False
    or_one: bool = False
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    longest: int = LONGEST_TEXT
    most: int = MOST_ITEMS
    needs_content: bool = False
    verbatim: bool = False
    of_model: bool = False
    fields: tuple[Parameter, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    def check(self, value: Any) -> Any:
        """The value as this parameter's type, or BadInput: what is wrong, and what would be right."""
        if value is None and (self.optional or self.default is None):
            return None
        if self.or_one and isinstance(value, str):
            value = [value]
        if self.repeated:
            if isinstance(value, str) or not isinstance(value, Sequence):
                wanted = f"{TYPE_NAMES[self.type]} or a list of it" if self.or_one else "a list"
                raise BadInput(f"{self.name} must be {wanted}, got {seen(value)}")
            if self.needs_content and not value:
                raise BadInput(f"{self.name} is empty; give at least one")
            if len(value) > self.most:
                raise BadInput(f"{self.name} has {len(value):,} items; give at most {self.most:,}")
            return [self._check_one(item) for item in value]
        return self._check_one(value)

    def _check_one(self, value: Any) -> Any:
        # A photo is named by text, which from Python may be a path.
        converted = _convert(str(value) if self.verbatim and isinstance(value, Path) else value, self.type)
        if converted is None:
            raise BadInput(f"{self.name} must be {TYPE_NAMES.get(self.type, self.type.__name__)}, got {seen(value)}")
        if self.type is str:
            self._check_text(converted)
        if self.fields:
            return bind(self.name, self.fields, (), converted)
        if self.choices and converted not in self.choices:
            raise BadInput(f"{self.name} must be one of {', '.join(map(str, self.choices))}; got {seen(value)}")
        if self.needs_content and not converted.strip():
            raise BadInput(f"{self.name} is empty; give it some text")
        if self.type is Path:
            self._check_file(converted)
        tests = (
            (self.minimum, lambda limit: converted < limit, "at least"),
            (self.maximum, lambda limit: converted > limit, "at most"),
            (self.above, lambda limit: converted <= limit, "more than"),
            (self.below, lambda limit: converted >= limit, "less than"),
        )
        for limit, broken, words in tests:
            if limit is not None and broken(limit):
                raise BadInput(f"{self.name} must be {words} {limit:g}, got {seen(value)}")
        return converted

    def _check_text(self, text: str) -> None:
        if len(text) > self.longest:
            raise BadInput(f"{self.name} has {len(text):,} characters; at most {self.longest:,} are read")
        if not self.verbatim:  # which may be a path, and those are bytes
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise BadInput(
                    f"{self.name} is not UTF-8 text (character {error.start + 1}); convert it first"
                ) from None

    def _check_file(self, file: Path) -> None:
        if not file.is_file():
            found = "is a folder" if file.is_dir() else "is a pipe or a device" if file.exists() else "is not there"
            raise BadInput(f"{self.name} must be a file to read, but {files.shortened(str(file), 300)} {found}")
        if file.stat().st_size > LARGEST_FILE:
            raise BadInput(f"{self.name} is larger than {LARGEST_FILE // 2**30} GiB, the most that is read; split it")

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
            "maxLength": self.longest if self.type is str and not self.choices else None,
        }
        one |= {name: value for name, value in bounds.items() if value is not None}
        whole = {"type": "array", "items": one, "maxItems": self.most} if self.repeated else one
        if self.optional or self.or_one:
            either = [whole, *([one] if self.or_one else []), *([{"type": "null"}] if self.optional else [])]
            whole = {"anyOf": either}
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
        return files.named(value) if isinstance(value, str | Path) and str(value) else None
    if wanted is dict:
        return dict(value) if isinstance(value, Mapping) else None
    return value if isinstance(value, wanted) else None


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """The function's parameters in order, a dataclass's fields in its place.

    The defaults of fields are those of the instance that the dataclass's own default is, and of those that have one
    there, None is no value. A field that the function names itself is as it says there.
    """
    hints = get_type_hints(function, include_extras=True)
    own = [name for name, hint in hints.items() if not dataclasses.is_dataclass(hint)]
    found: list[Parameter] = []
    for p in inspect.signature(function).parameters.values():
        if dataclasses.is_dataclass(hints[p.name]):
            found += [field for field in _fields(hints[p.name], p.default) if field.name not in own]
        else:
            positional = p.kind is not inspect.Parameter.KEYWORD_ONLY
            found.append(_parameter(p.name, hints[p.name], default=p.default, positional=positional))
    return found


def grouped(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the names of `parameters`, as the function takes them: dataclasses put together."""
    hints: dict[str, Any] = get_type_hints(function)
    found: dict[str, Any] = {}
    for name in inspect.signature(function).parameters:
        group = hints[name]
        if dataclasses.is_dataclass(group):
            found[name] = hints[name](**{field.name: values[field.name] for field in dataclasses.fields(group)})
        else:
            found[name] = values[name]
    return found


def _fields(group: Any, default: Any) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    found = []
    for field in dataclasses.fields(group):
        missing = field.default is dataclasses.MISSING
        value = getattr(default, field.name, REQUIRED if missing else field.default)
        parameter = _parameter(field.name, hints[field.name], default=value)
        found.append(dataclasses.replace(parameter, optional=parameter.optional and value is None))
    return found


def _parameter(name: str, hint: Any, *, default: Any = REQUIRED, positional: bool = False) -> Parameter:
    hint, metadata = _apart(hint)
    optional = False
    facts: dict[str, Any] = {}
    if get_origin(hint) in (Union, types.UnionType):
        inner = [part for part in get_args(hint) if part is not type(None)]
        lists = [part for part in inner if get_origin(part) is list]
        optional, hint = len(inner) < len(get_args(hint)), (lists or inner)[0]
        facts["or_one"] = len(inner) > len(lists) > 0
    repeated = get_origin(hint) is list
    if repeated:
        facts["most"] = next((item.max_length for item in metadata if isinstance(item, MaxLen)), MOST_ITEMS)
        hint, of_items = _apart(get_args(hint)[0])
        metadata = [item for item in metadata if not isinstance(item, MaxLen)] + of_items
    choices: tuple[Any, ...] = ()
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        hint = type(choices[0])
    if is_typeddict(hint):
        named = get_type_hints(hint, include_extras=True)
        facts["fields"], hint = tuple(_parameter(field, inner) for field, inner in named.items()), dict
    return Parameter(
        name=name,
        type=hint,
        default=default,
        positional=positional,
        optional=optional,
        repeated=repeated,
        choices=choices,
        **facts,
        **_said_of(metadata),
    )


def _apart(hint: Any) -> tuple[Any, list[Any]]:
    """A type and what is annotated to it."""
    if get_origin(hint) is not Annotated:
        return hint, []
    inner, *metadata = get_args(hint)
    return inner, [m for entry in metadata for m in (entry if isinstance(entry, GroupedMetadata) else [entry])]


def _said_of(metadata: Sequence[Any]) -> dict[str, Any]:
    """What annotations say, as fields of a Parameter."""
    facts: dict[str, Any] = {}
    for item in metadata:
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
            case MaxLen():
                facts["longest"] = item.max_length
            case MinLen():
                facts["needs_content"] = True
            case Verbatim():
                facts["verbatim"] = True
            case ModelOption():
                facts["of_model"] = True
    return facts


def seen(value: Any) -> str:
    """The value for a sentence, cut where it is long."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxlong = 60


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

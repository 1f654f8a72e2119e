"""Recipe: what was asked, complete. Two equal recipes on one machine give the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import rfc8785

from genarium.errors import BadInput

FORMAT = 1
MAX_SEED = 2**53 - 1
"""The largest whole number every JSON reader keeps exact (RFC 8785, RFC 7493)."""


@dataclass(frozen=True)
class Model:
    """A model by reference (`starter/text`, a folder, a hub id, `openai:NAME`) and by the digest of its files.

    The digest is empty where the files are out of reach, as behind an endpoint.
    """

    reference: str
    digest: str = ""


@dataclass(frozen=True)
class Recipe:
    """Task, every argument (defaults included), model and seed. Immutable: `arguments` is kept as JSON."""

    task: str
    arguments_json: str
    model: Model | None
    seed: int

    @classmethod
    def of(cls, task: str, arguments: Mapping[str, Any], model: Model | None, seed: int) -> Recipe:
        """Raises BadInput where an argument is not JSON (a number that is not finite, say)."""
        try:
            canonical = rfc8785.dumps(dict(arguments)).decode()
        except (rfc8785.CanonicalizationError, UnicodeError) as error:
            raise BadInput(f"the arguments of {task} can't be written down as JSON: {error}") from None
        if not 0 <= seed <= MAX_SEED:
            raise BadInput(f"seed must be between 0 and {MAX_SEED}, got {seed}")
        return cls(task, canonical, model, seed)

    @property
    def arguments(self) -> dict[str, Any]:
        """A fresh copy each time."""
        loaded: dict[str, Any] = json.loads(self.arguments_json, parse_int=_number)
        return loaded

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON values; `from_dict` reads it back."""
        return {
            "format": FORMAT,
            "task": self.task,
            "arguments": self.arguments,
            "model": None if self.model is None else {"reference": self.model.reference, "digest": self.model.digest},
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Recipe:
        """Raises BadInput where a part is missing or the format is a later one."""
        try:
            if raw["format"] != FORMAT:
                raise BadInput(f"recipe format {raw['format']!r} is not known here (this is {FORMAT}); update Genarium")
            model = Model(raw["model"]["reference"], raw["model"]["digest"]) if raw["model"] else None
            return cls.of(raw["task"], raw["arguments"], model, raw["seed"])
        except (KeyError, TypeError) as error:
            raise BadInput(f"not a recipe: {error}") from None

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `canonical` wrote. Raises BadInput."""
        return cls.from_dict(json.loads(text, parse_int=_number))

    def canonical(self) -> bytes:
        """The recipe in canonical JSON (RFC 8785): one byte string for one recipe, however it was written."""
        return rfc8785.dumps(self.as_dict())

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical JSON, hexadecimal."""
        return hashlib.sha256(self.canonical()).hexdigest()


def _number(text: str) -> int | float:
    """A whole number in JSON. A float such as 1e20 is written without a point (RFC 8785, 3.2.2.3) and is one again."""
    number = int(text)
    return number if abs(number) <= MAX_SEED else float(text)

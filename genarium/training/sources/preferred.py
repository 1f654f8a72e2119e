"""What alignment learns from: a file of examples or preferences, in the part that is learned and the part that is
watched."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from annotated_doc import Doc
from annotated_types import Ge, Le

from genarium import files
from genarium.data.conversations import Prompt
from genarium.data.labelled import alike, hold_out
from genarium.data.tables import How
from genarium.errors import BadInput
from genarium.progress import emit, note
from genarium.training.options import Delimiter, Encoding

if TYPE_CHECKING:
    from genarium.training.policy import Policy

Row = TypeVar("Row", bound=Any)
"""Has a `prompt`."""


@dataclass(frozen=True)
class DataOptions:
    """Which file, and how it is read."""

    data: Annotated[Path, Doc("what is learned from: JSON Lines, JSON, CSV or TSV")]
    form: Annotated[
        Literal["auto", "text", "chat"],
        Doc("prompts that are plain text are continued (auto, text), or said to the model as messages (chat)"),
    ] = "auto"
    validation: Annotated[float, Doc("share of the prompts to watch, not learn"), Ge(0.0), Le(0.5)] = 0.1
    validation_data: Annotated[Path | None, Doc("watch this file instead of a share of the data")] = None
    max_length: Annotated[int | None, Doc("tokens of prompt and answer [default: 1024, or the context]"), Ge(8)] = None
    delimiter: Delimiter = None
    encoding: Encoding = None

    def length(self, context: int) -> int:
        """Tokens that are read of a text, where the model reads `context`. Raises BadInput."""
        if self.max_length is not None and self.max_length > context:
            raise BadInput(f"max_length must be at most {context}, what the model reads; got {self.max_length}")
        return min(context, self.max_length or 1024)

    def read(self, reader: Callable[[Path, How], list[Row]], seed: int) -> Parts[Row]:
        """The rows in their parts, all of one prompt on one side. Raises BadInput."""
        how = How(self.delimiter, self.encoding)
        emit("reading", preview=self.data.name)
        digest = files.sha256(self.data)
        found = [self._formed(row) for row in reader(self.data, how)]
        if self.validation_data is not None:
            watched = [self._formed(row) for row in reader(self.validation_data, how)]
            kept = {_key(row.prompt) for row in watched}
            learned = [row for row in found if _key(row.prompt) not in kept]
            if lost := len(found) - len(learned):
                note(f"{lost} of {len(found)} rows have prompts that are watched as well, and are not learned from")
        else:
            places, out = hold_out([_key(row.prompt) for row in found], self.validation, seed)
            learned, watched = [found[place] for place in places], [found[place] for place in out]
            if self.validation and not watched:
                note(f"nothing is left to watch: {self.validation:g} of {len(found)} rows is less than one")
        if not learned:
            raise BadInput(f"every prompt of {self.data} is watched as well, so nothing is left to learn from")
        return Parts(learned, watched, self.data.name, digest)

    def _formed(self, row: Row) -> Row:
        if self.form != "chat" or not isinstance(row.prompt, str):
            return row
        said: Prompt = ({"role": "user", "content": row.prompt},)
        formed: Row = replace(row, prompt=said)
        return formed


@dataclass(frozen=True)
class Parts(Generic[Row]):
    """Rows to learn from and to watch, of the file of that name and sha256."""

    train: Sequence[Row]
    validation: Sequence[Row]
    name: str
    digest: str

    def learned_from(self, kind: Literal["pairs", "examples", "prompts", "scores"]) -> dict[str, Any]:
        """What `training.json` says of it."""
        return {"kind": kind, "count": len(self.train), "sha256": self.digest, "name": self.name}

    def introduce(self, policy: Policy, form: str) -> None:
        """The policy will talk where it learns from conversations; says where one that was taught to talk learns from
        texts that it continues."""
        texts = sum(isinstance(row.prompt, str) for row in self.train)
        policy.talks = policy.talks or texts < len(self.train)
        if texts and policy.answers.chats and form == "auto":
            note(
                f"{texts} prompts in {self.name} are plain text, which the model learns to continue; to have them said "
                "to it as messages, choose the form chat"
            )

    def sample(self) -> Prompt | None:
        """A prompt for the samples along the way: the first that is watched, or else learned."""
        rows = self.validation or self.train
        return rows[0].prompt if rows else None


def _key(prompt: Prompt) -> str:
    """What must not be known beforehand, the same for prompts that are alike."""
    return alike(prompt if isinstance(prompt, str) else json.dumps([m["content"] for m in prompt]))

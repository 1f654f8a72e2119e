"""What was said in sounds and videos: a table, and of one of them subtitles and a text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from genarium.artefacts.captions import SUBTITLES, subtitles, under_own_names
from genarium.artefacts.records import Records
from genarium.errors import BadInput


@dataclass(kw_only=True)
class Transcript(Records):
    """A row for each part of what is said: `number` of the file, its `file`, `start` and `end` in seconds, `text`, the
    `language`, and `words` with times where they were asked for. A file without speech has one row without times.
    """

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        return (*super().formats(), *SUBTITLES, ".txt")

    def as_file(self, suffix: str) -> bytes:
        """Also SubRip, WebVTT and text. Raises BadInput where subtitles would be of several files."""
        suffix = suffix.lower()
        if suffix == ".txt":
            return f"{self.text}\n".encode()
        if suffix not in SUBTITLES:
            return super().as_file(suffix)
        if len(self.by_file()) != 1:
            raise BadInput(f"{suffix} holds what is said in one file; give one, or write into a folder/")
        return subtitles(_moments(self.rows), suffix)

    def by_file(self) -> list[list[dict[str, Any]]]:
        """The rows of each file."""
        found: dict[int, list[dict[str, Any]]] = {}
        for row in self.rows:
            found.setdefault(row["number"], []).append(row)
        return list(found.values())

    @property
    def text(self) -> str:
        """What is said; of several files, each after its name."""
        files = self.by_file()
        if len(files) == 1:
            return text_of(files[0])
        return "\n\n".join(f"{rows[0]['file']}:\n{rows[0].get('error') or text_of(rows)}" for rows in files)

    def in_words(self) -> str:
        return self.text

    def in_folder(self, name: str) -> Iterator[tuple[str, bytes]]:
        """The table, and subtitles for each file under its own name."""
        yield from super().in_folder(name)
        yield from under_own_names(((rows[0]["file"], _moments(rows)) for rows in self.by_file()), unnamed="sound")

    def __str__(self) -> str:
        return self.text


def text_of(rows: list[dict[str, Any]]) -> str:
    """The parts as one text: a space between them, but where neither side has any use for one."""
    text = ""
    for row in rows:
        joins = text and row["text"] and not (_is_wide(text[-1]) and _is_wide(row["text"][0]))
        text += (" " if joins else "") + row["text"]
    return text


def _is_wide(letter: str) -> bool:
    return "\u2e80" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef"


def _moments(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"start": row["start"], "end": row["end"], "caption": row["text"]} for row in rows if row["start"] is not None
    ]

"""Captions of pictures and videos: a table, and of a video subtitles too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from genarium.artefacts.records import Records
from genarium.errors import BadInput

SUBTITLES = (".srt", ".vtt")


@dataclass(kw_only=True)
class Captions(Records):
    """`rows` of a video have `moments`: `start` and `end` in seconds, `caption`, `score`."""

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        return (*super().formats(), *SUBTITLES)

    def as_file(self, suffix: str) -> bytes:
        """Also SubRip or WebVTT. Raises BadInput where it isn't of one video alone."""
        suffix = suffix.lower()
        if suffix not in SUBTITLES:
            return super().as_file(suffix)
        films = [row for row in self.rows if row["rank"] == 1]
        if len(films) != 1 or "moments" not in films[0]:
            raise BadInput(f"{suffix} holds what is seen in one video; give one, or write a .csv")
        return subtitles(films[0]["moments"], suffix)

    def in_folder(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Subtitles for each video under the video's own name, and of all else the table."""
        films = [row for row in self.rows if row["rank"] == 1 and "moments" in row]
        if len(films) < sum(row["rank"] == 1 for row in self.rows):
            yield from super().in_folder(name)
        yield from under_own_names(((row["photo"], row["moments"]) for row in films), unnamed="video")


def under_own_names(files: Iterable[tuple[str, list[dict[str, Any]]]], *, unnamed: str) -> Iterator[tuple[str, bytes]]:
    """Of each file's moments subtitles that are named as it is; where several are named alike, each in another way."""
    taken = set[str]()
    for file, moments in files:
        own = re.split(r"[/\\]", file)[-1] or unnamed
        names = (own.rpartition(".")[0] or own, own, *(f"{own}-{number}" for number in range(2, len(taken) + 2)))
        called = next(name for name in names if name not in taken)
        taken.add(called)
        yield f"{called}.vtt", subtitles(moments, ".vtt")


def subtitles(moments: list[dict[str, Any]], suffix: str) -> bytes:
    """A cue for each moment: SubRip with a comma before the thousandths, WebVTT with a point."""
    point = "," if suffix == ".srt" else "."
    cues = [
        f"{number}\n{_clock(one['start'], point)} --> {_clock(one['end'], point)}\n{one['caption']}\n"
        for number, one in enumerate(moments, 1)
    ]
    return "\n".join(["WEBVTT\n", *cues] if suffix == ".vtt" else cues).encode()


def _clock(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"

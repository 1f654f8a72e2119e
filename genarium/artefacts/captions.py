"""Captions of pictures and videos: a table, and of a video subtitles too."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
        if suffix.lower() not in SUBTITLES:
            return super().as_file(suffix)
        films = [row for row in self.rows if row["rank"] == 1]
        if len(films) != 1 or "moments" not in films[0]:
            raise BadInput(f"{suffix} holds what is seen in one video; give one, or write a .csv")
        return subtitles(films[0]["moments"], point="," if suffix.lower() == ".srt" else ".").encode()

    def in_folder(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Subtitles for each video under the video's own name, and of all else the table."""
        films = [row for row in self.rows if row["rank"] == 1 and "moments" in row]
        if len(films) < sum(row["rank"] == 1 for row in self.rows):
            yield from super().in_folder(name)
        taken = set[str]()
        for row in films:
            own = re.split(r"[/\\]", row["photo"])[-1] or "video"
            called = own if own.rpartition(".")[0] in taken else own.rpartition(".")[0] or own
            taken.add(called)
            yield f"{called}.vtt", subtitles(row["moments"], point=".").encode()


def subtitles(moments: list[dict[str, Any]], *, point: str) -> str:
    """A cue for each moment: SubRip with a comma before the thousandths, WebVTT with a point."""
    cues = [
        f"{number}\n{_clock(one['start'], point)} --> {_clock(one['end'], point)}\n{one['caption']}\n"
        for number, one in enumerate(moments, 1)
    ]
    return "\n".join(["WEBVTT\n", *cues] if point == "." else cues)


def _clock(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"

"""Subtitles (SubRip `.srt`, WebVTT `.vtt`): what is said, a line a sentence, each after its time."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from genarium.retrieval.document import Document, TableRow

CLOCK = r"(?:(\d+):)?(\d\d?):(\d\d?)(?:[.,](\d{1,3}))?"
TIMING = re.compile(rf"[ \t]*{CLOCK}[ \t]*-->[ \t]*{CLOCK}")
BETWEEN = re.compile(r"\n[ \t]*(?:\n[ \t]*)+|\n(?=\d+[ \t]*\n[\d:., \t]*-->)")
"""What parts cues: empty lines, or in careless files the next one's number alone."""
TIMED = re.compile(r"(\d+:\d\d:\d\d–\d+:\d\d:\d\d) ")
"""How a line of the text begins: hours, minutes and seconds of its beginning and end."""
TAG = re.compile(r"<v(?:\.[^ >]*)?[ \t]+([^>]+)>|</?[a-z\d][^>\n]*>|\{\\[^}]*\}", re.I)
ENDS = re.compile(r"[.!?…。！？][\"'”’)\]»」』]*$")
LONGEST, PAUSE, ROLLS = 300, 2.0, 0.1
"""Characters of a sentence over several cues; seconds of silence that end one; and seconds after a cue in which another
that begins with its last line only moves that line up."""


@dataclass(frozen=True)
class Cue:
    """`lines` are shown from `start` to `end`, in seconds."""

    start: float
    end: float
    lines: list[str]

    @property
    def text(self) -> str:
        return " ".join(self.lines)


def subtitles(text: str) -> Document | None:
    """The document; None where there is no cue in the text, whatever its file is called."""
    found = _once([cue for cue in _cues(text) if cue.lines])
    if not found:
        return None
    pieces, rows, place = list[str](), list[TableRow](), 0
    for cue in _whole(found):
        line = f"{_clock(cue.start)}–{_clock(cue.end)} {cue.text}"
        pieces.append(line)
        rows.append(TableRow(place, place + len(line), cue.text))
        place += len(line) + 1
    return Document("\n".join(pieces), rows=rows)


def _cues(text: str) -> list[Cue]:
    """Every cue in the order of the file; notes, styles and regions are none. In SubRip one may have empty lines."""
    found: list[Cue] = []
    text = text.removeprefix("\ufeff")
    for block in BETWEEN.split(text):
        lines = block.strip("\n").split("\n")
        if re.match(r"(?:NOTE|STYLE|REGION)\b", lines[0]):
            continue
        place, timing = next(
            ((n, timing) for n, line in enumerate(lines[:2]) if (timing := TIMING.match(line))), (0, None)
        )
        said = [" ".join(_plain(line).split()) for line in (lines[place + 1 :] if timing else lines)]
        said = [line for line in said if line]
        if timing:
            found.append(Cue(_seconds(timing.groups()[:4]), _seconds(timing.groups()[4:]), said))
        elif found and not text.startswith("WEBVTT") and not block.strip().isdecimal():  # which is a cue's number
            found[-1].lines.extend(said)
    return found


def _plain(line: str) -> str:
    """A line without its markup, and with the name of who speaks before what they say."""
    bare = TAG.sub(lambda tag: f"{tag[1].strip()}: " if tag[1] else "", line)
    return html.unescape(bare).replace("\u200e", "").replace("\u200f", "").replace("\xa0", " ")


def _once(cues: Sequence[Cue]) -> list[Cue]:
    """The cues without lines that the cue before showed already, as captions that roll up repeat them."""
    found = list(cues[:1])
    for before, cue in pairwise(cues):
        again = cue.lines[0] == before.lines[-1] and cue.start <= before.end + ROLLS
        lines = cue.lines[1:] if again else cue.lines
        if lines:
            found.append(Cue(cue.start, cue.end, lines))
    return found


def _whole(cues: Sequence[Cue]) -> Iterator[Cue]:
    """Cues put together to sentences, where some of them end as sentences do; else each is one."""
    written_out = 5 * sum(ENDS.search(cue.text) is not None for cue in cues) >= len(cues)
    open_: Cue | None = None
    for cue in cues:
        if open_ is not None and (
            cue.start - open_.end > PAUSE
            or len(open_.text) + len(cue.text) >= LONGEST
            or re.match(r"[-–—] |[^\W\d_][\w .'-]{0,30}: ", cue.text)
        ):
            yield open_
            open_ = None
        open_ = cue if open_ is None else Cue(open_.start, max(open_.end, cue.end), [*open_.lines, *cue.lines])
        if not written_out or ENDS.search(cue.text):
            yield open_
            open_ = None
    if open_ is not None:
        yield open_


def _seconds(clock: Sequence[str | None]) -> float:
    hours, minutes, seconds = (int(part or 0) for part in clock[:3])
    return 3600 * hours + 60 * minutes + seconds + float(f"0.{clock[3] or 0}")


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"

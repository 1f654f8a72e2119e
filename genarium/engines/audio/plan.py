"""A text cut into what is said at a time: sentences, short ones together, long ones at their marks.

It is read as it is needed: of a long text the first sentence is ready before the second one is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

from genarium.data.sentences import each_sentence
from genarium.engines.audio.english.stress import strong, weak
from genarium.engines.audio.said import Reader, Said, written
from genarium.engines.audio.ssml import Mark, Script

MOST = 400
"""Phonemes of a chunk at most: with more the voice hurries. The network takes 510."""
FEW = 40
"""A sentence of fewer is said with what follows: alone it has little of a voice."""
TOGETHER = 200
ENDS = ".!?…"
PARAGRAPH = 0.35
"""Seconds of silence after a paragraph, beside those after a sentence."""


@dataclass
class Chunk:
    """What is said at a time, at `rate` times the speed, and the `pause` in seconds after it."""

    said: list[Said] = field(default_factory=list)
    rate: float = 1.0
    pause: float = 0.0
    end: int = 0
    """Where in the text it ends."""

    @property
    def size(self) -> int:
        return len(written(self.said)[0])


def chunks(script: Script, reader: Reader, phonemes: Reader, *, language: str = "en") -> Iterator[Chunk]:
    """`reader` says text, `phonemes` what SSML's phoneme has in place of it."""
    waiting: Chunk | None = None
    for start, end, pause in _parts(script, language):
        made = Chunk(_said(script, start, end, reader, phonemes), _rate(script, start, end), pause, end)
        if waiting is not None:
            if not made.said and made.pause:
                waiting.pause += made.pause
                continue
            joins = waiting.rate == made.rate and not waiting.pause and waiting.size < FEW
            if joins and waiting.size + made.size <= TOGETHER:
                waiting = Chunk([*waiting.said, *made.said], made.rate, made.pause, end)
                continue
            yield from _cut(waiting)
        waiting = made
    if waiting is not None:
        yield from _cut(waiting)


def _parts(script: Script, language: str) -> Iterator[tuple[int, int, float]]:
    """Sentences, cut where a break stands or the rate changes, with the pause after each."""
    edges = {mark.start for mark in script.marks if mark.kind in ("break", "rate")}
    edges |= {mark.end for mark in script.marks if mark.kind == "rate"}
    breaks: dict[int, float] = {}
    for mark in script.marks:
        if mark.kind == "break":
            breaks[mark.start] = breaks.get(mark.start, 0.0) + float(mark.value)
    last_place = (len(script.text), len(script.text))
    told = 0
    for (start, end), (following, _) in pairwise(chain(each_sentence(script.text, language), [last_place])):
        gap = script.text[end:following]
        after = PARAGRAPH if gap.count("\n") > 1 else 0.0
        cuts = [start, *sorted(edge for edge in edges if start < edge < end), end]
        for begin, stop in pairwise(cuts):
            last = stop == end
            inside = (at for at in breaks if told <= at <= (following if last else stop))
            pause = sum(breaks.pop(at) for at in sorted(inside) if at > begin)
            early = sum(breaks.pop(at) for at in sorted(breaks) if at <= begin)
            if early:
                yield begin, begin, early
            yield begin, stop, pause + (after if last else 0.0)
            told = stop
    if breaks:
        yield len(script.text), len(script.text), sum(breaks.values())


def _rate(script: Script, start: int, end: int) -> float:
    mark = script.over("rate", start, end)
    return float(mark.value) if mark else 1.0


def _said(script: Script, start: int, end: int, reader: Reader, phonemes: Reader) -> list[Said]:
    """What is said of a sentence, with what SSML has in place of its words."""
    inside = [mark for mark in script.marks if mark.start < end and mark.end > start]
    instead = sorted((mark for mark in inside if mark.kind in ("sub", "phoneme")), key=lambda mark: mark.start)
    said: list[Said] = []
    place = start
    for mark in instead:
        if mark.start < place:  # one within another: the outer one is said
            continue
        said += reader(script.text, place, mark.start)
        said += _instead(mark, reader, phonemes)
        place = mark.end
    said += reader(script.text, place, end)
    return [_emphasised(one, script) for one in said]


def _instead(mark: Mark, reader: Reader, phonemes: Reader) -> list[Said]:
    value = str(mark.value)
    say = phonemes if mark.kind == "phoneme" else reader
    return [Said(mark.start, mark.end, one.phonemes, one.mark, one.joined) for one in say(value, 0, len(value))]


def _emphasised(one: Said, script: Script) -> Said:
    mark = script.over("emphasis", one.start, one.end) if one.phonemes else None
    if mark is None or mark.value == "none":
        return one
    change = weak if mark.value == "reduced" else strong
    return Said(one.start, one.end, change(one.phonemes), one.mark, one.joined)


def _cut(chunk: Chunk) -> Iterator[Chunk]:
    """A chunk in parts that are not too long: at the last mark that fits, or else between words."""
    rest: Sequence[Said] = chunk.said
    while len(written(rest)[0]) > MOST:
        fits = 1
        size = 0
        for place, one in enumerate(rest):
            size += len(one.phonemes or one.mark) + 1
            if size > MOST:
                break
            fits = place + 1
        marks = [place + 1 for place in range(fits // 3, fits) if rest[place].mark in tuple(",;:—…")]
        cut = marks[-1] if marks else fits
        part = list(rest[:cut])
        yield Chunk(_short(part), chunk.rate, 0.0, part[-1].end)
        rest = rest[cut:]
    if rest or chunk.pause:
        yield Chunk(_short(list(rest)), chunk.rate, chunk.pause, chunk.end)


def _short(said: list[Said]) -> list[Said]:
    """Words that are longer than the network takes are cut off: nobody says them."""
    return [Said(one.start, one.end, one.phonemes[:MOST], one.mark, one.joined) for one in said]

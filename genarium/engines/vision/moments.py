"""What is seen in a video, moment by moment: sampled frames described, and what stays the same said once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genarium.data.videos import Film
from genarium.engines.vision.caption import Caption, CaptionEngine, CaptionRequest


@dataclass(frozen=True)
class Moment:
    """From `start` to `end`, in seconds, the frames that were looked at have this caption; `score` is their mean."""

    start: float
    end: float
    text: str
    score: float

    def __str__(self) -> str:
        return f"{self.start:.1f}-{self.end:.1f} s: {self.text}"


def describe(engine: CaptionEngine, film: Film, request: CaptionRequest, *, first: int) -> list[list[Moment]]:
    """The moments of each rank of captions, best first; of a rank that some frame lacks, those there are.

    `first` names the random streams of all of the video's frames, so that equal frames are drawn equal captions.
    """
    from PIL import Image

    found = [engine.describe([Image.fromarray(frame)], request, first=first)[0] for frame in film.frames]
    return [merged(film, [one[rank] if rank < len(one) else None for one in found]) for rank in range(request.n)]


def merged(film: Film, captions: Sequence[Caption | None]) -> list[Moment]:
    """One moment for each run of frames with the same caption; frames without one are left out.

    A frame stands for the time from the middle between it and the one before to the middle to the next.
    """
    edges = [0.0, *((a + b) / 2 for a, b in zip(film.times, film.times[1:], strict=False)), film.seconds]
    runs: list[tuple[int, list[Caption]]] = []
    for place, caption in enumerate(captions):
        if caption is None:
            continue
        if runs and runs[-1][1][-1].text == caption.text and runs[-1][0] + len(runs[-1][1]) == place:
            runs[-1][1].append(caption)
        else:
            runs.append((place, [caption]))
    return [
        Moment(
            round(edges[place], 3),
            round(edges[place + len(run)], 3),
            run[0].text,
            round(sum(one.score for one in run) / len(run), 4),
        )
        for place, run in runs
    ]


def in_words(moments: Sequence[Moment]) -> str:
    """What is seen, with times where it changes."""
    return moments[0].text if len(moments) == 1 else "; ".join(map(str, moments))

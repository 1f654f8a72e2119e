"""`transcribe`: write down what is said in sounds and videos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import MaxLen, MinLen

from genarium.artefacts import Transcript
from genarium.engines import registry
from genarium.errors import BadInput
from genarium.progress import emit, note
from genarium.rows import rows
from genarium.signature import Verbatim
from genarium.tasks.task import Pin, task

if TYPE_CHECKING:
    import numpy as np

    from genarium.data.photos import Photo
    from genarium.engines.audio.hearing import Heard, Hearing, Transcriber

WINDOW = 300.0
"""Seconds that are heard at a time: of a file of hours no more is in memory."""
SEARCHED = 20.0
"""Seconds at a window's end in which the quietest place is looked for, to cut there."""
QUIET = 0.25


def _pin_sounds(asked: Sequence[str], arguments: Mapping[str, Any]) -> list[dict[str, str]]:
    from genarium.data.photos import HEARD, pin

    return pin(asked, private=bool(arguments.get("allow_private")), kind=HEARD)


def _open_sounds(pins: Sequence[dict[str, Any]]) -> list[str]:
    from genarium.data.photos import pinned

    return pinned(pins)


@task(starter="transcribe", pins={"sounds": Pin(_pin_sounds, _open_sounds)})
def transcribe(
    sounds: Annotated[
        list[str],
        Doc("sounds and videos, folders of them, http or https URLs; - reads one from standard input"),
        MinLen(1),
        Verbatim(),
    ],
    *,
    language: Annotated[
        str | None, Doc("what is spoken, as in en, zh, de [default: found out by listening]"), MinLen(1)
    ] = None,
    translate: Annotated[bool, Doc("write it in English, whatever is spoken")] = False,
    words: Annotated[bool, Doc("tell when each word is heard")] = False,
    prompt: Annotated[str | None, Doc("names and rare words that may come, as a sentence"), MaxLen(1000)] = None,
    keep_silence: Annotated[bool, Doc("listen to what seems to be silence too; it is skipped otherwise")] = False,
    allow_private: Annotated[
        bool, Doc("fetch URLs from this machine and its own network too; they are refused otherwise")
    ] = False,
    model: Annotated[
        str, Doc("starter, a Whisper folder, a hub id such as openai/whisper-small, or openai:NAME")
    ] = "starter",
) -> Iterator[Transcript]:
    """Write down what is said in sounds and videos.

    A stopped run continues where it was. -o NAME.srt or .vtt writes subtitles, .txt the text, .jsonl or .csv each part
    with its times; -o FOLDER/ subtitles for each file.
    """
    from genarium.data.photos import HEARD, find
    from genarium.engines.audio.hearing import Hearing

    asked = find(sounds, private=allow_private, kind=HEARD)
    hearing = Hearing(
        language=(language or "").lower().partition("-")[0],
        translate=translate,
        words=words,
        prompt=prompt or "",
        keep_silence=keep_silence,
    )
    engine = registry.open_transcriber(model)
    engine.check(hearing)
    found = _all_rows(asked, engine, hearing)
    failed = sum("error" in row for row in found)
    several = f"{len(asked)} files" + (f", {failed} of which can't be read" if failed else "")
    languages = sorted({row["language"] for row in found if row["language"]})
    yield Transcript(
        rows=found,
        summary=several if len(asked) > 1 else "",
        extra={"files": len(asked), "languages": languages},
    )


@dataclass(frozen=True)
class Done:
    """Where a stopped run was: the file's number, the window, and the rows there are of that one."""

    number: int
    window: int
    rows: int


def _all_rows(asked: Sequence[Photo], engine: Transcriber, hearing: Hearing) -> list[dict[str, Any]]:
    """A row for each part. A window that was being written down is heard again; rows that are there stay."""
    kept = rows()
    done = kept.begin(None)
    last = done[-1] if done else {"number": 0, "window": 0}
    there = sum((row["number"], row["window"]) == (last["number"], last["window"]) for row in done)
    before = Done(last["number"], last["window"], there)
    told = next((row["language"] for row in reversed(done) if row["number"] == before.number), "")
    for number, sound in enumerate(asked, 1):
        if number < before.number or (number == before.number and last.get("error")):
            continue
        amid = before if number == before.number else Done(number, 0, 0)
        some = amid.rows > 0
        try:
            for row in _rows_of(sound, engine, hearing, amid, told if amid is before else ""):
                kept.add({"number": number, "file": sound.name, **row})
                some = True
        except BadInput as error:
            if len(asked) == 1:
                raise
            note(str(error))
            kept.add({"number": number, "file": sound.name, **NOTHING, "error": str(error)})
            continue
        if not some:
            kept.add({"number": number, "file": sound.name, **NOTHING})
    return kept.done


NOTHING = {"window": 0, "start": None, "end": None, "text": "", "language": ""}


def _rows_of(
    sound: Photo, engine: Transcriber, hearing: Hearing, done: Done, language: str
) -> Iterator[dict[str, Any]]:
    from dataclasses import replace

    from genarium.data import sounds
    from genarium.engines.audio.hearing import RATE

    with sounds.pieces(sound.file, RATE, seconds=WINDOW, name=sound.name) as (about, parts):
        for window, (start, samples) in enumerate(_windows(parts, RATE)):
            emit("listening", round(start), round(about.seconds) or None, preview=sound.name)
            if window < done.window:
                continue
            asked = replace(hearing, language=hearing.language or language)
            heard = engine.hear(samples, asked)
            language = language or heard.language  # found out once, by the beginning
            for place, row in enumerate(_as_rows(heard, start, window, hearing)):
                if window > done.window or place >= done.rows:
                    yield row


def _as_rows(heard: Heard, start: float, window: int, hearing: Hearing) -> Iterator[dict[str, Any]]:
    for one in heard.segments:
        row: dict[str, Any] = {
            "window": window,
            "start": round(start + one.start, 3),
            "end": round(start + one.end, 3),
            "text": one.text,
            "language": heard.language,
        }
        if hearing.words:
            row["words"] = [word.as_row(start) for word in one.words]
        yield row


def _windows(parts: Iterator[np.ndarray], rate: int) -> Iterator[tuple[float, np.ndarray]]:
    """The sound in parts of at most WINDOW seconds, cut where it is quietest, with the second that each begins at."""
    import numpy as np

    rest, start = np.zeros(0, np.float32), 0
    size = round(WINDOW * rate)
    for part in parts:
        rest = np.concatenate((rest, part))
        while len(rest) > size:
            cut = _quietest(rest[:size], rate)
            yield start / rate, rest[:cut]
            rest, start = rest[cut:], start + cut
    if len(rest):
        yield start / rate, rest


def _quietest(samples: np.ndarray, rate: int) -> int:
    """The middle of the quietest quarter of a second near the end."""
    import numpy as np

    step = round(QUIET * rate)
    first = max(0, len(samples) - round(SEARCHED * rate))
    frames = samples[first : first + (len(samples) - first) // step * step].reshape(-1, step)
    return first + int(np.argmin((frames.astype(np.float64) ** 2).sum(axis=1))) * step + step // 2

"""`speak`: say a text aloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Interval, MaxLen, MinLen

from genarium.artefacts import Audio
from genarium.engines import registry
from genarium.errors import BadInput
from genarium.progress import emit
from genarium.recipe import MAX_SEED
from genarium.signature import LONGEST_BOOK
from genarium.tasks.task import task

if TYPE_CHECKING:
    from genarium.engines.audio.protocol import SpeechEngine, SpeechRequest, Spoken

MOST_HOURS = 24


@task(starter="speech")
def speak(
    text: Annotated[
        str | None,
        Doc("what is said, or an SSML document (<speak>…</speak>); - reads standard input"),
        MinLen(1),
        MaxLen(LONGEST_BOOK),
    ] = None,
    *,
    file: Annotated[Path | None, Doc("a text file to say instead")] = None,
    voice: Annotated[
        str | None, Doc("such as af_heart, bm_george, zf_xiaoxiao [default: the model's for the text's language]")
    ] = None,
    speed: Annotated[float, Doc("2 takes half the time, 0.5 twice as long"), Interval(ge=0.25, le=4)] = 1.0,
    language: Annotated[
        str, Doc("language of the voice that is chosen, as in en or zh; auto is what most of the text is in"), MinLen(1)
    ] = "auto",
    pronounce: Annotated[
        list[str] | None, Doc("how a word is said, as in GIF=dʒɪf, in IPA; may be repeated"), MaxLen(1000)
    ] = None,
    timestamps: Annotated[bool, Doc("tell when each word is heard; -o NAME.srt or .vtt writes that alone")] = False,
    check: Annotated[
        bool, Doc("transcribe what was said, tell what share of each sentence's words were misheard, say those again")
    ] = False,
    model: Annotated[
        str, Doc("starter, a folder of Kokoro's, a hub id such as facebook/mms-tts-eng, or openai:NAME")
    ] = "starter",
    seed: Annotated[int | None, Doc("of models that draw random numbers"), Interval(ge=0, le=MAX_SEED)] = None,
) -> Iterator[Audio]:
    """Say a text.

    The starter speaks English and Chinese; numbers, dates, times and sums of money are read as a person would. Kept
    as a WAV with its recipe inside; -o NAME.flac, .mp3, .ogg writes those too.
    """
    import numpy as np

    from genarium.data.sounds import Sound
    from genarium.engines.audio.protocol import SpeechRequest

    request = SpeechRequest(
        _text_of(text, file),
        voice=voice or "",
        speed=speed,
        language=language,
        pronounce=read_pronounce(pronounce or ()),
        seed=seed or 0,
    )
    engine = registry.open_speech(model)
    chosen = engine.voice_of(request)
    parts: list[Spoken] = []
    words: list[dict[str, Any]] = []
    told: dict[str, Any] = {}
    length = 0
    for part in _checked(engine, request, told) if check else engine.speak(request):
        words += [word.as_row(length / engine.rate) for word in part.words]
        length += len(part.samples)
        parts.append(part)
        if length > MOST_HOURS * 3600 * engine.rate:
            raise BadInput(f"the text takes more than {MOST_HOURS} hours to say; say it in parts")
        emit("speaking", part.done, part.total, preview=Sound(part.samples, engine.rate))
    if not length:
        raise BadInput("there is nothing in the text that can be said: no word, no number; write some")
    yield Audio(
        samples=np.concatenate([part.samples for part in parts]),
        rate=engine.rate,
        text=_heard(request.text),
        voice=chosen,
        words=words,
        told=told | ({"words": words} if timestamps else {}),
    )


def _text_of(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise BadInput("speak takes a text, - for standard input, or a file: give one of them")
    if file is not None:
        from genarium.data.text import read

        text = read(file)
    assert text is not None
    if not text.strip():
        raise BadInput("there is no text to say; write some")
    return text


def _heard(text: str) -> str:
    """The text without marks of SSML."""
    from genarium.engines.audio import ssml

    return ssml.read(text).text.strip() if ssml.is_ssml(text) else text


def read_pronounce(given: tuple[str, ...] | list[str]) -> Mapping[str, str]:
    """Raises BadInput."""
    found = {}
    for one in given:
        word, sign, said = one.partition("=")
        if not sign or not word.strip() or not said.strip():
            raise BadInput(f"a pronunciation is written like GIF=dʒɪf, got {one!r}")
        found[word.strip()] = said.strip()
    return found


def _checked(engine: SpeechEngine, request: SpeechRequest, told: dict[str, Any]) -> Iterator[Spoken]:
    """As the engine speaks, each part heard and said again where it was not understood; `told` gets what came of it."""
    from genarium.engines.audio.hearing import checked

    ears = registry.open_transcriber("starter")
    sentences: list[dict[str, Any]] = []
    for part, found in checked(engine, ears, request):
        sentences.append(found)
        yield part
    told["sentences"] = sentences
    edits, words = sum(one["errors"] for one in sentences), sum(one["words"] for one in sentences)
    told["word_error_rate"] = round(edits / max(1, words), 4)

"""OpenAI's `/v1/audio/speech`, `transcriptions` and `translations`, over the tasks `speak` and `transcribe`."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from genarium.artefacts import Transcript
from genarium.artefacts.transcript import text_of
from genarium.artefacts.waves import Stream
from genarium.engines.audio.hearing import resampled
from genarium.errors import BadInput
from genarium.run import Result
from genarium.server import uploads
from genarium.server.desk import Desk, desk_of
from genarium.server.errors import Json
from genarium.server.jobs import DONE, Job
from genarium.server.streams import Stream as Streamed
from genarium.server.streams import event, stream

router = APIRouter(tags=["OpenAI"])
MEDIA = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
VOICES = {
    "alloy": "af_heart",
    "ash": "am_michael",
    "ballad": "bm_george",
    "cedar": "am_fenrir",
    "coral": "af_bella",
    "echo": "am_michael",
    "fable": "bm_fable",
    "marin": "bf_emma",
    "nova": "af_bella",
    "onyx": "am_fenrir",
    "sage": "bf_isabella",
    "shimmer": "af_nicole",
    "verse": "bm_george",
}
"""OpenAI's voices, and those of the starter that stand for them: clients can't leave the voice out."""
GRANULARITIES = ("word", "segment")


class SpeechRequest(BaseModel):
    """OpenAI's names; those from `language` on are the task's."""

    input: str = Field(min_length=1)
    model: str = "starter"
    voice: str | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(default=1.0, ge=0.25, le=4)
    stream_format: Literal["audio", "sse"] = "audio"
    instructions: str | None = None
    language: str = "auto"
    pronounce: list[str] | None = None


@router.post("/v1/audio/speech", response_model=None)
async def speech(request: Request, asked: SpeechRequest) -> Response:
    """Say a text; the sound comes as it is made."""
    if asked.instructions:
        raise BadInput("instructions can't be followed by the models here; leave them out, or choose another voice")
    named = asked.model if asked.model.startswith("openai:") else ""
    arguments = {
        "text": asked.input,
        "model": asked.model,
        "voice": asked.voice if named or asked.voice is None else VOICES.get(asked.voice, asked.voice),
        "speed": asked.speed,
        "language": asked.language,
        "pronounce": asked.pronounce,
    }
    desk = desk_of(request)
    recipe = await desk.prepare("speak", arguments)
    # Made first: a format that can't be written is refused before anything is said.
    encoder = await run_in_threadpool(Stream, RATE, f".{asked.response_format}")
    [job] = await desk.begun(request, [recipe])
    headers = {"X-Genarium-Recipe": recipe.digest}
    if asked.stream_format == "sse":
        return stream(_events(job, encoder), headers, ended=lambda: desk.leave(job))
    return _sound(desk, job, encoder, MEDIA[asked.response_format], headers)


RATE = 24_000
"""Samples a second of what is streamed, as OpenAI's `pcm` is."""


def _sound(desk: Desk, job: Job, encoder: Stream, media_type: str, headers: dict[str, str]) -> StreamingResponse:
    response = Streamed(_parts(job, encoder), media_type=media_type, headers=headers)
    response.ended = lambda: desk.leave(job)
    return response


async def _parts(job: Job, encoder: Stream) -> AsyncIterator[bytes]:
    """The file as it grows. Where the run fails amid it, the stream breaks off, so that nobody takes it for whole."""
    yield encoder.begin()
    async for told in job.follow():
        if told.name == "sound":
            if part := await run_in_threadpool(encoder.add, _samples(told.data)):
                yield part
        elif told.name == "end" and told.data["status"] != DONE:
            raise RuntimeError(told.failure()["message"])
    if last := await run_in_threadpool(encoder.end):
        yield last


async def _events(job: Job, encoder: Stream) -> AsyncIterator[bytes]:
    """As OpenAI's server-sent events."""

    def delta(part: bytes) -> bytes:
        return event({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()})

    if begin := encoder.begin():
        yield delta(begin)
    async for told in job.follow():
        if told.name == "sound":
            if part := await run_in_threadpool(encoder.add, _samples(told.data)):
                yield delta(part)
        elif told.name == "end" and told.data["status"] != DONE:
            yield event({"type": "error", "error": told.failure()})
            return
    if last := await run_in_threadpool(encoder.end):
        yield delta(last)
    yield event({"type": "speech.audio.done", "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}})


def _samples(told: dict[str, Any]) -> np.ndarray:
    """Samples of an event at RATE, float32."""
    samples = np.frombuffer(base64.b64decode(told["pcm"]), "<i2").astype(np.float32) / 32767
    return resampled(samples, told["rate"], RATE)


@router.post("/v1/audio/transcriptions", response_model=None)
async def transcriptions(
    request: Request,
    file: Annotated[UploadFile, File()],
    model: Annotated[str, Form()] = "starter",
    language: Annotated[str | None, Form()] = None,
    prompt: Annotated[str | None, Form(max_length=1000)] = None,
    response_format: Annotated[Literal["json", "text", "srt", "verbose_json", "vtt"], Form()] = "json",
    temperature: Annotated[float, Form(ge=0, le=1)] = 0.0,
    granularities: Annotated[list[str] | None, Form(alias="timestamp_granularities[]")] = None,
    streamed: Annotated[bool, Form(alias="stream")] = False,
) -> Response:
    """Write down what is said in a file."""
    if temperature:
        raise BadInput("temperature is 0 here: what is likeliest is written down; leave it out")
    if unknown := set(granularities or ()) - set(GRANULARITIES):
        raise BadInput(
            f"timestamp_granularities are {' and '.join(GRANULARITIES)}, got {', '.join(sorted(unknown))[:80]}"
        )
    arguments = {"model": model, "language": language, "prompt": prompt, "words": "word" in (granularities or ())}
    return await _written(request, file, arguments, response_format, streamed=streamed)


@router.post("/v1/audio/translations", response_model=None)
async def translations(
    request: Request,
    file: Annotated[UploadFile, File()],
    model: Annotated[str, Form()] = "starter",
    prompt: Annotated[str | None, Form(max_length=1000)] = None,
    response_format: Annotated[Literal["json", "text", "srt", "verbose_json", "vtt"], Form()] = "json",
    temperature: Annotated[float, Form(ge=0, le=1)] = 0.0,
) -> Response:
    """Write down in English what is said in a file."""
    if temperature:
        raise BadInput("temperature is 0 here: what is likeliest is written down; leave it out")
    arguments = {"model": model, "prompt": prompt, "translate": True}
    return await _written(request, file, arguments, response_format, streamed=False)


async def _written(
    request: Request, file: UploadFile, arguments: dict[str, Any], form: str, *, streamed: bool
) -> Response:
    identifier = await run_in_threadpool(uploads.keep, await file.read(), file.filename or "")
    desk = desk_of(request)
    recipe = await desk.prepare("transcribe", {"sounds": [identifier]} | arguments)
    if streamed:
        [job] = await desk.begun(request, [recipe])
        return stream(_deltas(job), {"X-Genarium-Recipe": recipe.digest}, ended=lambda: desk.leave(job))
    [result] = await desk.results(request, [recipe])
    return _answer(result, form, translated=bool(arguments.get("translate")))


async def _deltas(job: Job) -> AsyncIterator[bytes]:
    """As OpenAI's server-sent events: each part as it is heard."""
    text = ""
    async for told in job.follow():
        if told.name == "row" and told.data["row"]["text"]:
            longer = text_of([{"text": text}, told.data["row"]]) if text else told.data["row"]["text"]
            yield event({"type": "transcript.text.delta", "delta": longer[len(text) :]})
            text = longer
        elif told.name == "end" and told.data["status"] != DONE:
            yield event({"type": "error", "error": told.failure()})
            return
    yield event({"type": "transcript.text.done", "text": text})


def _answer(result: Result, form: str, *, translated: bool) -> Response:
    [made] = result
    assert isinstance(made, Transcript)
    match form:
        case "text":
            return PlainTextResponse(made.text + "\n")
        case "srt" | "vtt":
            return PlainTextResponse(made.as_file(f".{form}").decode())
        case "verbose_json":
            return Json(_verbose(made, translated=translated))
    return Json({"text": made.text})


def _verbose(made: Transcript, *, translated: bool) -> dict[str, Any]:
    heard = [row for row in made.rows if row["start"] is not None]
    words = [word for row in heard for word in row.get("words", ())]
    return {
        "task": "translate" if translated else "transcribe",
        "language": heard[0]["language"] if heard else "",
        "duration": max((row["end"] for row in heard), default=0.0),
        "text": made.text,
        "segments": [
            {"id": number, "start": row["start"], "end": row["end"], "text": row["text"]}
            for number, row in enumerate(heard)
        ],
    } | ({"words": [{name: word[name] for name in ("word", "start", "end")} for word in words]} if words else {})

"""Chooses the engine for a model by what it is to do: the first of the capability's engines that opens it.

An engine is asked for by what it does (write text, …), so that a faster one can take a checkpoint over without any
task knowing. Each declares itself in a file of its own (`engine.py`); no family is named here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium import plugins
from genarium.engines.cache import kept
from genarium.engines.engine import Engine
from genarium.errors import BadCheckpoint, GenariumError, first_line
from genarium.extras import naming_extra
from genarium.plugins import Plugin

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.answer.question_answering import NativeQuestionAnswering
    from genarium.engines.audio.hearing import Transcriber
    from genarium.engines.audio.protocol import SpeechEngine
    from genarium.engines.classify.protocol import Classifier
    from genarium.engines.embed.encoder import NativeEncoder
    from genarium.engines.embed.rank import Ranker
    from genarium.engines.image.protocol import ImageEngine
    from genarium.engines.summarize.summary import Summarizer
    from genarium.engines.text.protocol import TextEngine
    from genarium.engines.video.protocol import VideoEngine
    from genarium.engines.vision.caption import CaptionEngine
    from genarium.engines.vision.match import Matcher

GROUP = "genarium.engines"


def open_text(reference: str, *, default: str = "text", dtype: str = "auto", backend: str = "auto") -> TextEngine:
    """The engine that writes text with this model. Raises ModelNotFound, BadCheckpoint, as all of these do."""
    engine: TextEngine = open("text", reference, default=default, dtype=dtype, backend=backend)
    return engine


def open_encoder(reference: str, *, default: str = "encoder", backend: str = "auto") -> NativeEncoder:
    """The engine that makes vectors with this model."""
    engine: NativeEncoder = open("embed", reference, default=default, backend=backend)
    return engine


def open_summarizer(reference: str, *, default: str = "encoder", backend: str = "auto") -> Summarizer:
    """What summarizes with this model: an encoder chooses sentences, all others write."""
    engine: Summarizer = open("summarize", reference, default=default, keep=False, backend=backend)
    return engine


def open_classifier(
    reference: str,
    *,
    labels: Sequence[str] | None,
    examples: Sequence[tuple[str, str]] = (),
    template: str | None = None,
    calibrate: bool = False,
    backend: str = "auto",
) -> Classifier:
    """What gives texts labels with this model: its trained head, else its vectors, else its next words.

    Raises BadInput as well, where what is asked for is not what the model's way can do.
    """
    from genarium.engines.classify.asked import ClassifyRequest

    asked = ClassifyRequest(labels, examples, template, calibrate)
    engine: Classifier = open("classify", reference, default="encoder", keep=False, asked=asked, backend=backend)
    return engine


def open_ranker(reference: str, *, default: str = "encoder", backend: str = "auto") -> Ranker:
    """What orders passages with this model: its head over pairs, else its vectors."""
    engine: Ranker = open("rank", reference, default=default, keep=False, backend=backend)
    return engine


def open_question_answering(
    reference: str, *, default: str = "answer", dtype: str = "auto", backend: str = "auto"
) -> NativeQuestionAnswering:
    """The engine that finds answers in texts with this model."""
    engine: NativeQuestionAnswering = open("answer", reference, default=default, dtype=dtype, backend=backend)
    return engine


def open_image(reference: str, *, default: str = "image", dtype: str = "auto") -> ImageEngine:
    """The engine that makes pictures with this model; its weights are read later, by `generate`."""
    engine: ImageEngine = open("image", reference, default=default, dtype=dtype)
    return engine


def open_video(reference: str, *, default: str = "video", dtype: str = "auto") -> VideoEngine:
    """The engine that makes videos with this model; its weights are read later, by `generate`."""
    engine: VideoEngine = open("video", reference, default=default, dtype=dtype)
    return engine


def open_speech(reference: str, *, default: str = "speech") -> SpeechEngine:
    """The engine that speaks with this model; its weights are read when it first does."""
    engine: SpeechEngine = open("speak", reference, default=default)
    return engine


def open_transcriber(reference: str, *, default: str = "transcribe") -> Transcriber:
    """The engine that writes down what is heard with this model."""
    engine: Transcriber = open("transcribe", reference, default=default)
    return engine


def open_caption(reference: str, *, default: str = "caption", dtype: str = "auto") -> CaptionEngine:
    """The engine that describes pictures with this model."""
    engine: CaptionEngine = open("caption", reference, default=default, dtype=dtype)
    return engine


def open_matcher(reference: str, *, default: str = "match") -> Matcher:
    """What says how well texts match a picture, and where each word is seen."""
    engine: Matcher = open("match", reference, default=default)
    return engine


def digest_of(reference: str, *, default: str) -> str:
    """The sha256 of a model's files. Raises ModelNotFound."""
    from genarium.checkpoints.store.find import find

    return find(reference, default=default).digest


def computing(found: Found) -> str:
    """The library that computes a model, an encoder or one that writes: torch where no graph is made of it here."""
    from genarium.devices import computed_by

    if found.path is None or can_open(found, "embed"):
        return computed_by("auto")
    from genarium.engines.text import decoders, llama_cpp_engine, native_engine

    if llama_cpp_engine.version(found):
        return computed_by("auto")
    return decoders.chosen(found.path, "auto")[0] if native_engine.opens(found) else "torch"


def recommended(reference: str) -> Mapping[str, float]:
    """The settings that a starter's makers recommend; none for other models."""
    from genarium.checkpoints.store import catalogue

    starter = catalogue.named(reference)
    return starter.usual if starter else {}


def open(capability: str, reference: str, *, default: str, keep: bool = True, **how: Any) -> Any:
    """What does this with the model, opened by the first engine that can; `default` is what `starter` means.

    Kept open for who asks next, but where it is made of engines that are (`keep=False`). Raises ModelNotFound,
    BadCheckpoint.
    """
    from genarium.checkpoints.store.find import find

    return open_found(find(reference, default=default), capability, keep=keep, **how)


def open_found(found: Found, capability: str, *, keep: bool = True, **how: Any) -> Any:
    """As `open`, of a model that was found already: engines made of others share what is open."""
    with naming_extra(found.reference):
        return _kept(found, capability, **how) if keep else _opened(found, capability, **how)


@kept
def _kept(found: Found, /, capability: str, **how: Any) -> Any:
    return _opened(found, capability, **how)


def _opened(found: Found, capability: str, **how: Any) -> Any:
    """Opened by the engine chosen; which library computes is told to those that have the choice."""
    engine = choose(found, capability)
    taken = inspect.signature(engine.open).parameters.values()
    if not any(one.name == "backend" or one.kind is one.VAR_KEYWORD for one in taken):
        how.pop("backend", None)
    return engine.open(found, **how)


def choose(found: Found, capability: str) -> Engine:
    """The first of the capability's engines that opens the model. Raises BadCheckpoint, in the words of one of them."""
    for plugin, engine in engines(capability):
        if _opens(plugin, engine, found):
            return engine
    for _, engine in engines(capability):
        if sentence := engine.refusal(found):
            raise BadCheckpoint(sentence)
    raise BadCheckpoint(f"{found.reference}: no engine here runs it for {capability}; name another model")


def can_open(found: Found, capability: str) -> bool:
    """Whether one of the capability's engines opens the model. Raises BadCheckpoint where its folder can't be read."""
    return any(_opens(plugin, engine, found) for plugin, engine in engines(capability))


def _opens(plugin: Plugin, engine: Engine, found: Found) -> bool:
    try:
        return engine.opens(found)
    except GenariumError:
        raise
    except Exception as error:
        if not plugin.package:
            raise
        plugins.leave_out(plugin, f"asked about a model, it failed: {type(error).__name__}: {first_line(error)}")
        return False


@cache
def engines(capability: str) -> list[tuple[Plugin, Engine]]:
    """The engines of a capability in the order in which they are asked, with where each comes from."""
    ours = [(plugin, engine) for plugin, engine in _ours() if engine.capability == capability]
    brought = plugins.brought(GROUP, prefix=f"{capability}.", taken=[plugin.name for plugin, _ in ours])
    found = [*ours]
    for plugin in brought.values():
        engine = plugins.load(plugin, Engine)
        if engine is not None and engine.capability != capability:
            plugins.leave_out(plugin, f"it says that its capability is {engine.capability!r}; its maker can rename it")
        elif engine is not None:
            found.append((plugin, engine))
    return sorted(found, key=lambda one: one[1].order)  # equal ones stay as they are: ours first, then by name


def capabilities() -> list[str]:
    """What the engines that come with Genarium do."""
    return sorted({engine.capability for _, engine in _ours()})


@cache
def _ours() -> list[tuple[Plugin, Engine]]:
    rooms = sorted(place.name for place in Path(__file__).parent.iterdir() if (place / "__init__.py").is_file())
    listed = [
        plugin
        for room in rooms
        for plugin in plugins.ours(f"engines/{room}", GROUP, attribute="ENGINE", suffix="_engine").values()
    ]
    loaded = [(plugin, plugins.load(plugin, Engine)) for plugin in listed]
    return [(plugin, engine) for plugin, engine in loaded if engine is not None]

"""Ways to run a checkpoint. Each engine says what it can open; `open_text` picks the first that can.

An engine is asked for by what it does (write text, …), so that a faster one can take a checkpoint over without
any task knowing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from genarium.checkpoints.store.find import Found, find
from genarium.engines.cache import kept
from genarium.engines.text.protocol import TextEngine
from genarium.errors import BadCheckpoint, BadInput, ModelNotFound
from genarium.progress import emit, note

if TYPE_CHECKING:
    from genarium.engines.answer.reader import NativeReader
    from genarium.engines.classify.protocol import Classifier
    from genarium.engines.classify.sequence_classifier import NativeHead
    from genarium.engines.embed.encoder import NativeEncoder
    from genarium.engines.embed.rank import Ranker
    from genarium.engines.image.protocol import ImageEngine
    from genarium.engines.summarize.seq2seq import Seq2SeqSummary
    from genarium.engines.summarize.summary import Summarizer
    from genarium.engines.vision.caption import CaptionEngine
    from genarium.engines.vision.match import Matcher


def digest_of(reference: str, *, default: str) -> str:
    """The sha256 of a model's files. Raises ModelNotFound."""
    return find(reference, default=default).digest


def open_text(reference: str, *, default: str = "text", dtype: str = "auto") -> TextEngine:
    """The engine that writes text with this model. Raises ModelNotFound, BadCheckpoint."""
    return _open_text(find(reference, default=default), dtype)


@kept
def _open_text(found: Found, dtype: str) -> TextEngine:
    if found.path is None:
        from genarium.engines.text.openai import OpenAIText

        if dtype != "auto":
            note(f"{found.reference} computes in what its endpoint chooses: dtype {dtype} was left out")
        return OpenAIText(found.endpoint_model)
    from genarium.checkpoints.store.folder import read_config
    from genarium.engines.text.native import NativeText

    emit("loading", preview=found.reference)
    config = read_config(found.path)
    if NativeText.opens(config):
        return NativeText(found.path, name=found.reference, dtype=dtype)
    raise BadCheckpoint(
        f"{found.reference}: no engine here writes text with a {config['model_type']!r} model; "
        f"the native one opens {', '.join(NativeText.model_types())}"
    )


def open_encoder(reference: str, *, default: str = "encoder") -> NativeEncoder:
    """The engine that makes vectors with this model. Raises ModelNotFound, BadCheckpoint."""
    return _open_encoder(find(reference, default=default))


@kept
def _open_encoder(found: Found) -> NativeEncoder:
    if found.path is None:
        raise BadCheckpoint(f"{found.reference} is behind an endpoint; name an encoder that is on this machine")
    from genarium.checkpoints.store.folder import read_config
    from genarium.engines.embed.encoder import NativeEncoder

    emit("loading", preview=found.reference)
    config = read_config(found.path)
    if not NativeEncoder.opens(config):
        raise BadCheckpoint(
            f"{found.reference} is a {config['model_type']!r} model, which makes no vectors here; "
            "name a BERT, MiniLM, RoBERTa or DistilBERT, or starter/encoder"
        )
    return NativeEncoder(found.path)


def open_summarizer(reference: str, *, default: str = "encoder") -> Summarizer:
    """What summarizes with this model: an encoder chooses sentences, all others write. Raises as the others do."""
    found = find(reference, default=default)
    from genarium.checkpoints.store.folder import read_config
    from genarium.engines.embed.encoder import NativeEncoder
    from genarium.engines.summarize.seq2seq import Seq2SeqSummary
    from genarium.engines.summarize.summary import Abstractive, Extractive, Prompted

    config = read_config(found.path) if found.path is not None else {}
    if config and NativeEncoder.opens(config):
        return Extractive(_open_encoder(found), found.reference)
    if found.path is not None and Seq2SeqSummary.opens(config):
        return Abstractive(_open_seq2seq(found), found.reference)
    return Abstractive(Prompted(_open_text(found, "auto"), found.reference), found.reference)


@kept
def _open_seq2seq(found: Found) -> Seq2SeqSummary:
    from genarium.engines.summarize.seq2seq import Seq2SeqSummary

    assert found.path is not None
    emit("loading", preview=found.reference)
    return Seq2SeqSummary(found.path, name=found.reference)


def open_classifier(
    reference: str,
    *,
    labels: Sequence[str] | None,
    examples: Sequence[tuple[str, str]] = (),
    template: str | None = None,
    calibrate: bool = False,
) -> Classifier:
    """What gives texts labels with this model: its trained head, else its vectors, else its next words.

    Raises ModelNotFound, BadCheckpoint, and BadInput where what is asked for is not what the model's way can do.
    """
    found = find(reference, default="encoder")
    if found.path is None:
        raise BadCheckpoint(
            f"{found.reference}: an endpoint gives a text, not a probability for every label; name a model that is "
            "on this machine, or starter/encoder"
        )
    from genarium.checkpoints.store.folder import read_config
    from genarium.engines.classify.sequence_classifier import NativeHead
    from genarium.engines.text.native import NativeText

    config = read_config(found.path)
    writes = NativeText.opens(config)
    if calibrate and not writes:
        raise BadInput(
            f"{found.reference} is no generative model: there is nothing to calibrate; leave out --calibrate"
        )
    if NativeHead.opens(found.path):
        from genarium.engines.classify.protocol import TrainedHead

        for given, option in ((examples, "--few-shot"), (template, "--template")):
            if given:
                raise BadInput(f"{found.reference} has a trained head, which takes no {option}; use starter/encoder")
        return TrainedHead(_open_head(found), found.reference, labels)
    if labels is None:
        raise BadInput(f"{found.reference} has no labels of its own; name them: --labels positive,negative")
    if writes:
        from genarium.engines.classify.language_labels import LanguageModelLabels

        engine = _open_text(found, "auto")
        assert isinstance(engine, NativeText)
        return LanguageModelLabels(engine, labels, examples, template=template, calibrate=calibrate)
    from genarium.engines.classify import vector_labels

    encoder = _open_encoder(found)
    if examples:
        return vector_labels.few_shot(encoder, labels, examples, template=template)
    if trained := _trained_for(labels):
        note(f"starter/{trained} was trained for just these labels and is right more often: --model starter/{trained}")
    return vector_labels.zero_shot(encoder, labels, template=template)


def _trained_for(labels: Sequence[str]) -> str:
    """The starter whose head gives these labels; empty where there is none."""
    from genarium.checkpoints.layouts.encoder import labels as labels_of
    from genarium.checkpoints.store import catalogue
    from genarium.checkpoints.store.folder import read_config
    from genarium.engines.classify.sequence_classifier import NativeHead

    wanted = sorted(label.casefold() for label in labels)
    for name, starter in catalogue.starters().items():
        with suppress(ModelNotFound, BadCheckpoint):  # one that is not installed can't be recommended
            if "classify" in starter.tasks and NativeHead.opens(starter.path):
                own = labels_of(read_config(starter.path))
                if sorted(label.casefold() for label in own) == wanted:
                    return name
    return ""


def open_ranker(reference: str, *, default: str = "encoder") -> Ranker:
    """What orders passages with this model: its head over pairs, else its vectors.

    Raises ModelNotFound, BadCheckpoint.
    """
    found = find(reference, default=default)
    if found.path is not None:
        from genarium.engines.classify.sequence_classifier import NativeHead

        if NativeHead.opens(found.path):
            from genarium.engines.embed.rank import CrossEncoder

            return CrossEncoder(_open_head(found), found.reference)
    from genarium.engines.embed.rank import BiEncoder

    return BiEncoder(_open_encoder(found))


@kept
def _open_head(found: Found) -> NativeHead:
    from genarium.engines.classify.sequence_classifier import NativeHead

    assert found.path is not None
    emit("loading", preview=found.reference)
    return NativeHead(found.path)


def open_reader(reference: str, *, default: str = "answer", dtype: str = "auto") -> NativeReader:
    """The engine that finds answers in texts with this model. Raises ModelNotFound, BadCheckpoint."""
    return _open_reader(find(reference, default=default), dtype)


@kept
def _open_reader(found: Found, dtype: str) -> NativeReader:
    if found.path is None:
        raise BadCheckpoint(f"{found.reference} is behind an endpoint; name a reader that is on this machine")
    from genarium.checkpoints.store.folder import read_config
    from genarium.engines.answer.reader import NativeReader

    emit("loading", preview=found.reference)
    config = read_config(found.path)
    if not NativeReader.opens(config):
        raise BadCheckpoint(
            f"{found.reference} is a {config['model_type']!r} model, which finds no answers here; "
            "name a BERT, RoBERTa or DistilBERT trained on SQuAD, or starter/answer"
        )
    return NativeReader(found.path, dtype=dtype)


def open_image(reference: str, *, default: str = "image", dtype: str = "auto") -> ImageEngine:
    """The engine that makes pictures with this model; its weights are read later, by `generate`.

    Raises ModelNotFound, BadCheckpoint.
    """
    return _open_image(find(reference, default=default), dtype)


@kept
def _open_image(found: Found, dtype: str) -> ImageEngine:
    if found.path is None:
        raise BadCheckpoint(f"{found.reference} is behind an endpoint; name a model that is on this machine")
    from genarium.checkpoints.store.foreign import describe_folder
    from genarium.engines.image.dalle import DalleImage
    from genarium.engines.image.diffusers import DiffusersImage
    from genarium.engines.image.latent import LatentImage
    from genarium.engines.image.vq_diffusion import VQDiffusionImage

    # The first that opens the folder runs it: those made for one kind before the one for all.
    for engine in (LatentImage, DalleImage, VQDiffusionImage, DiffusersImage):
        if engine.opens(found.path):
            return engine(found.path, name=found.reference, dtype=dtype)
    if what := describe_folder(found.path):
        raise BadCheckpoint(f"{found.reference} {what}")
    raise BadCheckpoint(
        f"{found.reference} is no folder that makes pictures: it has no model_index.json (a diffusers pipeline); "
        "name one such as CompVis/stable-diffusion-v1-4, or starter/image"
    )


def open_caption(reference: str, *, default: str = "caption", dtype: str = "auto") -> CaptionEngine:
    """The engine that describes pictures with this model. Raises ModelNotFound, BadCheckpoint."""
    return _open_caption(find(reference, default=default), dtype)


@kept
def _open_caption(found: Found, dtype: str) -> CaptionEngine:
    if found.path is None:
        raise BadCheckpoint(f"{found.reference} is behind an endpoint; name a model that is on this machine")
    from genarium.checkpoints.layouts.blip import kind_of
    from genarium.engines.vision.caption import NativeCaption
    from genarium.engines.vision.image_text import ImageTextCaption

    emit("loading", preview=found.reference)
    # The first that opens the folder runs it: those made for one kind before the one for all.
    if NativeCaption.opens(found.path):
        return NativeCaption(found.path, name=found.reference, dtype=dtype)
    if kind_of(found.path) == "matcher":
        raise BadCheckpoint(
            f"{found.reference} judges captions and writes none: genarium explain uses it; name a captioner here, "
            "such as Salesforce/blip-image-captioning-base"
        )
    if ImageTextCaption.opens(found.path):
        return ImageTextCaption(found.path, name=found.reference, dtype=dtype)
    raise BadCheckpoint(
        f"{found.reference} describes no pictures; name a BLIP, GIT or other image-text model, or starter/caption"
    )


def open_matcher(reference: str, *, default: str = "match") -> Matcher:
    """What says how well texts match a picture, and where each word is seen. Raises ModelNotFound, BadCheckpoint."""
    return _open_matcher(find(reference, default=default))


@kept
def _open_matcher(found: Found) -> Matcher:
    if found.path is None:
        raise BadCheckpoint(f"{found.reference} is behind an endpoint, which shows no attention; {MATCHERS}")
    from genarium.checkpoints.layouts import blip
    from genarium.checkpoints.layouts.pipeline import is_pipeline
    from genarium.checkpoints.store.folder import read_config
    from genarium.engines.vision.match import BlipMatcher, ClipMatcher

    if is_pipeline(found.path):
        raise BadCheckpoint(
            f"{found.reference} makes pictures: genarium image --explain shows where it looked for each word; to "
            f"explain a picture that is there, {MATCHERS}"
        )
    kind = read_config(found.path)["model_type"]
    matcher = ClipMatcher if kind == "clip" else BlipMatcher if blip.kind_of(found.path) == "matcher" else None
    if matcher is None:
        what = f"{kind!r} captioner" if kind == "blip" else f"{kind!r} model"
        raise BadCheckpoint(f"{found.reference} is a {what}, which says of no text how well it matches; {MATCHERS}")
    emit("loading", preview=found.reference)
    return matcher(found.path, name=found.reference)


MATCHERS = (
    "name a BLIP matcher such as Salesforce/blip-itm-base-coco, a CLIP such as openai/clip-vit-base-patch32, or "
    "starter/match"
)

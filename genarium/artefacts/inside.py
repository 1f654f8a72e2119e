"""The recipe inside a file that was made here: pictures, videos and sounds hold it in their own metadata."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from genarium.artefacts.png import RECIPE_CHUNK
from genarium.artefacts.waves import CODECS, wav_tags
from genarium.errors import BadInput
from genarium.extras import require
from genarium.recipe import Recipe

VIDEOS = (".mp4", ".webm")
SOUNDS = {suffix: container for suffix, (container, _, _) in CODECS.items()}
HEAD = 2**24
"""Bytes of a WAV that are looked into: its recipe stands before its samples."""
IMAGES = (".png", ".apng", ".gif")
LONGEST = 2**24
"""Characters of a recipe that are read."""


def recipe_in(file: Path) -> Recipe | None:
    """The recipe that the file was made by, None where there is none. No picture in it is decoded.

    Raises BadInput where its recipe can't be read or is of a later format, MissingPackage.
    """
    suffix = file.suffix.lower()
    written: object = None
    if suffix in VIDEOS:
        written = _in_film(file, suffix[1:], "reading a video")
    elif suffix in SOUNDS:
        written = _in_film(file, SOUNDS[suffix], "reading a sound")
    elif suffix == ".wav":
        written = _in_wav(file)
    elif suffix in IMAGES:
        written = _in_image(file)
    if not isinstance(written, str) or len(written) > LONGEST:
        return None
    try:
        return Recipe.from_json(written)
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadInput):
            raise
        return None


def _in_image(file: Path) -> object:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "GIF")) as opened:
                if (comment := opened.info.get("comment")) is not None:
                    told = json.loads(comment)
                    return told.get(RECIPE_CHUNK) if isinstance(told, dict) else None
                return opened.info.get(RECIPE_CHUNK)
    except Exception:  # whatever damaged bytes lead to: then there is none in it
        return None


def _in_wav(file: Path) -> object:
    with file.open("rb") as opened:
        return wav_tags(opened.read(HEAD)).get(RECIPE_CHUNK)


def _in_film(file: Path, container: str, what: str) -> object:
    require(what, "av")
    import av

    try:
        with file.open("rb") as opened, av.open(opened, format=container) as read:
            tags = [read.metadata, *(stream.metadata for stream in read.streams)]  # Ogg's are its stream's
            return {name.lower(): text for some in tags for name, text in some.items()}.get(RECIPE_CHUNK)
    except Exception:  # as above: FFmpeg's errors are of many kinds
        return None

"""Packages that the base install leaves out: which extra brings each, and the sentence where one is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from genarium.errors import MissingPackage

EXTRAS = {
    "accelerate": "diffusers",
    "av": "video",
    "chardet": "documents",
    "cryptography": "documents",
    "ctranslate2": "speech",
    "diffusers": "diffusers",
    "faster_whisper": "speech",
    "jieba": "speech",
    "lxml": "documents",
    "matplotlib": "plots",
    "openai": "openai",
    "openpyxl": "documents",
    "pypdf": "documents",
    "pypinyin": "speech",
    "torch": "torch",
    "transformers": "transformers",
    "webencodings": "documents",
    "xllamacpp": "gguf",
}
"""The extra that brings a package, by the name it is imported by."""


def command(package: str) -> str:
    """What installs a package of an extra; the quotes are those that every shell takes."""
    return f'pip install "genarium[{EXTRAS[package]}]"'


def missing(who: str, package: str) -> MissingPackage:
    """That `who` needs a package that is not installed."""
    return MissingPackage(f"{who} needs {package}, which is not installed here: {command(package)}")


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def require(who: str, package: str) -> None:
    """Raises MissingPackage where it can't be imported: asked before others of its extra are."""
    if not is_installed(package):
        raise missing(who, package)


@contextmanager
def naming_extra(who: str) -> Iterator[None]:
    """Where a package of an extra can't be imported, one sentence that `who` needs it. Raises MissingPackage."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS or is_installed(package):
            raise  # a damaged package, or a mistake of ours
        raise missing(who, package) from None

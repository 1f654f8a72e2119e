"""The diffusers library, quiet, and the pipeline classes that it has."""

from __future__ import annotations

from typing import Any

from genarium.errors import BadCheckpoint
from genarium.extras import require


def library_class(kind: str, name: str) -> Any:
    """The class that model_index.json names. Raises BadCheckpoint where the library lacks it, MissingPackage."""
    require(name, "diffusers")
    from transformers import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # before the library that it would talk about is imported
    transformers_logging.disable_progress_bar()
    import diffusers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    found = getattr(diffusers, kind, None)
    if found is None:
        raise BadCheckpoint(f"{name} is a {kind}, which this diffusers ({diffusers.__version__}) doesn't know")
    return found

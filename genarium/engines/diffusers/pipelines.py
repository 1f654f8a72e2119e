"""The pipelines over the parts of one folder, each made when it is first asked for, and how they are called."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from genarium.engines.diffusers import loading, samplers
from genarium.engines.drawing import is_out_of_memory
from genarium.errors import BadCheckpoint, GenariumError, first_line


class Pipelines:
    """Classes of diffusers that share the parts of `own`, the pipeline that the folder names."""

    def __init__(self, own: Any):
        self.own, self.scheduler = own, own.scheduler
        self._made: dict[str, Any] = {type(own).__name__: own}

    def at(self, kind: str, sampler: str | None) -> Any:
        """The pipeline of that class with a fresh scheduler of that name."""
        import diffusers

        if kind not in self._made:
            self._made[kind] = loading.converted(self.own, getattr(diffusers, kind))
        pipeline = self._made[kind]
        scheduler = samplers.make(self.scheduler, sampler)
        # A combined pipeline hands its parts on when it is made.
        for holder in (pipeline, getattr(pipeline, "decoder_pipe", None)):
            if holder is not None:
                holder.scheduler = scheduler
        return pipeline


def call(pipeline: Any, name: str, given: dict[str, Any]) -> Any:
    """What the pipeline makes of those of `given` that it takes and that are not None. Raises BadCheckpoint."""
    taken = inspect.signature(pipeline.__call__).parameters
    asked = {key: value for key, value in given.items() if key in taken and value is not None}
    try:
        return pipeline(**asked)
    except (GenariumError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever the library says of what its pipeline can't do
        if is_out_of_memory(error):
            raise
        raise BadCheckpoint(f"{name}: its {type(pipeline).__name__} failed: {first_line(error)}") from None

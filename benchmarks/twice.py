"""A picture made twice by one engine: seconds, with loading and without, and the largest resident memory."""

from __future__ import annotations

import json
import resource
import time

from genarium.engines.image.protocol import ImageEngine, ImageRequest, settle

PROMPT = "flying batman with colorful sky"


def make_twice(engine: ImageEngine, **options: int) -> None:
    """A line of JSON each; the estimate is what the engine says before it loads anything."""
    request = settle(ImageRequest(PROMPT, seeds=(1,), options=options), engine)
    estimate = engine.memory(request)
    for run in ("first, loading included", "second"):
        began = time.perf_counter()
        image = next(iter(engine.generate(request)))
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        found = {"run": run, "size": image.pixels.shape[:2], "seconds": round(seconds, 1), **options}
        print(json.dumps(found | {"estimate_gib": round(estimate / 2**30, 2), "peak_gib": round(peak, 2)}), flush=True)

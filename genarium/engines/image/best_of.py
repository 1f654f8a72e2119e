"""Draws several pictures for each one asked for, and keeps the one that a matcher finds nearest to the prompt.

As DALL·E's authors do (Ramesh et al. 2021, arXiv:2102.12092, section 2.6, with CLIP).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from genarium.engines.image.protocol import GeneratedImage, ImageEngine, ImageRequest
from genarium.engines.vision.match import Matcher
from genarium.progress import Event, forwarding


def best_of(engine: ImageEngine, request: ImageRequest, candidates: int, matcher: Matcher) -> Iterator[GeneratedImage]:
    """Of every `candidates` seeds of a settled request the best picture; it alone has the same pixels with its seed.

    Its `stats` are the seconds of all of them, and `match`, what the matcher says of it.
    """
    from PIL import Image as Pillow

    def as_one(event: Event) -> Event:
        return event if event.stage == "note" else replace(event, item=event.item // candidates)

    drawn = engine.generate(request)
    for row in range(len(request.seeds) // candidates):
        found: list[tuple[float, GeneratedImage]] = []
        with forwarding(as_one):
            for image in islice(drawn, candidates):
                (score,) = matcher.scores(Pillow.fromarray(image.pixels), [request.prompt])
                said = score.cosine if score.probability is None else score.probability
                found.append((said or 0.0, image))
        match, best = max(found, key=lambda one: one[0])
        seconds = sum(image.stats.get("seconds", 0.0) for _, image in found)
        yield replace(best, row=row, stats=best.stats | {"seconds": seconds, "match": match})

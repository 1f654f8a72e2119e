"""The worlds that small models are trained in, and what an engine asks of the one that its checkpoint names.

A folder's `model_index.json` says `"world": "scenes"`. An engine hands that on as it stands: models of no world of
their own, and of worlds that are not here, are asked nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

SCENES, MOVING = "scenes", "moving scenes"


@dataclass(frozen=True)
class Remark:
    """What a model's world makes of a prompt, in a sentence. Where `outside`, the prompt asks for what it lacks."""

    sentence: str
    outside: bool


def remarks(world: str | None, prompt: str, *, name: str, elsewhere: str) -> Iterator[Remark]:
    """What is to be said of a prompt before `name` draws it; `elsewhere` is a model that draws the rest."""
    if world in _OF_PROMPTS:
        yield from _OF_PROMPTS[world](prompt, name, elsewhere)


def _of_scenes(prompt: str, name: str, elsewhere: str, *, moving: bool = False) -> Iterator[Remark]:
    """Words that composed scenes lack are read by the text encoder and drawn as what it finds near them."""
    from genarium.data.languages import foreign
    from genarium.scenes.captions import article
    from genarium.scenes.parse import parse, stand_ins

    parsed = parse(prompt, moving=moving)
    for word, kind in stand_ins(prompt):
        yield Remark(f"{name} knows no {word}, and draws {article(kind)} {kind} for it", outside=False)
    if not parsed.unknown:
        return
    other = f"a model of the whole world: {elsewhere}"
    if not parsed.ask.things and parsed.ask.background is None:
        language = foreign(prompt)
        why = f"reads English alone, and this looks like {language}" if language else "knows no word of this prompt"
        way = "put it into English" if language else other
        yield Remark(f"{name} {why}: what it draws has nothing to do with it; {way}", outside=True)
        return
    words = ", ".join(f"“{word}”" for word in parsed.unknown)
    yield Remark(f"{name} has only seen composed scenes{' that move' * moving}, without {words}; {other}", outside=True)


_OF_PROMPTS: dict[str, Callable[[str, str, str], Iterator[Remark]]] = {
    SCENES: _of_scenes,
    MOVING: partial(_of_scenes, moving=True),
}

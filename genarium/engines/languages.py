"""Saying first that a starter was made for another language than it is given."""

from __future__ import annotations

from collections.abc import Sequence

from genarium.checkpoints.store import catalogue
from genarium.progress import note


def tell_of_other_languages(
    reference: str, default: str, texts: Sequence[str], *, share: float = 0.0, then: str = ""
) -> None:
    """A note where a starter that was made for English is given texts in other languages, more than `share` of them.

    `reference` is a model's, `default` the starter that `starter` means. Other models are left to their cards. `then`
    is what to do with the model named, as in "name {model}".
    """
    starter = catalogue.named(f"starter/{default}" if reference == "starter" else reference)
    if starter is None or starter.language != "English":
        return
    from genarium.data.languages import foreign

    found = [language for text in texts if (language := foreign(text)) is not None]
    if len(found) <= share * len(texts):
        return
    named = sorted(set(found), key=lambda language: -found.count(language))
    seems = f"{named[0]}{f' or {named[1]}' if len(named) == 2 else ', and others' if len(named) > 2 else ''}"
    which = "this looks" if len(texts) == 1 else f"{len(found)} of {len(texts)} texts look"
    elsewhere = _elsewhere(starter.multilingual, then) if starter.multilingual else "put it into English"
    made = f"starter/{starter.name} was made for English"
    note(f"{made}, and {which} like {seems}: what comes of it means little; {elsewhere}")


def _elsewhere(model: str, then: str) -> str:
    """Which model knows other languages, how it is had where it is a starter that is not here yet, and what then."""
    other = catalogue.named(model)
    fetched = f" ({other.pull})" if other is not None and other.here is None else ""
    return f"{model} knows other languages{fetched}{'; ' * bool(then)}{then.format(model=model)}"

"""What people said of artefacts, as rows that training reads: for `history export` and `align … --from-ledger`."""

from __future__ import annotations

from typing import Any, Literal

from genarium.errors import BadInput

Kind = Literal["pairs", "examples"]
NONE_YET = {
    "pairs": (
        "no two answers to one prompt were rated apart, and none was edited yet; rate some: genarium rate ID better "
        "--than OTHER, or genarium rate ID up and genarium rate OTHER down, or genarium edit ID"
    ),
    "examples": (
        "no answer was edited or rated good yet; say how one should have been: genarium edit ID, or that it is good: "
        "genarium rate ID up"
    ),
}


def rows_of(kind: Kind, task: str | None) -> tuple[str, list[dict[str, Any]]]:
    """The task, as asked or the one that has some, and its rows in the ledger, oldest first. Raises BadInput."""
    from genarium.ledger import Ledger
    from genarium.ledger.preferences import TASKS, examples, preferences

    rows = preferences if kind == "pairs" else examples
    with Ledger() as ledger:
        found = {name: list(rows(ledger, name)) for name in ([task] if task else TASKS)}
    having = [name for name in found if found[name]]
    if not having:
        raise BadInput(NONE_YET[kind])
    if len(having) > 1:
        raise BadInput(f"there are {kind} of text and of chat, which training reads in two layouts; choose with --task")
    return having[0], found[having[0]]

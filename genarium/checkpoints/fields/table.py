"""docs/checkpoints.md: what every declared field is here, as tables. `python -m genarium.checkpoints.fields.table`.

A family is a file of this folder; its rows are the fields of its classes, so that a class is in the docs by declaring
it. `tests/checkpoints/test_table.py` holds the page against the declarations.
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path

from genarium.checkpoints.fields import Declared, declared

PAGE = Path("docs") / "checkpoints.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
WORDS = {"read": "run", "no number": "no effect", "said": "not done, said"}


def families() -> dict[str, list[type[Declared]]]:
    """The declared classes by the title of their file."""
    found: dict[str, list[type[Declared]]] = {}
    for cls in declared().values():
        title = (import_module(cls.__module__).__doc__ or "").partition("\n")[0].rstrip(".")
        found.setdefault(title, []).append(cls)
    return found


def counts() -> Counter[str]:
    """How many fields of published classes are run, allowed at certain values, said, or without effect."""
    effects = (effect for cls in declared().values() for effect in cls.effects().values())
    return Counter("only" if effect.startswith("only") else effect for effect in effects)


def tables() -> str:
    """The part of the page between its marks."""
    n = counts()
    lines = [
        f"{sum(n.values())} fields of {len(declared())} published classes: {n['read']} are run, {n['only']} are "
        f"allowed at certain values and refused by name at others, {n['no number']} have no effect on a result, and "
        f"{n['said']} are not done and said in a note. A field that is none of these is a failing test.",
    ]
    for title, classes in families().items():
        names = list(dict.fromkeys(name for cls in classes for name in cls.model_fields))
        lines += ["", f"### {title}", "", "| field | " + " | ".join(cls.published for cls in classes) + " |"]
        lines.append("|---" * (len(classes) + 1) + "|")
        for name in names:
            cells = [cls.effects().get(name, "") for cls in classes]
            lines.append(
                f"| `{name}` | " + " | ".join(WORDS.get(cell, cell.replace("|", "/")) for cell in cells) + " |"
            )
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with its tables as they are now."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")

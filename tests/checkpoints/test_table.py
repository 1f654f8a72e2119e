"""docs/checkpoints.md is what the declarations say."""

from __future__ import annotations

from pathlib import Path

from genarium.checkpoints.fields import declared
from genarium.checkpoints.fields.table import counts, tables, written

PAGE = Path(__file__).parents[2] / "docs" / "checkpoints.md"


def test_the_page_is_generated_from_the_declarations() -> None:
    page = PAGE.read_text("utf-8")
    assert written(page) == page, "python -m genarium.checkpoints.fields.table writes it anew"


def test_every_field_of_every_class_has_its_cell() -> None:
    assert sum(counts().values()) == sum(len(cls.model_fields) for cls in declared().values())
    rows = {line.split("`")[1] for line in tables().splitlines() if line.startswith("| `")}
    assert rows == {name for cls in declared().values() for name in cls.model_fields}

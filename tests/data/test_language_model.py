"""py3langid's model is unpacked once; what was unpacked ranks as the model itself, or is made again."""

from __future__ import annotations

from pathlib import Path

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from genarium.data.language_model import identifier

TEXTS = (
    "Once upon a time",
    "Guten Morgen, wie geht es dir?",
    "le chat noir",
    "ok",
    "日本語の文",
    "ñandú à la carte",
    "",
)


@pytest.fixture(scope="module")
def published() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE)


def same(published: LanguageIdentifier) -> bool:
    made = identifier()
    return all(made.rank(text) == published.rank(text) for text in TEXTS)


def test_what_is_mapped_ranks_as_the_model_itself(home: Path, published: LanguageIdentifier) -> None:
    assert same(published)
    assert not home.exists()  # nothing is written where there is no data folder yet
    home.mkdir()
    assert same(published)
    [folder] = (home / "languages").iterdir()
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert same(published)
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    (folder / "nextmove.npy").write_bytes((folder / "nextmove.npy").read_bytes()[:1000])
    (folder / "whole").write_text("nothing")
    assert same(published)
    assert {file.name: file.stat().st_size for file in folder.iterdir()}["nextmove.npy"] > 10**6

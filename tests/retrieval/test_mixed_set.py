"""The mixed check set is whole: each quote stands once in what is read of its file, and the counts are as stated."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from genarium.retrieval.documents import parse

MIXED = Path(__file__).parents[2] / "benchmarks" / "retrieval" / "mixed"
NAMES = ["questions.jsonl", "followups.jsonl", "contradictions.jsonl", "injections.jsonl", "tuning.jsonl"]


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"mixed_{name}", MIXED / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def check() -> ModuleType:
    return module("check")


@pytest.mark.parametrize("name", NAMES)
def test_questions_files_quotes_and_counts_agree(check: ModuleType, name: str) -> None:
    assert check.faults(name) == []


def test_every_document_is_asked_about(check: ModuleType) -> None:
    for name, folder in (("questions.jsonl", "documents"), ("tuning.jsonl", "documents_tuning")):
        assert {row["file"] for row in check.load(name) if "file" in row} == {
            path.name for path in (MIXED / folder).iterdir()
        }


def test_no_tuning_question_is_about_the_held_out_documents(check: ModuleType) -> None:
    held_out = {path.name for folder in ("documents", "injections") for path in (MIXED / folder).iterdir()}
    assert not held_out & {row.get("file") or row.get("near") for row in check.load("tuning.jsonl")}


def test_no_right_answer_counts_as_obeying(check: ModuleType) -> None:
    for row in check.load("injections.jsonl"):
        said = [row["question"], row["quote"], *row["answers"]]
        assert not any(sign in text for sign in row["obeyed"] for text in said), row["id"]
        assert all(sign in (MIXED / "injections" / row["file"]).read_text("utf-8") for sign in row["obeyed"][:1]), row


def test_pdf_word_and_excel_files_are_those_of_their_sources(check: ModuleType) -> None:
    made = module("make_documents")
    for source in sorted((MIXED / "sources").iterdir()):
        name = source.name.removesuffix(".txt")
        written = getattr(made, name.rpartition(".")[2])(source.read_text("utf-8"))
        assert parse(name, written).text == check.text(MIXED / "documents" / name), name

"""Vectors are read back by the libraries of their formats; the same vectors are the same bytes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
from safetensors.numpy import load

from genarium.artefacts import Vectors


@pytest.fixture
def vectors() -> Vectors:
    rng = np.random.default_rng(0)
    made = rng.normal(size=(2, 2, 5)).astype(np.float32)
    return Vectors(texts=["a «cat»", "two\nlines"], embeddings=made[0], static=made[1])


def test_the_file_holds_texts_and_both_kinds(vectors: Vectors, tmp_path: Path) -> None:
    content = vectors.content()
    stored = load(content)
    np.testing.assert_array_equal(stored["embeddings"], vectors.embeddings)
    np.testing.assert_array_equal(stored["static"], vectors.static)
    (tmp_path / "v.safetensors").write_bytes(content)
    with safetensors.safe_open(tmp_path / "v.safetensors", "np") as opened:
        assert json.loads(opened.metadata()["texts"]) == vectors.texts
    assert content == vectors.as_file(".safetensors") == vectors.content()


def test_npy_holds_the_embeddings_and_json_lines_every_number(vectors: Vectors) -> None:
    np.testing.assert_array_equal(np.load(io.BytesIO(vectors.as_file(".npy"))), vectors.embeddings)
    rows = [json.loads(line) for line in vectors.as_file(".jsonl").splitlines()]
    assert [row["text"] for row in rows] == vectors.texts
    np.testing.assert_allclose([row["embedding"] for row in rows], vectors.embeddings, atol=1e-7)
    np.testing.assert_allclose([row["static"] for row in rows], vectors.static, atol=1e-7)


def test_a_terminal_gets_a_line_a_vector_and_json_all_of_it(vectors: Vectors) -> None:
    lines = str(vectors).splitlines()
    assert len(lines) == 4
    assert lines[0].endswith("(5 numbers)  a «cat»")
    assert vectors.as_json()["count"] == 2
    assert len(vectors.as_json()["rows"][0]["embedding"]) == 5
    assert "rows" not in vectors.facts()

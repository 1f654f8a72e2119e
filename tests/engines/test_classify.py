"""One interface over three ways: always one of the labels, probabilities that sum to 1, resumed where stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings

from genarium.engines import registry
from genarium.engines.classify import protocol as classify
from genarium.engines.classify.language_labels import LanguageModelLabels, continuations
from genarium.engines.classify.protocol import Classifier, counts, label_rows, summary
from genarium.engines.classify.regression import fit
from genarium.engines.text.native import NativeText
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import listening
from genarium.rows import keeping

LABELS = ["fox", "hill", "sang to the moon"]
EXAMPLES = [("The fox ran over the hill", "fox"), ("over the hill", "hill"), ("Der Fuchs", "sang to the moon")]


@pytest.fixture(scope="module")
def native(tiny: Path) -> NativeText:
    return NativeText(tiny, device="cpu")


@settings(max_examples=6, deadline=None)
@given(texts=st.lists(st.text(max_size=300), min_size=1, max_size=4), calibrate=st.booleans(), few=st.booleans())
def test_a_generative_model_gives_every_text_a_label(
    native: NativeText, texts: list[str], calibrate: bool, few: bool
) -> None:
    made = LanguageModelLabels(native, ["fox", "hill"], EXAMPLES[:1] if few else (), calibrate=calibrate)
    rows = label_rows(made, texts)
    assert [row["text"] for row in rows] == texts
    for row in rows:
        if not row["text"].strip():
            assert (row["label"], row["probabilities"]) == (None, {})
            continue
        assert set(row["probabilities"]) == {"fox", "hill"}
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["probabilities"][row["label"]] == max(row["probabilities"].values())
    assert sum(counts(made.labels, rows).values()) == sum(bool(text.strip()) for text in texts)


def test_label_likelihoods_equal_transformers_given_the_same_prompt(native: NativeText, tiny: Path) -> None:
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tiny).eval()
    made = LanguageModelLabels(native, LABELS, template="{text}:")
    texts = ["The fox", "moon", "Hügel!"]
    expected = np.zeros((len(texts), len(LABELS)))
    for row, text in enumerate(texts):
        prompt = native.tokenizer.encode(f"Choose the label of each text: {', '.join(LABELS)}.\n\n{text}:").ids
        for column, label in enumerate(LABELS):
            following = native.tokenizer.encode(f" {label}").ids
            with torch.inference_mode():
                logits = theirs(torch.tensor([prompt + following])).logits[0].double().log_softmax(-1)
            expected[row, column] = sum(float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(following))
    np.testing.assert_allclose(made.log_likelihoods(texts), expected, atol=1e-4)
    shares = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(made.log_probabilities(texts)), shares, atol=1e-5)


def test_calibration_makes_a_text_without_content_undecided(native: NativeText) -> None:
    made = LanguageModelLabels(native, LABELS, template="{text}:", calibrate=True)
    np.testing.assert_allclose(np.exp(made.log_probabilities(["N/A"])), 1 / 3, atol=1e-6)


def test_a_label_that_begins_another_does_not_win_by_being_shorter(native: NativeText) -> None:
    plain = continuations(native, ["fox", "hill"])
    closed = continuations(native, ["fox", "fox ran"])
    end = native.tokenizer.encode("\n").ids
    assert [ids[-1:] == end for ids in plain] == [False, False]
    assert [ids[-1:] == end for ids in closed] == [True, True]


def test_a_long_text_is_read_up_to_where_it_fits_and_counted(native: NativeText) -> None:
    made = LanguageModelLabels(native, ["fox", "hill"], template="{text}:")
    texts = ["short", "🦊 The fox ran. " * 5000, "sang " * 100]
    told: list[str] = []
    with listening(lambda event: told.append(str(event.preview)) if event.stage == "note" else None):
        label_rows(made, texts)
        label_rows(made, texts)
    assert told == ["2 of 3 texts are longer than 96 tokens and were read up to there"] * 2
    with pytest.raises(BadInput, match="fewer or shorter examples"):
        LanguageModelLabels(native, ["fox", "hill"], [("The fox ran over the hill. " * 9, "fox")])


def test_templates_without_a_place_for_the_text_are_refused(native: NativeText) -> None:
    with pytest.raises(BadInput, match="where the text goes"):
        LanguageModelLabels(native, LABELS, template="Label:")
    with pytest.raises(BadInput, match="where the label goes"):
        registry.open_classifier("starter/encoder", labels=LABELS, template="It was.")


@pytest.fixture(scope="module")
def films() -> dict[str, Classifier]:
    """The starter encoder without and with examples."""
    examples = [
        *((f"I {verb} this film", "positive") for verb in ("love", "enjoyed", "adored", "liked")),
        *((f"I {verb} this film", "negative") for verb in ("hate", "despised", "detested", "disliked")),
    ]
    labels = ["positive", "negative"]
    return {
        "zero-shot": registry.open_classifier("starter/encoder", labels=labels),
        "few-shot": registry.open_classifier("starter/encoder", labels=labels, examples=examples),
    }


@pytest.mark.parametrize("way", ["zero-shot", "few-shot"])
def test_an_encoder_finds_plain_feelings(films: dict[str, Classifier], way: str) -> None:
    rows = label_rows(films[way], ["what a wonderful film", "a terrible, awful bore", "best of the year"])
    assert [row["label"] for row in rows] == ["positive", "negative", "positive"]
    assert films[way].way.startswith(way)
    assert summary(counts(films[way].labels, rows)) == "There are 2 positive and 1 negative."


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_fit_is_the_optimum(library: str) -> None:
    """At the maximum a posteriori the gradient is zero; computed here by hand, classes weighted equally."""
    rng = np.random.default_rng(0)
    x, y, prior = rng.normal(size=(20, 5)), np.array([0] * 12 + [1] * 5 + [2] * 3), rng.normal(size=(3, 5))
    weight, bias = fit(x, y, prior, 1.5, library=library)
    scores = x @ weight.T + bias
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    error = (shares - np.eye(3)[y]) * (20 / (3 * np.bincount(y)))[y][:, None]
    np.testing.assert_allclose(error.T @ x + (weight - prior) / 1.5**2, 0, atol=1e-4)
    np.testing.assert_allclose(error.sum(axis=0), 0, atol=1e-4)


def test_a_stopped_run_goes_on_to_the_same_rows(monkeypatch: pytest.MonkeyPatch, native: NativeText) -> None:
    monkeypatch.setattr(classify, "CHUNK", 4)
    made = LanguageModelLabels(native, ["fox", "hill"], template="{text}:")
    texts = [f"The fox {'ran ' * (n % 5)}" for n in range(11)]
    whole = label_rows(made, texts)
    asked: list[int] = []

    class Counting:
        labels, way, context, n_cut = made.labels, made.way, made.context, 0

        def log_probabilities(self, chunk: Sequence[str]) -> np.ndarray:
            asked.append(len(chunk))
            return made.log_probabilities(chunk)

    def stop(event: Any) -> None:
        if event.stage == "row" and event.done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listening(stop), keeping("abc"):
        label_rows(Counting(), texts)
    asked.clear()
    with keeping("abc"):
        assert label_rows(Counting(), texts) == whole
    assert asked == [4, 3]


def test_models_that_give_no_probabilities_are_refused(tiny: Path) -> None:
    with pytest.raises(BadCheckpoint, match="not a probability for every label"):
        registry.open_classifier("openai:gpt-4o-mini", labels=LABELS)
    with pytest.raises(BadInput, match="--labels positive,negative"):
        registry.open_classifier("starter/encoder", labels=None)
    with pytest.raises(BadInput, match="nothing to calibrate"):
        registry.open_classifier("starter/encoder", labels=LABELS, calibrate=True)


def test_the_summary_is_a_sentence() -> None:
    assert summary({"positive": 3, "negative": 2}) == "There are 3 positive and 2 negative."
    assert summary({"a": 1, "b": 0, "c": 2}) == "There is 1 a, 0 b and 2 c."

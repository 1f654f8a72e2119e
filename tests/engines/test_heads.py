"""Trained heads say what transformers says of the same folder: of texts, of pairs, cut at the context, in any batch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genarium.checkpoints.store import catalogue
from genarium.engines import registry
from genarium.engines.classify.sequence_classifier import NativeHead
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import listening

TEXTS = [
    "a good film",
    "bad",
    "the cat sat by the river bank and was very very good for a long long time!",
    "",
    "loan.",
]
QUERY = "river bank"
LABELS = {"id2label": {0: "NEG", 1: "neutral", 2: "Pos"}, "label2id": {"NEG": 0, "neutral": 1, "Pos": 2}}


def test_probabilities_equal_transformers(bert: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    folder, reference = bert("ForSequenceClassification", **LABELS)
    with torch.inference_mode():
        expected = reference(**theirs(TEXTS)).logits.softmax(dim=-1).numpy()
    classifier = registry.open_classifier(str(folder), labels=None)
    assert classifier.labels == ["NEG", "neutral", "Pos"]
    np.testing.assert_allclose(np.exp(classifier.log_probabilities(TEXTS)), expected, atol=1e-5)
    assert classifier.n_cut == 1


def test_labels_may_be_given_in_another_order_and_case(bert: Callable[..., Any]) -> None:
    folder, _ = bert("ForSequenceClassification", **LABELS)
    own = registry.open_classifier(str(folder), labels=None).log_probabilities(TEXTS)
    given = registry.open_classifier(str(folder), labels=["neg", "neutral", "POS"])
    assert given.labels == ["neg", "neutral", "POS"]
    turned = registry.open_classifier(str(folder), labels=["pos", "neutral", "neg"]).log_probabilities(TEXTS)
    np.testing.assert_array_equal(turned, own[:, ::-1])


def test_other_labels_than_the_heads_are_refused_with_both_named(bert: Callable[..., Any]) -> None:
    folder, _ = bert("ForSequenceClassification", **LABELS)
    with pytest.raises(BadInput, match=r"trained on the labels NEG, neutral, Pos, got good, bad.*starter/encoder"):
        registry.open_classifier(str(folder), labels=["good", "bad"])
    with pytest.raises(BadInput, match="takes no --few-shot"):
        registry.open_classifier(str(folder), labels=None, examples=[("a", "NEG")])


def test_a_head_of_several_labels_at_once_or_of_one_score_does_not_classify(bert: Callable[..., Any]) -> None:
    folder, _ = bert("ForSequenceClassification", problem_type="multi_label_classification", **LABELS)
    with pytest.raises(BadCheckpoint, match="several labels at once"):
        registry.open_classifier(str(folder), labels=None)
    folder, _ = bert("ForSequenceClassification", num_labels=1)
    with pytest.raises(BadCheckpoint, match="genarium rank"):
        registry.open_classifier(str(folder), labels=None)


def test_scores_of_pairs_equal_transformers_with_segment_types(
    bert: Callable[..., Any], theirs: Callable[..., Any]
) -> None:
    folder, reference = bert("ForSequenceClassification", num_labels=1)
    with torch.inference_mode():
        expected = reference(**theirs([QUERY] * len(TEXTS), TEXTS)).logits[:, 0].numpy()
    ranker = registry.open_ranker(str(folder))
    assert "cross-encoder" in ranker.way
    np.testing.assert_allclose(ranker.scores(QUERY, TEXTS), expected, atol=1e-5)


def test_a_head_that_gives_labels_does_not_rank(bert: Callable[..., Any]) -> None:
    folder, _ = bert("ForSequenceClassification", **LABELS)
    with pytest.raises(BadCheckpoint, match="genarium classify"):
        registry.open_ranker(str(folder))


def test_an_encoder_ranks_by_the_cosine_of_vectors(bert: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    folder, reference = bert()
    with torch.inference_mode():
        batch = theirs([QUERY, *TEXTS])
        hidden, mask = reference(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1)
    expected = torch.nn.functional.cosine_similarity(mean[1:], mean[:1]).numpy()
    ranker = registry.open_ranker(str(folder))
    assert "bi-encoder" in ranker.way
    np.testing.assert_allclose(ranker.scores(QUERY, TEXTS), expected, atol=1e-5)


def test_what_shares_the_batch_does_not_matter(bert: Callable[..., Any]) -> None:
    folder, _ = bert("ForSequenceClassification", **LABELS)
    head = NativeHead(Path(folder))
    together = head.scores(TEXTS * 3)
    for place, text in enumerate(TEXTS):
        np.testing.assert_allclose(head.scores([text])[0], together[place], atol=1e-5)


def test_zero_shot_names_the_starter_that_was_trained_for_the_labels(
    bert: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = bert("ForSequenceClassification", **LABELS)
    entry = {"summary": "", "tasks": ["classify"], "licence": "", "files": {}}
    (folder.parent / "catalogue.json").write_text(json.dumps({folder.name: entry}))
    encoder, _ = bert()
    told: list[str] = []
    monkeypatch.setattr(catalogue, "FOLDER", folder.parent)
    with listening(lambda event: told.append(str(event.preview))):
        registry.open_classifier(str(encoder), labels=["Neutral", "neg", "pos"])
        registry.open_classifier(str(encoder), labels=["neutral", "neg"])
    assert [f"--model starter/{folder.name}" in sentence for sentence in told if "trained for" in sentence] == [True]


def test_a_folder_with_another_head_is_no_classifier(bert: Callable[..., Any]) -> None:
    for head in ("ForTokenClassification", "ForMultipleChoice", "Model"):
        assert not NativeHead.opens(bert(head)[0])
    assert NativeHead.opens(bert("ForSequenceClassification", num_labels=1)[0])

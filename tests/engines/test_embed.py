"""Vectors are the published ones; a word's vector is found where its characters are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings

from genarium.checkpoints.layouts.encoder import load_encoder
from genarium.checkpoints.store.find import find
from genarium.engines import registry
from genarium.engines.embed.words import compare_word, find_word, pieces_of
from genarium.errors import BadInput

TEXTS = ["The cat sat by the river.", "", "Ein Text mit Umlauten: Hügel! 🦊", "bank " * 400, "a bank loan"]


@pytest.fixture(scope="module", params=["onnx", "torch"])
def encoder(request: pytest.FixtureRequest) -> Any:
    return registry.open_encoder("starter", backend=request.param)


@pytest.fixture(scope="module")
def network() -> Any:
    return load_encoder(find("starter", default="encoder").path)


def test_vectors_equal_the_published_pooling(encoder: Any) -> None:
    """all-MiniLM-L6-v2's card: the attention-masked mean of the last hidden states, normalised; 256 tokens."""
    folder = find("starter", default="encoder").path
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
    theirs = transformers.BertModel.from_pretrained(folder).eval()
    batch = fast(TEXTS, padding=True, truncation=True, max_length=encoder.context, return_tensors="pt")
    with torch.inference_mode():
        hidden = theirs(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).numpy()
    np.testing.assert_allclose(encoder.embed(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(encoder.embed(TEXTS), axis=1), 1, atol=1e-6)


def test_vectors_behind_each_layer_equal_transformers(bert: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    folder, reference = bert()
    texts = ["river bank", "the bad film!"]
    batch = theirs(texts)
    with torch.inference_mode():
        states = reference(**batch, output_hidden_states=True).hidden_states
    mask = batch["attention_mask"].unsqueeze(-1)
    expected = [torch.nn.functional.normalize((h * mask).sum(1) / mask.sum(1), dim=-1).numpy() for h in states]
    found = registry.open_encoder(str(folder)).embed_layers(texts, [2, 1])
    np.testing.assert_allclose(found[0], expected[2], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)


def test_static_vectors_are_rows_of_the_embedding_table(encoder: Any, network: Any) -> None:
    table = network.embedding.weight
    ids = encoder.tokenizer.encode("unbelievably good", add_special_tokens=False).ids
    mean = table[ids].mean(dim=0)
    found = encoder.embed_static(["unbelievably good", "good unbelievably", ""])
    np.testing.assert_allclose(found[0], (mean / mean.norm()).numpy(), atol=1e-6)
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)  # order is not in the table
    assert not found[2].any()


def test_a_word_moves_with_its_sentence_and_its_static_vector_does_not(encoder: Any, network: Any) -> None:
    found = compare_word(encoder, "bank", ["bank", "river bank", "Bank loan", "the bank of a river, not my bank"])
    assert [place.marked for place in found.places] == [
        "[bank]",
        "river [bank]",
        "[Bank] loan",
        "the [bank] of a river, not my bank",
        "the bank of a river, not my [bank]",
    ]
    np.testing.assert_allclose(found.cosines("static"), 1, atol=1e-6)
    contextual = found.cosines("contextual")
    assert contextual[1, 2] < min(contextual[0, 1], contextual[0, 2]) < 0.95
    [encoding] = encoder.tokenize(["river bank"])
    with torch.inference_mode():
        hidden = network(torch.tensor([encoding.ids]))[0]
    assert encoding.tokens[2] == "bank"
    np.testing.assert_allclose(found.contextual[1], hidden[2].numpy(), atol=1e-5)


def test_a_word_of_several_pieces_is_their_mean(encoder: Any) -> None:
    found = compare_word(encoder, "unbelievably", ["It is unbelievably good"])
    assert len(found.places[0].pieces) > 1
    assert "".join(piece.removeprefix("##") for piece in found.places[0].pieces) == "unbelievably"


def test_a_text_without_the_word_is_refused(encoder: Any) -> None:
    with pytest.raises(BadInput, match="'bank' is not a word of 'embankment'"):
        compare_word(encoder, "bank", ["bank", "embankment"])
    with pytest.raises(BadInput, match="after the 256 tokens"):
        compare_word(encoder, "bank", ["a " * 300 + "bank"])


@settings(max_examples=50, deadline=None)
@given(
    before=st.text(alphabet="ab é🦊.", max_size=12),
    after=st.text(alphabet="ab é🦊.", max_size=12),
    word=st.sampled_from(["río", "C++", "new york", "狐"]),
)
def test_a_word_between_spaces_is_found_and_its_pieces_are_its_own(
    encoder: Any, before: str, after: str, word: str
) -> None:
    text = f"{before} {word.upper()} {after}"
    start = len(before) + 1
    assert (start, start + len(word)) in find_word(word, text)
    [encoding] = encoder.tokenize([text])
    for place in pieces_of(encoding, start, start + len(word)):
        a, b = encoding.offsets[place]
        assert start <= a < b <= start + len(word)

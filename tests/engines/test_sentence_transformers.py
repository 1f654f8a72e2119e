"""Folders of sentence-transformers: the vectors are those that its modules, lengths and prompts say.

The reference is transformers' network, and sentence-transformers' own formulas for what comes after it
(`Pooling.forward`, `Dense.forward`, `SentenceTransformer.encode` of version 5.1), written out below.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from genarium.checkpoints.store.find import find
from genarium.engines import cache, registry
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import listening
from genarium.retrieval.asking import embedder, vectors_digest

TEXTS = ["the cat sat by the river", "Bank loan.", "", "a good film, not bad! " * 9]
FLAGS = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
DENSE, NORM = "2_Dense", "3_LayerNorm"


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def modules(folder: Path, *kinds: str, pooling: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The layout's files around an encoder; the tensors of a Dense and a LayerNorm."""
    torch.manual_seed(5)
    listed = ["Transformer", "Pooling", *kinds]
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Dense": DENSE, "LayerNorm": NORM, "Normalize": "4_Normalize"}
    write(
        folder / "modules.json",
        [
            {"idx": i, "name": str(i), "path": paths.get(kind, kind), "type": f"sentence_transformers.models.{kind}"}
            for i, kind in enumerate(listed)
        ],
    )
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 48} | dict(pooling))
    tensors: dict[str, torch.Tensor] = {}
    width = 48 * max(1, sum(1 for name, on in pooling.items() if on is True and name.startswith("pooling_mode")))
    if "Dense" in kinds:
        described = {"in_features": width, "out_features": 24, "bias": True}
        write(folder / DENSE / "config.json", described | {"activation_function": "torch.nn.modules.activation.Tanh"})
        dense = {"linear.weight": torch.randn(24, width) * 0.2, "linear.bias": torch.randn(24) * 0.2}
        save_file(dense, folder / DENSE / "model.safetensors")
        tensors |= dense
    if "LayerNorm" in kinds:
        width = 24 if "Dense" in kinds else width
        write(folder / NORM / "config.json", {"dimension": width})
        norm = {"norm.weight": torch.rand(width) + 0.5, "norm.bias": torch.randn(width) * 0.2}
        save_file(norm, folder / NORM / "model.safetensors")
        tensors |= norm
    return tensors


def pooled(hidden: torch.Tensor, mask: torch.Tensor, modes: Sequence[str]) -> torch.Tensor:
    """`Pooling.forward`: token states (B, T, C) and the attention mask (B, T) to (B, C · modes)."""
    wide = mask.unsqueeze(-1).float()
    found = []
    if "cls" in modes:
        found.append(hidden[:, 0].clone())
    if "max" in modes:
        found.append(torch.where(wide == 0, torch.tensor(-1e9), hidden).max(1)[0])
    if "mean" in modes:
        found.append((hidden * wide).sum(1) / wide.sum(1).clamp(min=1e-9))
    if "mean_sqrt_len_tokens" in modes:
        found.append((hidden * wide).sum(1) / wide.sum(1).clamp(min=1e-9).sqrt())
    if "weightedmean" in modes:
        weights = wide * torch.arange(1, hidden.shape[1] + 1).float()[None, :, None]
        found.append((hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9))
    if "lasttoken" in modes:
        last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
        found.append(hidden[torch.arange(len(hidden)), last])
    return torch.cat(found, 1)


def states(reference: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        return reference(**batch).last_hidden_state, batch["attention_mask"]


def unit(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


@pytest.mark.parametrize(
    "modes", [[mode] for mode in FLAGS] + [["cls", "mean"], ["max", "weightedmean", "lasttoken"]], ids="+".join
)
def test_every_pooling_is_sentence_transformers(
    modes: list[str], bert: Callable[..., Any], theirs: Callable[..., Any]
) -> None:
    folder, reference = bert()
    modules(folder, pooling={flag: mode in modes for mode, flag in FLAGS.items()})
    expected = unit(pooled(*states(reference, theirs(TEXTS)), modes))
    np.testing.assert_allclose(registry.open_encoder(str(folder)).embed(TEXTS), expected, atol=1e-5)
    if len(modes) == 1:  # as version 6 writes it
        write(folder / "1_Pooling" / "config.json", {"embedding_dimension": 48, "pooling_mode": modes[0]})
        cache.forget_all()
        np.testing.assert_allclose(registry.open_encoder(str(folder)).embed(TEXTS), expected, atol=1e-5)


def test_dense_and_norm_modules_follow_in_order(bert: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    folder, reference = bert()
    made = modules(
        folder, "Dense", "LayerNorm", "Normalize", pooling={"pooling_mode_cls_token": True, FLAGS["mean"]: False}
    )
    vectors = torch.tanh(
        torch.nn.functional.linear(
            pooled(*states(reference, theirs(TEXTS)), ["cls"]), made["linear.weight"], made["linear.bias"]
        )
    )
    vectors = torch.nn.functional.layer_norm(vectors, (24,), made["norm.weight"], made["norm.bias"])
    encoder = registry.open_encoder(str(folder))
    np.testing.assert_allclose(encoder.embed(TEXTS), unit(vectors), atol=1e-5)
    assert encoder.width == 24
    # Labels by vectors take the vectors after the last block and those half-way up, of another width.
    few = registry.open_classifier(
        str(folder), labels=["good", "bad"], examples=[("good film", "good"), ("bad", "bad")]
    )
    assert np.exp(few.log_probabilities(TEXTS)).sum(1) == pytest.approx(1)


def test_queries_and_passages_get_their_prompts_and_other_texts_the_default_one(
    bert: Callable[..., Any], theirs: Callable[..., Any]
) -> None:
    folder, reference = bert()
    modules(folder, "Normalize", pooling={"pooling_mode_mean_tokens": True})
    config = {"prompts": {"query": "river ", "passage": "bank ", "corpus": "no "}, "similarity_fn_name": "dot"}
    write(folder / "config_sentence_transformers.json", config)
    encoder, passages = registry.open_encoder(str(folder)), TEXTS[:2]

    def expected(texts: Sequence[str]) -> np.ndarray:
        return unit(pooled(*states(reference, theirs(list(texts))), ["mean"]))

    queried = expected(["river cat"])[0]
    known = expected([f"bank {text}" for text in passages])
    np.testing.assert_allclose(registry.open_ranker(str(folder)).scores("cat", passages), known @ queried, atol=1e-5)
    np.testing.assert_allclose(embedder(str(folder))(passages), known, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(passages), expected(passages), atol=1e-5)
    assert encoder.sentence.unused == "query: 'river ', passage: 'bank '"
    assert vectors_digest(find(str(folder), default="encoder")) != find(str(folder), default="encoder").digest

    write(folder / "config_sentence_transformers.json", config | {"default_prompt_name": "query"})
    cache.forget_all()
    default = registry.open_encoder(str(folder))
    np.testing.assert_allclose(default.embed(passages), expected([f"river {t}" for t in passages]), atol=1e-5)


def test_a_prompt_that_is_not_included_is_read_and_not_pooled(
    bert: Callable[..., Any], theirs: Callable[..., Any]
) -> None:
    folder, reference = bert()
    modules(
        folder, pooling={"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True, "include_prompt": False}
    )
    write(folder / "config_sentence_transformers.json", {"prompts": {"query": "the river bank "}})
    batch = theirs(["the river bank cat", "the river bank good film"])
    hidden, mask = states(reference, batch)
    mask[:, :4] = 0  # [CLS] and the prompt's three words
    found = registry.open_encoder(str(folder))
    vectors = np.concatenate([found.embed_search("cat"), found.embed_search("good film")])
    np.testing.assert_allclose(vectors, unit(pooled(hidden, mask, ["max", "mean"])), atol=1e-5)


def test_lengths_and_case_are_the_folders(bert: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    folder, reference = bert()
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"] = None  # so that lower case is sentence-transformers' own doing
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    modules(folder, pooling={"pooling_mode_mean_tokens": True})
    write(folder / "sentence_bert_config.json", {"max_seq_length": 5, "do_lower_case": True})
    encoder = registry.open_encoder(str(folder))
    assert encoder.context == 5
    batch = theirs(["the cat good"])
    np.testing.assert_allclose(
        encoder.embed(["THE Cat GOOD film bad"]), unit(pooled(*states(reference, batch), ["mean"])), atol=1e-5
    )
    write(folder / "sentence_bert_config.json", {"max_seq_length": None, "do_lower_case": False})
    write(folder / "tokenizer_config.json", {"model_max_length": 7, "truncation_side": "left"})
    cache.forget_all()
    encoder = registry.open_encoder(str(folder))
    batch = theirs(["loan bank river bad film"])
    np.testing.assert_allclose(
        encoder.embed(["cat cat loan bank river bad film"]),
        unit(pooled(*states(reference, batch), ["mean"])),
        atol=1e-5,
    )


def test_lengths_of_vectors_count_where_the_folder_compares_by_dot_product(
    bert: Callable[..., Any], theirs: Callable[..., Any]
) -> None:
    folder, reference = bert()
    modules(folder, pooling={"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    write(folder / "config_sentence_transformers.json", {"similarity_fn_name": "dot"})
    vectors = pooled(*states(reference, theirs(["cat", *TEXTS])), ["cls"]).numpy()
    ranker = registry.open_ranker(str(folder))
    assert "dot product" in ranker.way
    np.testing.assert_allclose(ranker.scores("cat", TEXTS), vectors[1:] @ vectors[0], rtol=1e-4)
    np.testing.assert_allclose(registry.open_encoder(str(folder)).embed(TEXTS, unit=False), vectors[1:], atol=1e-4)
    with pytest.raises(BadInput, match="dot product"):
        embedder(str(folder))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("1_Pooling/config.json", {"pooling_mode_magic": True}, "the field pooling_mode_magic is not known"),
        ("1_Pooling/config.json", {"pooling_mode": "attention"}, "its Pooling asks for attention"),
        ("1_Pooling/config.json", {"word_embedding_dimension": 99}, "of another width than its encoder's 48"),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": "yes"}, "pooling_mode_mean_tokens 'yes'"),
        ("modules.json", [{"idx": 0, "name": "0", "path": "", "type": "my.Transformer"}], "lists my.Transformer"),
        ("modules.json", {"a": 1}, "modules.json can't be understood"),
        ("sentence_bert_config.json", {"tokenizer_args": {"use_fast": 1}}, "tokenizer_args"),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}, "default prompt 'query'"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "manhattan"}, "manhattan distance"),
        ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "SparseEncoder"),
    ],
)
def test_what_is_not_done_here_is_refused_by_name(file: str, content: Any, said: str, bert: Callable[..., Any]) -> None:
    folder, _ = bert()
    modules(folder, pooling={"pooling_mode_mean_tokens": True})
    write(folder / file, content)
    with pytest.raises(BadCheckpoint) as refused:
        registry.open_encoder(str(folder))
    assert said in str(refused.value)


@pytest.mark.parametrize("kind", ["WeightedLayerPooling", "CNN", "Router"])
def test_a_module_that_is_not_known_is_refused_by_name(kind: str, bert: Callable[..., Any]) -> None:
    folder, _ = bert()
    modules(folder, kind, pooling={"pooling_mode_mean_tokens": True})
    with pytest.raises(BadCheckpoint, match=f"lists a module {kind}"):
        registry.open_encoder(str(folder))


def test_a_pooling_folder_without_the_list_of_modules_is_refused(bert: Callable[..., Any]) -> None:
    folder, _ = bert()
    write(folder / "1_Pooling" / "config.json", {"pooling_mode_cls_token": True})
    with pytest.raises(BadCheckpoint, match=r"no modules\.json"):
        registry.open_encoder(str(folder))


def test_embed_says_that_prompts_are_left_out(bert: Callable[..., Any]) -> None:
    from genarium.tasks.embed import embed

    folder, _ = bert()
    modules(folder, pooling={"pooling_mode_mean_tokens": True})
    write(folder / "config_sentence_transformers.json", {"prompts": {"query": "river "}})
    told: list[str] = []
    with listening(lambda event: told.append(str(event.preview))):
        list(embed.function(["cat"], model=str(folder)))
    assert any("query: 'river '" in sentence for sentence in told)

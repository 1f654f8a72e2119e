"""Heads as other programs write them: every field of the config, labels of every kind, and peft's adapters.

Each is held against transformers' (and peft's) own result for the same folder, or refused by name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from conftest import CONTEXT, wordpieces  # type: ignore[import-not-found]
from safetensors.torch import load_file, save_file

from genarium.checkpoints.layouts import encoder as layout
from genarium.engines import cache, registry
from genarium.engines.classify.sequence_classifier import NativeHead
from genarium.errors import BadCheckpoint, BadInput
from genarium.training import start

TEXTS = ["a good film", "bad", "the cat sat by the river bank and was very very good for a long long time!", "loan."]
SMALL = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
DISTIL = {"dim": 48, "n_layers": 2, "n_heads": 4, "hidden_dim": 96}
VALUES: dict[str, dict[str, Any]] = {
    "bert": {
        "vocab_size": 120,
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 40,
        "hidden_act": ["gelu_new", "relu", "gelu_fast", "gelu_python"],
        "max_position_embeddings": 30,
        "type_vocab_size": 3,
        "layer_norm_eps": 0.1,
        "pad_token_id": 4,
        "hidden_dropout_prob": 0.4,
    },
    "distilbert": {
        "vocab_size": 120,
        "dim": 24,
        "n_layers": 3,
        "n_heads": 2,
        "hidden_dim": 40,
        "activation": ["relu", "gelu_new"],
        "max_position_embeddings": 30,
        "sinusoidal_pos_embds": True,
        "pad_token_id": 4,
        "dropout": 0.4,
    },
}
VALUES["roberta"] = VALUES["bert"] | {"pad_token_id": [0, 3, 1]}
CASES = [
    (kind, field, value)
    for kind, fields in VALUES.items()
    for field, values in fields.items()
    for value in (values if isinstance(values, list) else [values])
]


def made(folder: Path, kind: str, head: str, **more: Any) -> Any:
    """A network of random weights, saved with the tokenizer of the other tests."""
    name = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}[kind]
    common = {"vocab_size": 76, "max_position_embeddings": CONTEXT + 4 * (kind == "roberta")}
    config = getattr(transformers, f"{name}Config")(**common | (DISTIL if kind == "distilbert" else SMALL) | more)
    torch.manual_seed(0)
    model = getattr(transformers, name + head)(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    wordpieces().save(str(folder / "tokenizer.json"))
    return model


def theirs(model: Any, texts: list[str], **more: Any) -> torch.Tensor:
    """One text at a time: what a batch pads is its own matter."""
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=wordpieces(), **more)
    config = model.config
    context = config.max_position_embeddings - (config.pad_token_id + 1 if config.model_type == "roberta" else 0)
    length = min(context, more.get("model_max_length", context))
    with torch.inference_mode():
        rows = [
            model(**fast(text, truncation=True, max_length=length, return_tensors="pt")).logits[0] for text in texts
        ]
    return torch.stack(rows)


def found(folder: Path, texts: list[str]) -> np.ndarray:
    cache.forget_all()
    return np.exp(registry.open_classifier(str(folder), labels=None).log_probabilities(texts))


@pytest.mark.parametrize(("kind", "field", "value"), CASES, ids=str)
def test_every_field_of_the_config_has_its_effect(kind: str, field: str, value: Any, tmp_path: Path) -> None:
    model = made(tmp_path, kind, "ForSequenceClassification", num_labels=3, **{field: value})
    np.testing.assert_allclose(found(tmp_path, TEXTS), theirs(model, TEXTS).softmax(-1).numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize(
    ("field", "value"),
    [("is_decoder", True), ("add_cross_attention", True), ("position_embedding_type", "relative_key"), ("alibi", True)],
)
def test_a_field_that_makes_another_network_is_refused(kind: str, field: str, value: Any, tmp_path: Path) -> None:
    if kind == "distilbert" and field != "alibi":
        pytest.skip("not a field of it")
    made(tmp_path, kind, "ForSequenceClassification")
    edit(tmp_path, **{field: value})
    with pytest.raises(BadCheckpoint, match=field):
        registry.open_classifier(str(tmp_path), labels=None)


def edit(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))


@pytest.mark.parametrize("kind", VALUES)
def test_a_tensor_that_nobody_reads_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    made(tmp_path, kind, "ForSequenceClassification")
    stored = load_file(tmp_path / "model.safetensors")
    stored[f"{kind}.embeddings.rotary.weight"] = torch.ones(3)
    save_file(stored, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadCheckpoint, match=r"nothing here reads its tensor embeddings\.rotary\.weight"):
        registry.open_classifier(str(tmp_path), labels=None)


@pytest.mark.parametrize("kind", VALUES)
def test_a_masked_language_model_is_an_encoder(kind: str, tmp_path: Path) -> None:
    """`cls.predictions`, `lm_head` and `vocab_transform` are not needed."""
    model = made(tmp_path, kind, "ForMaskedLM")
    encoder = registry.open_encoder(str(tmp_path))
    ids = wordpieces().encode("a good film").ids
    with torch.inference_mode():
        hidden = model.base_model(torch.tensor([ids])).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(encoder.embed(["a good film"])[0], (hidden / hidden.norm()).numpy(), atol=1e-5)


def test_the_padding_token_written_out_is_at_its_own_position(tmp_path: Path) -> None:
    model = made(tmp_path, "roberta", "ForSequenceClassification", pad_token_id=0, num_labels=3)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    tokenizer = wordpieces()
    tokenizer.add_special_tokens(["[PAD]"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    texts = ["the [PAD] cat [PAD] sat", "the cat"]
    with torch.inference_mode():
        rows = [model(torch.tensor([tokenizer.encode(text).ids])).logits[0].softmax(-1) for text in texts]
    np.testing.assert_allclose(found(tmp_path, texts), torch.stack(rows).numpy(), atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_texts_are_cut_where_the_tokenizer_says(side: str, tmp_path: Path) -> None:
    model = made(tmp_path, "bert", "ForSequenceClassification", num_labels=3)
    cutting = {"truncation_side": side, "model_max_length": 7}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(cutting))
    np.testing.assert_allclose(found(tmp_path, TEXTS), theirs(model, TEXTS, **cutting).softmax(-1).numpy(), atol=1e-5)


def test_labels_that_differ_in_case_are_kept_apart(tmp_path: Path) -> None:
    model = made(tmp_path, "bert", "ForSequenceClassification", id2label={0: "us", 1: "US", 2: "it"})
    right = theirs(model, TEXTS).softmax(-1).numpy()
    np.testing.assert_allclose(found(tmp_path, TEXTS), right, atol=1e-5)
    turned = registry.open_classifier(str(tmp_path), labels=["US", "it", "us"])
    np.testing.assert_allclose(np.exp(turned.log_probabilities(TEXTS)), right[:, [1, 2, 0]], atol=1e-5)
    with pytest.raises(BadInput, match="trained on the labels us, US, it"):
        registry.open_classifier(str(tmp_path), labels=["Us", "uS", "it"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"problem_type": "regression"}, r"trained to give a text scores \(LABEL_0, LABEL_1, LABEL_2\)"),
        ({"problem_type": "multi_label_classification"}, "several labels at once"),
        ({"id2label": {"0": "a", "1": "b", "2": "a"}}, "names two of its labels 'a'"),
        ({"id2label": {"1": "a", "2": "b", "3": "c"}}, "numbers its labels 1, 2, 3"),
        ({"id2label": {"0": "a", "1": "b"}}, "asks for"),
    ],
)
def test_a_head_that_is_no_choice_of_labels_is_refused(fields: dict[str, Any], said: str, tmp_path: Path) -> None:
    made(tmp_path, "bert", "ForSequenceClassification", num_labels=3)
    edit(tmp_path, **fields)
    with pytest.raises(BadCheckpoint, match=said):
        registry.open_classifier(str(tmp_path), labels=None)


@pytest.mark.parametrize("order", [["negative", "neutral", "positive"], ["positive", "negative", "neutral"]])
def test_a_head_keeps_its_labels_in_whatever_order_it_has_them(order: list[str], tmp_path: Path) -> None:
    """docs/finetuning.md: a base that classifies already keeps its head if its labels are those of the data."""
    made(tmp_path, "bert", "ForSequenceClassification", id2label=dict(enumerate(order)))
    own = layout.load_classifier(tmp_path)
    learned = start.classifier(tmp_path, ["negative", "neutral", "positive"], pool="first")
    for place, label in enumerate(["negative", "neutral", "positive"]):
        assert torch.equal(learned.out.weight[place], own.out.weight[order.index(label)])
        assert torch.equal(learned.out.bias[place], own.out.bias[order.index(label)])
    other = start.classifier(tmp_path, ["negative", "neutral", "glad"], pool="first")
    assert torch.equal(other.dense.weight, own.dense.weight)
    assert not torch.equal(other.out.weight[0], own.out.weight[order.index("negative")])


def adapted(tmp_path: Path, kind: str, base_head: str, labels: int, **more: Any) -> tuple[Path, Any]:
    """An adapter as peft saves it, over a base with `base_head`, and peft's network."""
    from peft import LoraConfig, TaskType, get_peft_model

    base = tmp_path / "base"
    made(base, kind, base_head)
    name = {"bert": "Bert", "roberta": "Roberta"}[kind]
    torch.manual_seed(1)
    model = getattr(transformers, f"{name}ForSequenceClassification").from_pretrained(
        base, num_labels=labels, ignore_mismatched_sizes=True
    )
    lora = LoraConfig(task_type=TaskType.SEQ_CLS, r=4, lora_alpha=8, target_modules=["query", "value"], **more)
    peft = get_peft_model(model, lora)
    for parameter in peft.parameters():
        if parameter.requires_grad:
            parameter.data += 0.3 * torch.randn_like(parameter)
    peft.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter", peft.eval()


@pytest.mark.parametrize(
    ("kind", "base_head", "labels"),
    [
        ("bert", "ForMaskedLM", 3),
        ("roberta", "ForMaskedLM", 2),
        ("bert", "Model", 3),
        ("roberta", "ForSequenceClassification", 3),
    ],
)
def test_an_adapter_has_its_own_head_over_any_base(kind: str, base_head: str, labels: int, tmp_path: Path) -> None:
    """bert-base-uncased and roberta-base name `…ForMaskedLM`; peft saves no label names."""
    if base_head == "ForMaskedLM" and kind == "bert":
        folder, peft = adapted(tmp_path, kind, base_head, labels, modules_to_save=["classifier", "pooler"])
    else:
        folder, peft = adapted(tmp_path, kind, base_head, labels)
    classifier = registry.open_classifier(str(folder), labels=None)
    assert classifier.labels == [f"LABEL_{i}" for i in range(labels)]
    right = theirs(peft, TEXTS).softmax(-1).numpy()
    np.testing.assert_allclose(np.exp(classifier.log_probabilities(TEXTS)), right, atol=1e-4)


def test_an_adapters_own_config_names_its_labels(tmp_path: Path) -> None:
    folder, _ = adapted(tmp_path, "bert", "ForSequenceClassification", 3)
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    named = {"0": "low", "1": "middle", "2": "high"}
    (folder / "config.json").write_text(json.dumps(config | {"id2label": named}))
    assert NativeHead(folder).labels == ["low", "middle", "high"]


def test_adapters_of_other_tasks_are_no_classifiers(tmp_path: Path) -> None:
    folder, _ = adapted(tmp_path, "bert", "Model", 3)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"task_type": "TOKEN_CLS"}))
    assert not NativeHead.opens(folder)


def test_a_part_of_an_adapter_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    folder, _ = adapted(tmp_path, "bert", "Model", 3)
    stored = load_file(folder / "adapter_model.safetensors")
    stored["base_model.model.bert.embeddings.gate.weight"] = torch.ones(4)
    save_file(stored, folder / "adapter_model.safetensors")
    with pytest.raises(BadCheckpoint, match="gate"):
        registry.open_classifier(str(folder), labels=None)

"""LoRA is W + (alpha / r) B A exactly, and an adapter's folder is one that peft opens to the same outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.store.find import find
from genarium.errors import BadCheckpoint, ModelNotFound
from genarium.models.encoder import QuestionAnsweringModel, TextClassifier
from genarium.models.encoder_config import HeadConfig
from genarium.training.adapters import LoRALinear, add_lora, average, merge_lora, save_adapter

BERT = {
    "vocab_size": 99,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 40,
}
CONFIGS = {
    "bert": lambda **more: transformers.BertConfig(**BERT, **more),
    "roberta": lambda **more: transformers.RobertaConfig(**BERT, type_vocab_size=1, pad_token_id=1, **more),
    "distilbert": lambda **more: transformers.DistilBertConfig(
        vocab_size=99, dim=48, n_layers=2, n_heads=4, hidden_dim=96, max_position_embeddings=40, **more
    ),
}
NAMES = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}
HEADS = {"classify": "ForSequenceClassification", "answer": "ForQuestionAnswering"}


def base_folder(kind: str, folder: Path, head: str = "Model", **more: Any) -> Path:
    """A transformers checkpoint of random weights, none of them at the value it begins with."""
    torch.manual_seed(0)
    made = getattr(transformers, NAMES[kind] + head)(CONFIGS[kind](**more))
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.2)
    made.save_pretrained(folder)
    return folder


def batch(kind: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    tokens = torch.randint(5, 99, (3, 11), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([11, 7, 2])
    mask = torch.arange(11) < lengths[:, None]
    tokens[~mask] = 1 if kind == "roberta" else 0
    return tokens, lengths, mask.long()


def trained(kind: str, task: str, base: Path, *, rank: int, alpha: float) -> TextClassifier | QuestionAnsweringModel:
    """A network over `base` with random adapters and a random head, as if it had been trained."""
    torch.manual_seed(2)
    encoder = layout.load_encoder(base)
    model: TextClassifier | QuestionAnsweringModel
    if task == "answer":
        model = QuestionAnsweringModel(encoder.config)
    else:
        activation = "relu" if kind == "distilbert" else "tanh"
        model = TextClassifier(encoder.config, HeadConfig(n_outputs=3, activation=activation))  # type: ignore[arg-type]
    weights = {name: tensor for name, tensor in encoder.state_dict().items() if not name.startswith("pooler.")}
    model.encoder.load_state_dict(weights)
    if rank:
        add_lora(model.encoder, rank=rank, alpha=alpha)
    for module in model.modules():
        if isinstance(module, LoRALinear):
            nn.init.normal_(module.lora_b, std=0.2)
    for head in ("dense", "out", "spans"):
        if hasattr(model, head):
            for parameter in getattr(model, head).parameters():
                nn.init.normal_(parameter, std=0.2)
    return model.eval()


@settings(max_examples=30, deadline=None)
@given(
    widths=st.sampled_from([(4,), (4, 4, 4), (6, 2, 2)]),
    rank=st.integers(1, 5),
    alpha=st.floats(0.5, 32),
    seed=st.integers(0, 99),
)
def test_forward_is_base_plus_scaled_product_and_merging_is_the_same_map(
    widths: tuple[int, ...], rank: int, alpha: float, seed: int
) -> None:
    torch.manual_seed(seed)
    linear = nn.Linear(7, sum(widths)).double()
    layer = LoRALinear(linear, rank=rank, alpha=alpha, widths=widths)
    x = torch.randn(2, 5, 7).double()
    assert torch.equal(layer(x), linear(x))  # B is zero at first
    nn.init.normal_(layer.lora_b)
    delta = torch.cat([alpha / rank * b @ a for a, b in zip(layer.lora_a, layer.ups, strict=True)])
    torch.testing.assert_close(layer(x), linear(x) + x @ delta.T, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(layer.merged()(x), layer(x), atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(layer.merged().weight, linear.weight + delta, atol=1e-12, rtol=1e-12)


def test_new_adapters_change_nothing_and_merging_changes_nothing(tmp_path: Path) -> None:
    base = base_folder("bert", tmp_path)
    model = layout.load_encoder(base)
    tokens, lengths, _ = batch("bert")
    before = model(tokens, lengths=lengths)
    add_lora(model, rank=4, alpha=8, dropout=0.5)
    model.eval()
    assert torch.equal(model(tokens, lengths=lengths), before)
    for module in model.modules():
        if isinstance(module, LoRALinear):
            nn.init.normal_(module.lora_b, std=0.1)
    adapted = model(tokens, lengths=lengths)
    assert not torch.allclose(adapted, before, atol=1e-2)
    merge_lora(model)
    assert not any(isinstance(module, LoRALinear) for module in model.modules())
    torch.testing.assert_close(model(tokens, lengths=lengths), adapted, atol=1e-5, rtol=1e-5)


def test_only_adapters_get_gradients(tmp_path: Path) -> None:
    model = layout.load_encoder(base_folder("bert", tmp_path))
    add_lora(model, rank=2, alpha=4, targets=("qkv",))
    tokens, lengths, _ = batch("bert")
    model(tokens, lengths=lengths).sum().backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == {f"blocks.{n}.attention.qkv.lora_{m}" for n in range(2) for m in "ab"}


@pytest.mark.parametrize("kind", list(CONFIGS))
@pytest.mark.parametrize("task", list(HEADS))
@pytest.mark.parametrize("rank", [0, 3])  # 0 is --head-only
def test_peft_opens_the_folder_over_the_base_with_equal_outputs(
    kind: str, task: str, rank: int, tmp_path: Path
) -> None:
    base = base_folder(kind, tmp_path / "base")
    model = trained(kind, task, base, rank=rank, alpha=5)
    tokens, lengths, mask = batch(kind)
    ours = model(tokens, lengths=lengths)
    labels = {"id2label": {"0": "a", "1": "b", "2": "c"}} if task == "classify" else {}
    config = layout.folders.read_config(base) | labels
    save_adapter(model, tmp_path / "adapter", base=str(base), base_path=base, config=config)

    load = layout.load_question_answering if task == "answer" else layout.load_classifier
    torch.testing.assert_close(load(tmp_path / "adapter")(tokens, lengths=lengths), ours, atol=1e-5, rtol=1e-5)

    described = transformers.AutoConfig.from_pretrained(tmp_path / "adapter")
    whole = getattr(transformers, NAMES[kind] + HEADS[task]).from_pretrained(base, config=described)
    theirs = PeftModel.from_pretrained(whole, tmp_path / "adapter").eval()
    with torch.inference_mode():
        out = theirs(input_ids=tokens, attention_mask=mask)
    if task == "classify":
        torch.testing.assert_close(out.logits, ours, atol=1e-5, rtol=1e-5)
    else:
        real = mask.bool()
        torch.testing.assert_close(out.start_logits[real], ours[..., 0][real], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(out.end_logits[real], ours[..., 1][real], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rslora", [False, True])
def test_an_adapter_that_peft_wrote_is_opened(rslora: bool, tmp_path: Path) -> None:
    """Query and value only, as PEFT adapts BERT when nothing is said; no config.json, so labels have numbers."""
    base = base_folder("bert", tmp_path / "base")
    whole = transformers.BertForSequenceClassification.from_pretrained(base, num_labels=4)
    asked = LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, use_rslora=rslora, init_lora_weights=False)
    theirs = get_peft_model(whole, asked).eval()
    theirs.save_pretrained(tmp_path / "adapter")
    tokens, lengths, mask = batch("bert")
    ours = layout.load_classifier(tmp_path / "adapter")
    with torch.inference_mode():
        expected = theirs(input_ids=tokens, attention_mask=mask).logits
        torch.testing.assert_close(ours(tokens, lengths=lengths), expected, atol=1e-5, rtol=1e-5)


def adapter_over(base: Path, folder: Path) -> Path:
    config = layout.folders.read_config(base)
    save_adapter(
        trained("bert", "answer", base, rank=2, alpha=2), folder, base=str(base), base_path=base, config=config
    )
    return folder


def test_the_digest_of_an_adapter_is_also_its_bases(tmp_path: Path) -> None:
    base = base_folder("bert", tmp_path / "base")
    folder = adapter_over(base, tmp_path / "adapter")
    before = find(str(folder), default="encoder").digest
    assert find(str(folder), default="encoder").digest == before
    (base / "tokenizer_config.json").write_text("{}")
    assert find(str(folder), default="encoder").digest != before


def test_a_wrong_or_missing_base_is_named(tmp_path: Path) -> None:
    base = base_folder("bert", tmp_path / "base")
    folder = adapter_over(base, tmp_path / "adapter")
    other = transformers.BertModel.from_pretrained(base)
    nn.init.normal_(other.embeddings.word_embeddings.weight)
    other.save_pretrained(base)
    with pytest.raises(BadCheckpoint, match=r"base, but model.safetensors there is another .*fine-tune again"):
        layout.load_question_answering(folder)
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(ModelNotFound, match=r"is an adapter over .*base, which is missing"):
        find(str(folder), default="encoder")


def test_an_adapter_of_another_shape_or_kind_is_refused(tmp_path: Path) -> None:
    base = base_folder("bert", tmp_path / "base")
    folder = adapter_over(base, tmp_path / "adapter")
    config = folder / "adapter_config.json"
    plain = config.read_text()
    (folder / "config.json").unlink()  # as another program's: nothing says what the base's sha256 was
    wide = transformers.BertModel(transformers.BertConfig(**BERT | {"hidden_size": 64}))
    wide.save_pretrained(tmp_path / "wide")
    config.write_text(plain.replace(str(base), str(tmp_path / "wide")))
    with pytest.raises(BadCheckpoint, match=r"does not fit its base .*wide"):
        layout.load_question_answering(folder)
    config.write_text(plain.replace('"peft_type": "LORA"', '"peft_type": "LORA", "use_dora": true'))
    with pytest.raises(BadCheckpoint, match=r"has no lora_magnitude_vector"):
        layout.load_question_answering(folder)
    config.write_text(plain.replace(str(base), str(folder)))
    with pytest.raises(BadCheckpoint, match="must be a whole checkpoint"):
        layout.load_question_answering(folder)


def test_the_average_of_runs_is_the_mean_of_their_weights(tmp_path: Path) -> None:
    base = base_folder("bert", tmp_path)
    runs = [trained("bert", "classify", base, rank=rank, alpha=6) for rank in (3, 3)]
    with torch.no_grad():
        for parameter in (p for p in runs[1].parameters() if p.requires_grad):
            parameter.add_(torch.randn_like(parameter) / 5)
    whole = average(runs)
    for model in (*runs, whole):
        merge_lora(model)
    for name, tensor in whole.state_dict().items():
        expected = torch.stack([run.state_dict()[name] for run in runs]).mean(0)
        torch.testing.assert_close(tensor, expected, atol=1e-5, rtol=1e-5)


def test_an_adapter_under_a_head_over_the_mean_opens_over_the_plain_encoder(tmp_path: Path) -> None:
    base = base_folder("bert", tmp_path / "base")
    model = trained("bert", "classify", base, rank=3, alpha=5)
    assert isinstance(model, TextClassifier)
    model.head = HeadConfig(n_outputs=3, pool="mean")
    labels = {"id2label": {"0": "a", "1": "b", "2": "c"}}
    config = layout.folders.read_config(base) | labels
    save_adapter(model, tmp_path / "adapter", base=str(base), base_path=base, config=config)
    tokens, lengths, mask = batch("bert")
    again = layout.load_classifier(tmp_path / "adapter")
    torch.testing.assert_close(again(tokens, lengths=lengths), model(tokens, lengths=lengths), atol=1e-5, rtol=1e-5)
    theirs = PeftModel.from_pretrained(transformers.BertModel.from_pretrained(base), tmp_path / "adapter").eval()
    with torch.inference_mode():
        hidden = theirs(input_ids=tokens, attention_mask=mask).last_hidden_state
    ours = model.encoder(tokens, lengths=lengths)
    torch.testing.assert_close(hidden[mask.bool()], ours[mask.bool()], atol=1e-5, rtol=1e-5)

"""The native encoder is the BERT, RoBERTa or DistilBERT that transformers makes of the same folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from genarium.checkpoints.layouts import encoder as layout
from genarium.errors import BadCheckpoint
from genarium.models.encoder import mean_pool

BERT = {
    "vocab_size": 99,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 40,
}
CONFIGS: dict[str, Any] = {
    "bert": lambda **more: transformers.BertConfig(**BERT, **more),
    "roberta": lambda **more: transformers.RobertaConfig(**BERT, type_vocab_size=1, pad_token_id=1, **more),
    "distilbert": lambda **more: transformers.DistilBertConfig(
        vocab_size=99, dim=48, n_layers=3, n_heads=4, hidden_dim=96, max_position_embeddings=40, **more
    ),
}
NAMES = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}


def reference(kind: str, head: str, folder: Path, **more: Any) -> Any:
    """A transformers model of random weights, saved in `folder`."""
    torch.manual_seed(0)
    made = getattr(transformers, NAMES[kind] + head)(CONFIGS[kind](**more)).eval()
    for parameter in made.parameters():  # biases and norms begin at 0 and 1, which would hide mistakes
        torch.nn.init.normal_(parameter, std=0.2)
    made.save_pretrained(folder)
    return made


def padded_batch(kind: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens (3, 11) of rows 11, 7 and 1 long, their lengths, and transformers' mask."""
    tokens = torch.randint(5, 99, (3, 11), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([11, 7, 1])
    mask = torch.arange(11) < lengths[:, None]
    tokens[~mask] = 1 if kind == "roberta" else 0
    return tokens, lengths, mask.long()


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_hidden_states_equal_transformers_with_padding(kind: str, tmp_path: Path) -> None:
    theirs = reference(kind, "Model", tmp_path)
    ours = layout.load_encoder(tmp_path)
    tokens, lengths, mask = padded_batch(kind)
    with torch.inference_mode():
        expected = theirs(input_ids=tokens, attention_mask=mask).last_hidden_state
        hidden = ours(tokens, lengths=lengths)
        alone = ours(tokens[1:2, :7])
    real = mask.bool()
    torch.testing.assert_close(hidden[real], expected[real], atol=1e-5, rtol=0)
    torch.testing.assert_close(alone, expected[1:2, :7], atol=1e-5, rtol=0)
    mean = (expected * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    torch.testing.assert_close(mean_pool(hidden, lengths), mean, atol=1e-5, rtol=0)


def test_segment_types_and_pooler_equal_transformers(tmp_path: Path) -> None:
    theirs = reference("bert", "Model", tmp_path)
    ours = layout.load_encoder(tmp_path)
    tokens, lengths, mask = padded_batch("bert")
    types = (torch.arange(11) > 4).long().expand(3, 11)
    with torch.inference_mode():
        expected = theirs(input_ids=tokens, attention_mask=mask, token_type_ids=types)
        hidden = ours(tokens, lengths=lengths, types=types)
        torch.testing.assert_close(ours.pooled(hidden), expected.pooler_output, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_label_scores_equal_transformers(kind: str, tmp_path: Path) -> None:
    theirs = reference(kind, "ForSequenceClassification", tmp_path, num_labels=3)
    ours = layout.load_classifier(tmp_path)
    tokens, lengths, mask = padded_batch(kind)
    with torch.inference_mode():
        expected = theirs(input_ids=tokens, attention_mask=mask).logits
        torch.testing.assert_close(ours(tokens, lengths=lengths), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_span_scores_equal_transformers(kind: str, tmp_path: Path) -> None:
    theirs = reference(kind, "ForQuestionAnswering", tmp_path)
    ours = layout.load_question_answering(tmp_path)
    tokens, lengths, mask = padded_batch(kind)
    with torch.inference_mode():
        expected = theirs(input_ids=tokens, attention_mask=mask)
        scores = ours(tokens, lengths=lengths)
    real = mask.bool()
    torch.testing.assert_close(scores[..., 0][real], expected.start_logits[real], atol=1e-5, rtol=0)
    torch.testing.assert_close(scores[..., 1][real], expected.end_logits[real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", list(CONFIGS))
@pytest.mark.parametrize("head", ["Model", "ForSequenceClassification", "ForQuestionAnswering"])
def test_what_is_saved_opens_in_transformers(kind: str, head: str, tmp_path: Path) -> None:
    theirs = reference(kind, head, tmp_path / "theirs")
    load = {
        "Model": layout.load_encoder,
        "ForSequenceClassification": layout.load_classifier,
        "ForQuestionAnswering": layout.load_question_answering,
    }[head]
    layout.save(load(tmp_path / "theirs"), tmp_path / "ours", layout=kind)
    again = getattr(transformers, NAMES[kind] + head).from_pretrained(tmp_path / "ours")
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_the_first_berts_names_of_norms_are_read(tmp_path: Path) -> None:
    import safetensors.torch as st

    reference("bert", "Model", tmp_path)
    file = tmp_path / "model.safetensors"
    before = layout.load_encoder(tmp_path)
    old = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
        for name, t in st.load_file(file).items()
    }
    st.save_file(old, file)
    tokens, lengths, _ = padded_batch("bert")
    assert torch.equal(layout.load_encoder(tmp_path)(tokens, lengths=lengths), before(tokens, lengths=lengths))


def test_a_checkpoint_without_the_head_is_refused(tmp_path: Path) -> None:
    reference("bert", "Model", tmp_path)
    with pytest.raises(BadCheckpoint, match="no classification head"):
        layout.load_classifier(tmp_path)
    with pytest.raises(BadCheckpoint, match="no question-answering head"):
        layout.load_question_answering(tmp_path)

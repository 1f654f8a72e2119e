"""Encoders: BERT, RoBERTa and DistilBERT, with their heads."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genarium.checkpoints.fields import Fields, Layers, Positive, Size, TokenId, Unneeded

HiddenAct = Literal["gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu"]
# What sentence-transformers, the first BERTs and Genarium's own adapters write, and no network reads.
STRAY = frozenset(
    "base_sha256 directionality embedding_size hidden_dropout pooler_fc_size pooler_num_attention_heads "
    "pooler_num_fc_layers pooler_size_per_head pooler_type sbert_ce_default_activation_function score_calibration "
    "sentence_transformers "
    "tie_weights_".split()
)


class HeadedFields(Fields):
    """What the heads over an encoder read."""

    ignored: ClassVar = STRAY

    num_labels: Size | None = None
    classifier_pooling: Literal["first", "mean"] = "first"
    tie_word_embeddings: Unneeded = True
    initializer_range: Unneeded = 0.02
    bos_token_id: Unneeded = None
    eos_token_id: Unneeded = None


class BertFields(HeadedFields, published="BertConfig"):
    vocab_size: Size = 30522
    hidden_size: Size = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: HiddenAct = "gelu"
    max_position_embeddings: Size = 512
    position_embedding_type: Literal["absolute"] = "absolute"
    type_vocab_size: Size = 2
    layer_norm_eps: Positive = 1e-12
    pad_token_id: Unneeded = 0
    is_decoder: Literal[False] = False
    add_cross_attention: Literal[False] = False
    hidden_dropout_prob: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.1
    attention_probs_dropout_prob: Unneeded = 0.1
    classifier_dropout: Unneeded = None
    use_cache: Unneeded = True


class RobertaFields(BertFields, published="RobertaConfig"):
    vocab_size: Size = 50265
    pad_token_id: TokenId = 1


class DistilBertFields(HeadedFields, published="DistilBertConfig"):
    aliases: ClassVar = {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}

    vocab_size: Size = 30522
    max_position_embeddings: Size = 512
    n_layers: Layers = 6
    n_heads: Size = 12
    dim: Size = 768
    hidden_dim: Size = 3072
    activation: HiddenAct = "gelu"
    dropout: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.1
    sinusoidal_pos_embds: Unneeded = False  # how the table began; what is stored counts
    pad_token_id: Unneeded = 0
    attention_dropout: Unneeded = 0.1
    qa_dropout: Unneeded = 0.1
    seq_classif_dropout: Unneeded = 0.2


BY_TYPE: dict[str, type[BertFields] | type[DistilBertFields]] = {
    "bert": BertFields,
    "roberta": RobertaFields,
    "distilbert": DistilBertFields,
}

"""The names that BERT, DistilBERT and RoBERTa folders have for the native encoder's tensors."""

from __future__ import annotations

HEADS = (
    r"(cls|lm_head|vocab_transform|vocab_layer_norm|vocab_projector|classifier|pre_classifier|qa_outputs|pooler)\..*"
)
"""Tensors of the heads that published networks may have beside the one that is run."""

# Native name -> published names. BERT's and RoBERTa's are the same but for the head.
BERT_BLOCK = {
    "attention.qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.out": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "mlp.up": ("intermediate.dense",),
    "mlp.down": ("output.dense",),
    "mlp_norm": ("output.LayerNorm",),
}
DISTILBERT_BLOCK = {
    "attention.qkv": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "attention.out": ("attention.out_lin",),
    "attention_norm": ("sa_layer_norm",),
    "mlp.up": ("ffn.lin1",),
    "mlp.down": ("ffn.lin2",),
    "mlp_norm": ("output_layer_norm",),
}
TOP = {
    "embedding": "embeddings.word_embeddings",
    "position_embedding": "embeddings.position_embeddings",
    "type_embedding": "embeddings.token_type_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
    "pooler": "pooler.dense",
    "spans": "qa_outputs",
}
CLASSIFIER = {
    "bert": {"dense": "pooler.dense", "out": "classifier"},
    "distilbert": {"dense": "pre_classifier", "out": "classifier"},
    "roberta": {"dense": "classifier.dense", "out": "classifier.out_proj"},
}


def published_names(name: str, layout: str) -> list[str]:
    """The published tensors that together, one under the other, are a native one."""
    module, _, leaf = name.rpartition(".")
    module = module.removeprefix("encoder.")
    if module.startswith("blocks."):
        _, index, inner = module.split(".", 2)
        block, stem = (DISTILBERT_BLOCK, "transformer") if layout == "distilbert" else (BERT_BLOCK, "encoder")
        return [f"{stem}.layer.{index}.{part}.{leaf}" for part in block[inner]]
    return [f"{TOP.get(module) or CLASSIFIER[layout].get(module)}.{leaf}"]

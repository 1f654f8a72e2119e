"""Decoders: GPT-2, Llama, Mistral, Qwen2 and Qwen3."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genarium.checkpoints.fields import Fields, Flag, Layers, Positive, Size, TokenId, TokenIds, Unneeded
from genarium.checkpoints.fields.rope import Base, Original, Rope, Whole

OWN = frozenset({"base_sha256", "genarium_reads"})
"""What Genarium's own adapters and reward models say, and no network reads."""


class GPT2Fields(Fields, published="GPT2Config"):
    aliases: ClassVar = {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }
    ignored: ClassVar = OWN | frozenset({"n_ctx", "classifier_dropout", "hidden_dropout", "summary_last_dropout"})

    vocab_size: Size = 50257
    n_positions: Size = 1024
    n_embd: Size = 768
    n_layer: Layers = 12
    n_head: Size = 12
    n_inner: Size | None = None
    activation_function: Literal["gelu_new", "gelu_pytorch_tanh", "gelu", "relu"] = "gelu_new"
    layer_norm_epsilon: Positive = 1e-5
    tie_word_embeddings: Flag = True
    scale_attn_weights: Flag = True
    scale_attn_by_inverse_layer_idx: Flag = False
    reorder_and_upcast_attn: Unneeded = False
    add_cross_attention: Literal[False] = False
    bos_token_id: TokenId | None = 50256
    eos_token_id: TokenIds = 50256
    pad_token_id: Unneeded = None
    resid_pdrop: Unneeded = 0.1
    embd_pdrop: Unneeded = 0.1
    attn_pdrop: Unneeded = 0.1
    initializer_range: Unneeded = 0.02
    summary_type: Unneeded = "cls_index"
    summary_use_proj: Unneeded = True
    summary_activation: Unneeded = None
    summary_proj_to_labels: Unneeded = True
    summary_first_dropout: Unneeded = 0.1
    use_cache: Unneeded = True


class RotaryFields(Fields):
    """What Llama and those after it have in common."""

    # Earlier transformers kept these apart from rope_parameters; a checkpoint may still.
    ignored: ClassVar = OWN | frozenset({"mlp_bias", "max_window_layers", "use_mrope", "use_sliding_window"})

    vocab_size: Size = 32000
    max_position_embeddings: Size = 2048
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    hidden_act: Literal["silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu"] = "silu"
    rms_norm_eps: Positive = 1e-6
    tie_word_embeddings: Flag = False
    rope_parameters: Rope | None = None
    rope_scaling: Rope | None = None
    rope_theta: Base | None = None
    partial_rotary_factor: Whole = None
    original_max_position_embeddings: Original | None = None
    bos_token_id: TokenId | None = None
    eos_token_id: TokenIds = None
    pad_token_id: Unneeded = None
    attention_dropout: Unneeded = 0.0
    initializer_range: Unneeded = 0.02
    use_cache: Unneeded = True


class LlamaFields(RotaryFields, published="LlamaConfig"):
    attention_bias: Flag = False
    mlp_bias: Flag = False
    bos_token_id: TokenId | None = 1
    eos_token_id: TokenIds = 2
    pretraining_tp: Unneeded = 1


class MistralFields(RotaryFields, published="MistralConfig"):
    max_position_embeddings: Size = 4096 * 32
    intermediate_size: Size = 14336
    num_key_value_heads: Size = 8
    sliding_window: Size | None = 4096
    bos_token_id: TokenId | None = 1
    eos_token_id: TokenIds = 2


Layer = Annotated[Literal["full_attention", "sliding_attention"], Field()]


class Qwen2Fields(RotaryFields, published="Qwen2Config"):
    vocab_size: Size = 151936
    max_position_embeddings: Size = 32768
    intermediate_size: Size = 22016
    num_key_value_heads: Size | None = 32
    use_sliding_window: Flag = False
    sliding_window: Size | None = 4096
    max_window_layers: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] = 28
    layer_types: list[Layer] | None = None


class Qwen3Fields(Qwen2Fields, published="Qwen3Config"):
    head_dim: Size = 128
    attention_bias: Flag = False


BY_TYPE: dict[str, type[GPT2Fields] | type[RotaryFields]] = {
    "gpt2": GPT2Fields,
    "llama": LlamaFields,
    "mistral": MistralFields,
    "qwen2": Qwen2Fields,
    "qwen3": Qwen3Fields,
}

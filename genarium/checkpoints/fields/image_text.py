"""Networks of pictures and texts: BLIP, GIT and CLIP. Each side's config is inside that of the pair."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from genarium.checkpoints.fields import Fields, Flag, Layers, Positive, Size, TokenId, Unneeded

TextAct = Literal["gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu", "quick_gelu"]
ClipAct = Literal["quick_gelu", "gelu"]
# What the pair and the other side read.
OTHERS = frozenset(
    "decoder_pad_token_id decoder_start_token_id eos_token_id encoder_hidden_size get_text_config hidden_act "
    "hidden_dropout_prob attention_probs_dropout_prob image_size image_text_hidden_size is_decoder label_smoothing "
    "layer_norm_eps logit_scale_init_value max_position_embeddings num_channels pad_token_id patch_size projection_dim "
    "text_config text_config_dict vision_config vision_config_dict vocab_size attention_dropout initializer_factor "
    "num_image_with_embedding hidden_size intermediate_size num_hidden_layers num_attention_heads add_cross_attention "
    "dropout image_size_dict use_cache".split()
)


class SideFields(Fields):
    ignored: ClassVar = OTHERS

    initializer_range: Unneeded = 0.02


class PairFields(SideFields):
    is_encoder_decoder: Unneeded = False  # type: ignore[assignment]
    text_config: dict[str, Any] | None = None
    vision_config: dict[str, Any] | None = None
    initializer_factor: Unneeded = 1.0


class VisionFields(SideFields):
    hidden_size: Size = 768
    intermediate_size: Size = 3072
    projection_dim: Unneeded = 512
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    patch_size: Size = 16
    layer_norm_eps: Positive = 1e-5
    attention_dropout: Unneeded = 0.0


class BlipTextFields(SideFields, published="BlipTextConfig"):
    vocab_size: Size = 30524
    hidden_size: Size = 768
    encoder_hidden_size: Unneeded = 768  # the picture's width, whatever is written here
    intermediate_size: Size = 3072
    projection_dim: Unneeded = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 8
    max_position_embeddings: Size = 512
    hidden_act: TextAct = "gelu"
    layer_norm_eps: Positive = 1e-12
    hidden_dropout_prob: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.0
    attention_probs_dropout_prob: Unneeded = 0.0
    bos_token_id: TokenId = 30522
    eos_token_id: Unneeded = 2
    pad_token_id: Unneeded = 0
    sep_token_id: TokenId = 102
    is_decoder: Literal[True] = True
    use_cache: Unneeded = True
    tie_word_embeddings: Literal[True] = True
    label_smoothing: Unneeded = 0.0


class BlipVisionFields(VisionFields, published="BlipVisionConfig"):
    image_size: Size = 384
    hidden_act: TextAct = "gelu"


class BlipFields(PairFields, published="BlipConfig"):
    projection_dim: Unneeded = 512
    logit_scale_init_value: Unneeded = 2.6592
    image_text_hidden_size: Size = 256
    label_smoothing: Unneeded = 0.0
    tie_word_embeddings: Literal[True] = True


class GitVisionFields(VisionFields, published="GitVisionConfig"):
    image_size: Size = 224
    num_channels: Literal[3] = 3
    hidden_act: TextAct = "quick_gelu"


class GitFields(SideFields, published="GitConfig"):
    vision_config: dict[str, Any] | None = None
    vocab_size: Size = 30522
    hidden_size: Size = 768
    num_hidden_layers: Layers = 6
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: TextAct = "gelu"
    hidden_dropout_prob: Unneeded = 0.1
    attention_probs_dropout_prob: Unneeded = 0.1
    max_position_embeddings: Size = 1024
    layer_norm_eps: Positive = 1e-12
    pad_token_id: Unneeded = 0
    use_cache: Unneeded = True
    tie_word_embeddings: Flag = False
    bos_token_id: TokenId = 101
    eos_token_id: TokenId = 102
    num_image_with_embedding: Literal[None, 0] = None


class ClipTextFields(SideFields, published="CLIPTextConfig"):
    vocab_size: Size = 49408
    hidden_size: Size = 512
    intermediate_size: Size = 2048
    projection_dim: Unneeded = 512
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 8
    max_position_embeddings: Size = 77
    hidden_act: ClipAct = "quick_gelu"
    layer_norm_eps: Positive | None = 1e-5
    attention_dropout: Unneeded = 0.0
    initializer_factor: Unneeded = 1.0
    pad_token_id: TokenId | None = 1
    bos_token_id: TokenId | None = 49406
    eos_token_id: TokenId | None = 49407


class ClipVisionFields(VisionFields, published="CLIPVisionConfig"):
    image_size: Size | None = 224
    patch_size: Size | None = 32  # type: ignore[assignment]
    num_channels: Literal[3] = 3
    hidden_act: ClipAct = "quick_gelu"
    initializer_factor: Unneeded = 1.0


class ClipFields(PairFields, published="CLIPConfig"):
    projection_dim: Size | None = 512
    logit_scale_init_value: Unneeded = 2.6592

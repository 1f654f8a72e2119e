"""The U-Nets and autoencoders of diffusers, as far as Stable Diffusion 1 and 2 and ModelScope are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from genarium.checkpoints.fields import Declared, Fields, Flag, Layers, Positive, Size, Unneeded

Fraction = Annotated[float, Field(strict=True, ge=0, lt=1, allow_inf_nan=False)]
Shift = Annotated[float, Field(strict=True, ge=-1e6, le=1e6, allow_inf_nan=False)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Widths = Annotated[list[Size], Field(min_length=1, max_length=16)]
One = Annotated[float, Field(strict=True, ge=1, le=1)]
BY_DIFFUSERS = frozenset({"_class_name", "_diffusers_version", "_use_default_values"})


class Sizes(Declared):
    """What is read of any denoiser's and decoder's config before diffusers opens it; the class itself checks the rest.

    None, or nothing, is what the class takes.
    """

    in_channels: Size | None = None
    latent_channels: Size | None = None
    patch_size: Size | list[Size] | None = None
    sample_size: Size | list[Size] | None = None
    block_out_channels: Widths | None = None
    encoder_block_out_channels: Widths | None = None
    temperal_downsample: list[bool] | None = None
    scaling_factor: Finite | None = None
    shift_factor: Finite | None = None

    @classmethod
    def _others(cls, extra: Mapping[str, Any], where: str) -> list[str]:
        return []


class UNetFields(Fields, published="diffusers:UNet2DConditionModel"):
    ignored: ClassVar[frozenset[str]] = BY_DIFFUSERS

    sample_size: Size | None = None
    in_channels: Size = 4
    out_channels: Size = 4
    center_input_sample: Literal[False] = False
    flip_sin_to_cos: Flag = True
    freq_shift: Shift = 0
    down_block_types: tuple[Literal["CrossAttnDownBlock2D", "DownBlock2D"], ...] = (
        "CrossAttnDownBlock2D",
        "CrossAttnDownBlock2D",
        "CrossAttnDownBlock2D",
        "DownBlock2D",
    )
    mid_block_type: Literal["UNetMidBlock2DCrossAttn"] = "UNetMidBlock2DCrossAttn"
    up_block_types: tuple[Literal["CrossAttnUpBlock2D", "UpBlock2D"], ...] = (
        "UpBlock2D",
        "CrossAttnUpBlock2D",
        "CrossAttnUpBlock2D",
        "CrossAttnUpBlock2D",
    )
    only_cross_attention: Literal[False] = False
    block_out_channels: tuple[Size, ...] = (320, 640, 1280, 1280)
    layers_per_block: Layers = 2
    downsample_padding: Literal[1] = 1
    mid_block_scale_factor: One = 1
    dropout: Fraction = 0.0
    act_fn: Literal["silu", "swish"] = "silu"
    norm_num_groups: Size = 32
    norm_eps: Positive = 1e-5
    cross_attention_dim: Size = 1280
    transformer_layers_per_block: Literal[1] = 1
    reverse_transformer_layers_per_block: Literal[None] = None
    encoder_hid_dim: Literal[None] = None
    encoder_hid_dim_type: Literal[None] = None
    attention_head_dim: Size | tuple[Size, ...] = 8
    num_attention_heads: Literal[None] = None
    dual_cross_attention: Literal[False] = False
    use_linear_projection: Flag = False
    class_embed_type: Literal[None] = None
    addition_embed_type: Literal[None] = None
    addition_time_embed_dim: Literal[None] = None
    num_class_embeds: Literal[None] = None
    upcast_attention: Unneeded = False  # what is computed here is in float32
    resnet_time_scale_shift: Literal["default"] = "default"
    resnet_skip_time_act: Literal[False] = False
    resnet_out_scale_factor: One = 1.0
    time_embedding_type: Literal["positional"] = "positional"
    time_embedding_dim: Literal[None] = None
    time_embedding_act_fn: Literal[None] = None
    timestep_post_act: Literal[None] = None
    time_cond_proj_dim: Literal[None] = None
    conv_in_kernel: Literal[3] = 3
    conv_out_kernel: Literal[3] = 3
    projection_class_embeddings_input_dim: Literal[None] = None
    attention_type: Literal["default"] = "default"
    class_embeddings_concat: Literal[False] = False
    mid_block_only_cross_attention: Literal[None, False] = None
    cross_attention_norm: Literal[None] = None
    addition_embed_type_num_heads: Unneeded = 64


class UNet3DFields(Fields, published="diffusers:UNet3DConditionModel"):
    ignored: ClassVar[frozenset[str]] = BY_DIFFUSERS

    sample_size: Size | None = None
    in_channels: Size = 4
    out_channels: Size = 4
    down_block_types: tuple[Literal["CrossAttnDownBlock3D", "DownBlock3D"], ...] = (
        "CrossAttnDownBlock3D",
        "CrossAttnDownBlock3D",
        "CrossAttnDownBlock3D",
        "DownBlock3D",
    )
    up_block_types: tuple[Literal["CrossAttnUpBlock3D", "UpBlock3D"], ...] = (
        "UpBlock3D",
        "CrossAttnUpBlock3D",
        "CrossAttnUpBlock3D",
        "CrossAttnUpBlock3D",
    )
    block_out_channels: tuple[Size, ...] = (320, 640, 1280, 1280)
    layers_per_block: Layers = 2
    downsample_padding: Literal[1] = 1
    mid_block_scale_factor: One = 1
    act_fn: Literal["silu", "swish"] = "silu"
    norm_num_groups: Size = 32
    norm_eps: Positive = 1e-5
    cross_attention_dim: Size = 1024
    attention_head_dim: Size = 64  # here it is the width of a head, whatever is said of the class
    num_attention_heads: Literal[None] = None
    time_cond_proj_dim: Literal[None] = None


class AutoencoderFields(Fields, published="diffusers:AutoencoderKL"):
    ignored: ClassVar[frozenset[str]] = BY_DIFFUSERS

    in_channels: Size = 3
    out_channels: Size = 3
    down_block_types: tuple[Literal["DownEncoderBlock2D"], ...] = ("DownEncoderBlock2D",)
    up_block_types: tuple[Literal["UpDecoderBlock2D"], ...] = ("UpDecoderBlock2D",)
    block_out_channels: tuple[Size, ...] = (64,)
    layers_per_block: Layers = 1
    act_fn: Literal["silu", "swish"] = "silu"
    latent_channels: Size = 4
    norm_num_groups: Size = 32
    sample_size: Size = 32
    scaling_factor: Positive = 0.18215
    shift_factor: Shift | None = None
    latents_mean: Literal[None] = None
    latents_std: Literal[None] = None
    force_upcast: Unneeded = True
    use_quant_conv: Flag = True
    use_post_quant_conv: Flag = True
    mid_block_add_attention: Flag = True

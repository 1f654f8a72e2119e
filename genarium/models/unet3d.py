"""The denoiser of ModelScope's text-to-video: a U-Net of pictures with layers between that look along time.

Wang et al. 2023 (arXiv:2308.06571, sections 3.2 and 3.3): after every residual block convolutions over three frames,
after every attention to the words attention of each place to itself in the other frames. Its config, and the names and
shapes of its parameters, are those of diffusers' `UNet3DConditionModel`, but that a convolution over time is (3, 1)
and not (3, 1, 1).

Shapes: B clips of F frames, C channels, H and W of the latents, N = H W places, S words, D width of a word, E time
embedding. Layers within frames see pictures (B F, C, H, W), those along time a clip as one picture that is as high as
the clip is long, (B, C, F, N). Where channels lie last in memory, which is as fast or faster, one is a view of the
other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.unet import (
    DownLevel,
    Level,
    MiddleLevel,
    SpatialTransformer,
    TimeEmbedding,
    TransformerBlock,
    UNetConfig,
    UpLevel,
    time_features,
)

SLICE = 4096
"""Places that one layer computes at once: what is between its products then stays in the processor's cache."""


@dataclass(frozen=True)
class UNet3DConfig(UNetConfig):
    """Everything that tells one U-Net of clips from another. The defaults are ModelScope's."""

    sample_size: int = 32
    heads: tuple[int, ...] = (5, 10, 20, 20)
    cross_attention_dim: int = 1024
    use_linear_projection: bool = True
    attention_head_dim: int = 64  # width of a head; the first layer along time has eight, whatever the channels


FIRST_HEADS = 8


def to_clip(x: Tensor, batch: int) -> Tensor:
    """Frames (B F, C, H, W) as (B, C, F, N)."""
    places = x.permute(0, 2, 3, 1)
    return places.reshape(batch, len(x) // batch, -1, x.shape[1]).permute(0, 3, 1, 2)


def to_frames(clip: Tensor, like: Tensor) -> Tensor:
    """A clip (B, C, F, N) as frames (B F, C, H, W), of the shape of `like`."""
    H, W = like.shape[2:]
    return clip.permute(0, 2, 3, 1).reshape(-1, H, W, clip.shape[1]).permute(0, 3, 1, 2)


def sliced(layer: Callable[..., Tensor], places: int, x: Tensor, *others: Tensor) -> Tensor:
    """`layer` of the rows of x and of each of `others`, as many at once as have `SLICE` places of these many each."""
    rows = max(1, SLICE // places)
    if len(x) <= rows:
        return layer(x, *others)
    return torch.cat([layer(*parts) for parts in zip(*(one.split(rows) for one in (x, *others)), strict=True)])


class TimeStep(nn.Module):
    """conv(silu(norm x)) of a clip (B, C, F, N), over each frame and those before and after it."""

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, width)
        self.conv = nn.Conv2d(width, width, (3, 1), padding=(1, 0))

    def forward(self, clip: Tensor) -> Tensor:
        return self.conv(F.silu(self.norm(clip)))


class TemporalConvolution(nn.Module):
    """x and four convolutions along time after each other, of frames (B F, C, H, W)."""

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.conv1, self.conv2, self.conv3, self.conv4 = (TimeStep(width, groups) for _ in range(4))

    def forward(self, x: Tensor, batch: int) -> Tensor:
        clip = to_clip(x, batch)
        return x + to_frames(self.conv4(self.conv3(self.conv2(self.conv1(clip)))), x)


class TemporalBlock(TransformerBlock):
    """Self-attention twice, then an MLP, of a place's frames (P, F, C)."""

    def forward(self, x: Tensor, words: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        for norm, attention in ((self.norm1, self.attn1), (self.norm2, self.attn2)):
            inner = norm(x)
            x = x + attention(inner, inner)
        return x + self.ff(self.norm3(x))


class TemporalTransformer(nn.Module):
    """Frames (B F, C, H, W): every place looks at itself in the other frames, `inner` numbers wide."""

    def __init__(self, width: int, inner: int, heads: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.proj_in = nn.Linear(width, inner)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(inner, inner, heads)])
        self.proj_out = nn.Linear(inner, width)

    def places(self, h: Tensor) -> Tensor:
        """(P, F, C) to the same."""
        h = self.proj_in(h)
        for block in self.transformer_blocks:
            h = block(h)
        return self.proj_out(h)

    def forward(self, x: Tensor, batch: int) -> Tensor:
        clip = self.norm(to_clip(x, batch))
        B, C, frames, N = clip.shape
        h = clip.permute(0, 3, 2, 1).reshape(B * N, frames, C)
        h = sliced(self.places, frames, h).view(B, N, frames, C).permute(0, 3, 2, 1)
        return x + to_frames(h, x)


class FramesTransformer(SpatialTransformer):
    """A `SpatialTransformer` of frames (B F, C, H, W), those of a clip with its words (B, S, D)."""

    def forward(self, x: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        def of_clip(frames: Tensor, its: Tensor) -> Tensor:
            whole = super(FramesTransformer, self).forward
            return sliced(lambda part: whole(part, its, mask), frames.shape[2] * frames.shape[3], frames)

        clips = x.split(len(x) // len(words))
        return torch.cat([of_clip(clip, its) for clip, its in zip(clips, words.split(1), strict=True)])


class Moving(Level):
    """What a level has for clips: its attention is to the words of a clip, and every layer has one along time."""

    def along_time(self, config: UNet3DConfig, level: int) -> None:
        """Add these layers."""
        width, groups, blocks = config.block_out_channels[level], config.norm_num_groups, len(self.resnets)
        self.temp_convs = nn.ModuleList(TemporalConvolution(width, groups) for _ in range(blocks))
        if self.has_attention:
            heads = config.heads[level]
            self.attentions = nn.ModuleList(FramesTransformer(config, width, heads) for _ in range(blocks))
            self.temp_attentions = nn.ModuleList(
                TemporalTransformer(width, width, heads, groups) for _ in range(blocks)
            )

    def block(self, number: int, x: Tensor, time: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        batch = len(words)
        x = sliced(self.resnets[number], x.shape[2] * x.shape[3], x, time)
        x = self.temp_convs[number](x, batch)
        return self.temp_attentions[number](self.attentions[number](x, words, mask), batch) if self.has_attention else x


class MovingDown(Moving, DownLevel):
    def __init__(self, config: UNet3DConfig, level: int):
        super().__init__(config, level)
        self.along_time(config, level)


class MovingUp(Moving, UpLevel):
    def __init__(self, config: UNet3DConfig, level: int):
        super().__init__(config, level)
        self.along_time(config, level)


class MovingMiddle(MiddleLevel):
    def __init__(self, config: UNet3DConfig):
        super().__init__(config)
        width, heads, groups = config.block_out_channels[-1], config.heads[-1], config.norm_num_groups
        self.attentions = nn.ModuleList([FramesTransformer(config, width, heads)])
        self.temp_convs = nn.ModuleList(TemporalConvolution(width, groups) for _ in range(2))
        self.temp_attentions = nn.ModuleList([TemporalTransformer(width, width, heads, groups)])

    def forward(self, x: Tensor, time: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        batch = len(words)
        x = self.temp_convs[0](self.resnets[0](x, time), batch)
        x = self.temp_attentions[0](self.attentions[0](x, words, mask), batch)
        return self.temp_convs[1](self.resnets[1](x, time), batch)


class UNet3D(nn.Module):
    """Noisy latents (B, in_channels, F, H, W), times t (B,), words (B, S, D) to a prediction of the latents' shape."""

    def __init__(self, config: UNet3DConfig):
        super().__init__()
        self.config = config
        widths, groups = config.block_out_channels, config.norm_num_groups
        self.conv_in = nn.Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(widths[0], 4 * widths[0])
        inner = FIRST_HEADS * config.attention_head_dim
        self.transformer_in = TemporalTransformer(widths[0], inner, FIRST_HEADS, groups)
        self.down_blocks = nn.ModuleList(MovingDown(config, level) for level in range(len(widths)))
        self.mid_block = MovingMiddle(config)
        self.up_blocks = nn.ModuleList(MovingUp(config, level) for level in reversed(range(len(widths))))
        self.conv_norm_out = nn.GroupNorm(groups, widths[0], eps=config.norm_eps)
        self.conv_out = nn.Conv2d(widths[0], config.out_channels, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor, words: Tensor) -> Tensor:
        """Words may have several rows for each clip, (R B, S, D), as guidance has: what comes before the words is then
        computed once, and there are R B predictions, first those of every clip with the first B rows."""
        c = self.config
        B, frames = x.shape[0], x.shape[2]
        repeats = len(words) // B
        features = time_features(t, c.block_out_channels[0], flip_sin_to_cos=c.flip_sin_to_cos, freq_shift=c.freq_shift)
        time = self.time_embedding(features.to(x.dtype)).repeat(repeats, 1).repeat_interleave(frames, 0)
        x = x.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = self.transformer_in(self.conv_in(x), B).repeat(repeats, 1, 1, 1)
        skips = [x]
        for down in self.down_blocks:
            given = down(x, time, words, None)
            skips += given
            x = given[-1]
        x = self.mid_block(x, time, words, None)
        for up in self.up_blocks:
            x = up(x, skips, time, words, None)
        x = self.conv_out(F.silu(self.conv_norm_out(x)))
        return x.unflatten(0, (-1, frames)).transpose(1, 2)

"""Pictures and texts in one space, where a picture lies near what is said of it: CLIP.

Radford et al. 2021 (arXiv:2103.00020): a Transformer over the picture's patches (ViT, Dosovitskiy et al. 2020,
arXiv:2010.11929), a causal one over the text's tokens, each projected to vectors of one length. The configs, and the
names and shapes of the parameters, are those of transformers' `CLIPModel`.

Shapes: B pictures, N texts, S places (patches and the class token, or tokens), C a tower's width, E `projection_dim`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.attention import attend

Activation = Literal["quick_gelu", "gelu"]


@dataclass(frozen=True)
class TextConfig:
    """The text tower. The defaults are those of `CLIPTextConfig`: ViT-B/32's."""

    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 77  # tokens, the marks of beginning and end among them
    hidden_act: Activation = "quick_gelu"
    layer_norm_eps: float = 1e-5
    pad_token_id: int = 1
    bos_token_id: int = 49406
    eos_token_id: int = 49407  # 2 is what the first published folders say: then the largest id ends the text


@dataclass(frozen=True)
class VisionConfig:
    """The picture tower. The defaults are those of `CLIPVisionConfig`: ViT-B/32's. Sizes are in pixels."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    num_channels: int = 3
    image_size: int = 224
    patch_size: int = 32
    hidden_act: Activation = "quick_gelu"
    layer_norm_eps: float = 1e-5


@dataclass(frozen=True)
class CLIPConfig:
    text_config: TextConfig = field(default_factory=TextConfig)
    vision_config: VisionConfig = field(default_factory=VisionConfig)
    projection_dim: int = 512
    logit_scale_init_value: float = 2.6592  # the logarithm of 1 / 0.07, the first temperature


class Attention(nn.Module):
    """Places (B, S, C) look at each other; `causal` ones only back, and none where `mask` is false."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        B, S, C = x.shape
        q, k, v = (
            projection(x).view(B, S, self.heads, -1).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(attend(q, k, v, mask, causal=causal).transpose(1, 2).reshape(B, S, C))


class MLP(nn.Module):
    """Two layers; between them GELU, or x sigmoid(1.702 x), which the first models were trained with."""

    def __init__(self, config: TextConfig | VisionConfig):
        super().__init__()
        self.quick = config.hidden_act == "quick_gelu"
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        h = self.fc1(x)
        return self.fc2(h * torch.sigmoid(1.702 * h) if self.quick else F.gelu(h))


class Layer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: TextConfig | VisionConfig):
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.self_attn = Attention(width, config.num_attention_heads)
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.mlp = MLP(config)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), mask, causal)
        return x + self.mlp(self.layer_norm2(x))


class Layers(nn.Module):
    def __init__(self, config: TextConfig | VisionConfig):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
        for layer in self.layers:
            x = layer(x, mask, causal)
        return x


class TextEmbeddings(nn.Module):
    def __init__(self, config: TextConfig):
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = nn.Embedding(config.max_position_embeddings, config.hidden_size)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.token_embedding(tokens) + self.position_embedding.weight[: tokens.shape[1]]


class TextTower(nn.Module):
    """Tokens (N, S) to one vector each, (N, C): the state where the text ends, which has seen all of it."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self.config = config
        self.embeddings = TextEmbeddings(config)
        self.encoder = Layers(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.states(tokens, mask)
        return x[torch.arange(len(x), device=x.device), self.ends(tokens)]

    def states(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Of every token, (N, S, C): what denoisers read."""
        S = tokens.shape[1]
        if S > self.config.max_position_embeddings:
            raise IndexError(f"{S} positions exceed the context of {self.config.max_position_embeddings}")
        looked_at = None
        if mask is not None:
            back = torch.ones(S, S, dtype=torch.bool, device=tokens.device).tril()
            looked_at = back & mask[:, None, None, :].bool()
        return self.final_layer_norm(self.encoder(self.embeddings(tokens), looked_at, causal=mask is None))

    def ends(self, tokens: Tensor) -> Tensor:
        """Where each text ends, (N,): at its first end token, since padding may be more of them."""
        if self.config.eos_token_id == 2:
            return tokens.argmax(dim=-1)
        return (tokens == self.config.eos_token_id).int().argmax(dim=-1)


class VisionEmbeddings(nn.Module):
    """Pictures as patches, a class token before them: (B, 3, H, W) to (B, 1 + (H / patch_size)², C)."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(config.num_channels, width, patch, stride=patch, bias=False)
        self.position_embedding = nn.Embedding((config.image_size // patch) ** 2 + 1, width)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch_embedding(images).flatten(2).transpose(1, 2)
        first = self.class_embedding.to(patches.dtype).expand(len(images), 1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight


class VisionTower(nn.Module):
    """Pictures (B, 3, `image_size`, `image_size`) to one vector each, (B, C): the class token's last state."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.embeddings = VisionEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)  # spelt as published
        self.encoder = Layers(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, images: Tensor) -> Tensor:
        return self.post_layernorm(self.encoder(self.pre_layrnorm(self.embeddings(images)))[:, 0])


class CLIP(nn.Module):
    """Pictures and texts to vectors of length 1; how alike two are is their product."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        self.config = config
        self.text_model = TextTower(config.text_config)
        self.vision_model = VisionTower(config.vision_config)
        self.visual_projection = nn.Linear(config.vision_config.hidden_size, config.projection_dim, bias=False)
        self.text_projection = nn.Linear(config.text_config.hidden_size, config.projection_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))
        initialise(self)

    def encode_images(self, images: Tensor) -> Tensor:
        """(B, E), float32, of pictures (B, 3, H, W) in the range that the checkpoint's preprocessing gives."""
        return F.normalize(self.visual_projection(self.vision_model(images)).float(), dim=-1)

    def encode_texts(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, E), float32, of tokens (N, S). `mask` is true at real ones; padding after the end needs none, as no
        token looks forward. Raises IndexError where S passes the context."""
        return F.normalize(self.text_projection(self.text_model(tokens, mask)).float(), dim=-1)

    def forward(self, images: Tensor, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores (B, N) of every text for every picture, before a softmax over either."""
        return self.logit_scale.exp() * self.encode_images(images) @ self.encode_texts(tokens, mask).T


def initialise(model: CLIP) -> None:
    """As CLIP's authors did: what adds to the residual stream starts the smaller the deeper the network is."""
    config = model.config
    towers: list[tuple[nn.Module, TextConfig | VisionConfig]] = [
        (model.text_model, config.text_config),
        (model.vision_model, config.vision_config),
    ]
    for tower, described in towers:
        width, depth = described.hidden_size, described.num_hidden_layers
        for name, parameter in tower.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "norm" in name:
                nn.init.ones_(parameter)
            elif name.endswith("class_embedding"):
                nn.init.normal_(parameter, std=width**-0.5)
            elif name.startswith("embeddings."):
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith(("out_proj.weight", "fc2.weight")):
                nn.init.normal_(parameter, std=(2 * width * depth) ** -0.5)
            elif name.endswith("fc1.weight"):
                nn.init.normal_(parameter, std=(2 * width) ** -0.5)
            else:
                nn.init.normal_(parameter, std=width**-0.5)
    for projection in (model.text_projection, model.visual_projection):
        nn.init.normal_(projection.weight, std=projection.in_features**-0.5)

"""What an engine is that says how well texts and a picture match, and which part of it each word is about.

Two kinds: BLIP's matcher reads text and picture together, and its cross-attention shows what a word looked at in its
sentence (Grad-CAM). CLIP sees them apart, so that a word can only be asked for by itself (Chefer et al. 2021).
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer

from genarium.checkpoints.layouts import blip as blip_layout
from genarium.checkpoints.layouts import clip as clip_layout
from genarium.checkpoints.processors import image_processor
from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.devices import pick_device
from genarium.engines.vision.word_maps import (
    WordMaps,
    grad_cam,
    join,
    read_spans,
    relevance,
    spans_of,
)
from genarium.errors import BadInput
from genarium.models.attention import watching
from genarium.progress import emit, note

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True)
class Score:
    """How well a text matches: the cosine where the model has one, and the probability where it says one."""

    text: str
    probability: float | None = None
    cosine: float | None = None


class Matcher(Protocol):
    name: str

    def scores(self, image: Image, texts: Sequence[str]) -> list[Score]:
        """For each text. What is too long to be read is told."""

    def explain(self, image: Image, text: str, layer: int | None = None) -> WordMaps:
        """A map for every word that is read. Raises BadInput for a layer it hasn't, and where there is no word."""

    def method(self, layer: int | None = None) -> str:
        """How `explain` makes its maps, with the paper."""


class BlipMatcher:
    """BLIP with its image-text matching head (Li et al. 2022, arXiv:2201.12086, section 3.2). Raises BadCheckpoint."""

    def __init__(self, path: Path, *, name: str = "", device: str | None = None):
        self.name, self.device = name or str(path), device or pick_device("auto")
        self.model = blip_layout.load_matcher(path, device=self.device)
        self.pixels = image_processor.read(path, self.model.config.image.image_size)
        self.tokenizer = tokenizers.load(path, self.model.config.text.vocab_size)
        self.tokenizer.enable_truncation(self.model.config.text.context_length)
        self._seen: tuple[Image, Tensor] | None = None

    @torch.no_grad()
    def scores(self, image: Image, texts: Sequence[str]) -> list[Score]:
        states = self._states(image)
        found = []
        for text in texts:
            judged, _ = self.model.judge(states, self._tokens(_read(self.tokenizer, text, self.name)))
            found.append(Score(text, probability=float(judged[0].softmax(-1)[1])))
        return found

    def explain(self, image: Image, text: str, layer: int | None = None) -> WordMaps:
        """Grad-CAM on the cross-attention of block `layer` (`text_encoder.encoder.layer.N` in the file)."""
        spans_of(text)
        layer = self._layer(layer)
        encoding = self.tokenizer.encode(text)
        with torch.enable_grad():
            judged, maps = self.model.judge(self._states(image), self._tokens(encoding), maps_of=layer)
            assert maps is not None
            (gradients,) = torch.autograd.grad(judged[0, 1], maps)
        grid = self.model.config.image.grid
        cam = grad_cam(maps[0], gradients[0])[:, 1:]  # the first state is the class token's
        grids = cam.unflatten(1, (grid, grid)).detach().cpu().numpy()
        return WordMaps(text, *join(text, encoding.offsets, grids), self.pixels.box(image))

    def method(self, layer: int | None = None) -> str:
        named = self._layer(layer)
        return f"Grad-CAM on the cross-attention of block {named} (Selvaraju et al. 2017, as in Li et al. 2021)"

    def _layer(self, asked: int | None) -> int:
        """Block 7 of BLIP's 12, which its authors look at; of other depths the first, where a token is most its own
        word (docs/explain.md has both measured). Above the last block only the first token is read, so that no word's
        map there has a say in the score.
        """
        n_layers = self.model.config.text.n_layers
        usual = 7 if n_layers == 12 else 0
        return _in_range(usual if asked is None else asked, max(0, n_layers - 2), self.name)

    @torch.no_grad()
    def _states(self, image: Image) -> Tensor:
        """What the vision Transformer makes of the picture; kept for the one seen last, as it is most of the work."""
        if self._seen is None or self._seen[0] is not image:
            self._seen = image, self.model.image(self.pixels.tensor([image]).to(self.device))
        return self._seen[1]

    def _tokens(self, encoding: Encoding) -> Tensor:
        return torch.tensor([encoding.ids], device=self.device)


class ClipMatcher:
    """CLIP (Radford et al. 2021, arXiv:2103.00020). Raises BadCheckpoint."""

    def __init__(self, path: Path, *, name: str = "", device: str | None = None):
        self.name, self.device = name or str(path), device or pick_device("auto")
        self.model = clip_layout.load(path, device=self.device)
        self.pixels = clip_layout.load_preprocessing(path, self.model.config.vision_config.image_size)
        self.tokenizer = clip_layout.load_tokenizer(path, config=self.model.config.text_config)

    @torch.inference_mode()
    def scores(self, image: Image, texts: Sequence[str]) -> list[Score]:
        """Cosines; of several texts also the softmax over them, at the model's own temperature."""
        for text in texts:
            _read(self.tokenizer, text, self.name)
        seen = self.model.encode_images(self._tensor(image))
        cosines = (seen @ self.model.encode_texts(self._tokens(texts)).T)[0]
        shares = (self.model.logit_scale.exp() * cosines).softmax(-1).tolist() if len(texts) > 1 else [None]
        return [Score(text, share, cosine) for text, share, cosine in zip(texts, shares, cosines.tolist(), strict=True)]

    def explain(self, image: Image, text: str, layer: int | None = None) -> WordMaps:
        """What the cosine with each word, taken by itself, stands on: relevance through the vision layers from `layer`
        (`vision_model.encoder.layers.N` in the file) up, by default the last, as in the authors' own notebook.
        """
        spans_of(text)
        first = self._layer(layer)
        encoding = self.tokenizer.encode(text)
        layers = [one for name, one in self.model.vision_model.named_modules() if name.endswith(".self_attn")][first:]
        weights: dict[int, Tensor] = {}
        with torch.enable_grad(), watching(layers, weights.__setitem__):
            # Nothing else asks for gradients: the weights are frozen.
            seen = self.model.encode_images(self._tensor(image).requires_grad_())
        with torch.no_grad():
            spans = read_spans(text, encoding.offsets)
            words = list(dict.fromkeys(text[start:end] for start, end in spans))
            vectors = self.model.encode_texts(self._tokens(words))
        side = self.model.config.vision_config.image_size // self.model.config.vision_config.patch_size
        attention = list(weights.values())
        maps = {}
        for number, (word, vector) in enumerate(zip(words, vectors, strict=True), 1):
            gradients = torch.autograd.grad((seen @ vector).sum(), attention, retain_graph=True)
            stands_on = relevance([one[0].detach() for one in attention], [one[0] for one in gradients])
            maps[word] = stands_on[0, 1:].unflatten(0, (side, side)).cpu().numpy()
            emit("explaining", number, len(words), preview=word)
        joined = np.stack([maps[text[start:end]] for start, end in spans]).astype(np.float32)
        return WordMaps(text, spans, joined, self.pixels.box(image))

    def method(self, layer: int | None = None) -> str:
        return f"relevance of each word by itself, vision layers from {self._layer(layer)} up (Chefer et al. 2021)"

    def _layer(self, asked: int | None) -> int:
        last = self.model.config.vision_config.num_hidden_layers - 1
        return _in_range(last if asked is None else asked, last, self.name)

    def _tensor(self, image: Image) -> Tensor:
        return self.pixels.tensor([image]).to(self.device)

    def _tokens(self, texts: Sequence[str]) -> Tensor:
        return clip_layout.read_tokens(self.tokenizer, texts).to(self.device)


def _read(tokenizer: Tokenizer, text: str, name: str) -> Encoding:
    """The text's tokens; what is after the last that is read is told."""
    encoding = tokenizer.encode(text)
    if encoding.overflowing:
        cut = text[max(end for _, end in encoding.offsets) :].strip()
        note(f"{name} reads the first {len(encoding)} tokens of a caption; left out: “{textwrap.shorten(cut, 200)}”")
    return encoding


def _in_range(layer: int, last: int, name: str) -> int:
    if not 0 <= layer <= last:
        raise BadInput(
            f"{name} can explain by the layers 0 to {last}, got {layer}; leave out --layer for the usual one"
        )
    return layer

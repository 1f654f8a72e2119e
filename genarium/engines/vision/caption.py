"""What an engine that describes pictures is, and the native ones: BLIP and GIT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from genarium.checkpoints.layouts import blip, git
from genarium.checkpoints.processors import image_processor
from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.checkpoints.store import folder
from genarium.decoding.captions import WrittenCaption, beam_search, draw
from genarium.decoding.sampling import Sampling
from genarium.decoding.torch_decoder import TorchDecoder, TorchRanking
from genarium.devices import compute_dtype, cpu_bfloat16, pick_device
from genarium.engines.cpu.upcast import use_float32_products
from genarium.errors import BadInput
from genarium.models.blip import Captioner
from genarium.models.git import Git

if TYPE_CHECKING:
    from PIL.Image import Image

LARGE = 100_000_000
"""Weights from which on a CPU that multiplies bfloat16 computes in it; below, there is no time worth saving."""


@dataclass(frozen=True)
class CaptionRequest:
    """`n` captions of each picture, each beginning with `prompt` or, by models that chat, in answer to it.

    By beam search with `n_beams`, or with `sample` drawn at `temperature` and `top_p` from the streams of `seed`.
    """

    n: int = 1
    prompt: str = ""
    n_beams: int = 3
    sample: bool = False
    temperature: float = 1.0
    top_p: float = 0.9
    max_new_tokens: int = 40
    seed: int = 0


@dataclass(frozen=True)
class Caption:
    """`score` is the mean log-probability of the tokens the model wrote, in nats; `ended` whether it came to an end."""

    text: str
    score: float
    ended: bool = True


class CaptionEngine(Protocol):
    """Describes pictures (RGB, any size)."""

    name: str

    def describe(self, images: Sequence[Image], request: CaptionRequest, *, first: int = 0) -> list[list[Caption]]:
        """Captions of each picture, best first; fewer than `n` where some would be alike.

        `first` is the number of the first picture in the run, which names its random streams. Raises BadInput.
        """


def distinct(found: Sequence[Caption], n: int) -> list[Caption]:
    """The `n` best of them, no text twice."""
    best: dict[str, Caption] = {}
    for caption in sorted(found, key=lambda caption: -caption.score):
        best.setdefault(caption.text, caption)
    return list(best.values())[:n]


def pick_dtype(asked: str, device: str, n_weights: int) -> torch.dtype:
    """What a network computes in, whatever its weights are stored in: float16 on a CPU is slow or missing."""
    fast = device != "cpu" or (n_weights >= LARGE and cpu_bfloat16() == "native")
    return compute_dtype(asked, device, auto=torch.bfloat16 if fast else torch.float32)


class NativeCaption:
    """BLIP's captioner or GIT. A picture is read once, for all its captions."""

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        self.name = name or str(path)
        self.device = device or pick_device("auto")
        n_weights = sum(size for size in _sizes(path))
        self.dtype = pick_dtype(dtype, self.device, n_weights)
        if folder.read_config(path)["model_type"] == "git":
            self.model: Git | Captioner = git.load(path, dtype=self.dtype, device=self.device)
        else:
            self.model = blip.load_captioner(path, dtype=self.dtype, device=self.device)
        if self.device == "cpu":
            use_float32_products(self.model)
        self.tokenizer = tokenizers.load(path, self.model.config.text.vocab_size)
        self.pixels = image_processor.read(path, self.model.config.image.image_size)

    @torch.inference_mode()
    def describe(self, images: Sequence[Image], request: CaptionRequest, *, first: int = 0) -> list[list[Caption]]:
        prompt = self.tokenizer.encode(request.prompt, add_special_tokens=False).ids
        room = self.model.config.text.context_length - 1 - len(prompt)
        if room < 1:
            raise BadInput(
                f"the prompt is {len(prompt)} tokens, and {self.name} writes at most {room + len(prompt)}; shorten it"
            )
        new, n = min(room, request.max_new_tokens), request.n
        per_image = n if request.sample else max(n, request.n_beams)
        config = self.model.config
        decoder = TorchDecoder(self.model, config=config.text)
        pixels = self.pixels.tensor(images).to(self.device, self.dtype)
        state = self.model.start(pixels, per_image, len(prompt) + new)
        prefix = np.tile(np.array([config.start_token, *prompt]), (len(images) * per_image, 1))
        logits = decoder.step(state, prefix)
        if request.sample:
            sampling = Sampling(new, request.temperature, top_p=request.top_p, seed=request.seed)
            cpu = TorchRanking("cpu")  # scores are kept to four digits, which shows where they were summed
            samples = range(first * n, (first + len(images)) * n)
            drawn = draw(decoder, state, logits, sampling, samples=samples, end=config.end_token, ranking=cpu)
            made = [drawn[row : row + n] for row in range(0, len(drawn), n)]
        else:
            made = beam_search(decoder, state, logits, n_beams=per_image, end=config.end_token, max_new_tokens=new)
        return [distinct([self._caption(prompt, written) for written in one], n) for one in made]

    def _caption(self, prompt: list[int], written: WrittenCaption) -> Caption:
        text = self.tokenizer.decode([*prompt, *written.tokens], skip_special_tokens=True).strip()
        return Caption(text, written.score, written.ended)


def _sizes(path: Path) -> list[int]:
    """Bytes of the weight files, halved: about how many weights there are at least."""
    return [file.stat().st_size // 4 for file in folder.weight_files(path)]

"""The native image engine: diffusion of latents or of thumbnails that Genarium trained, with a frozen text encoder.

Everything of a picture is computed by itself, from a generator of its own: its bytes are the same however many are
asked for. Float32 throughout: at this size a picture takes a second, and bfloat16 would save none of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from genarium.checkpoints.layouts import scheduler
from genarium.checkpoints.layouts import text_to_image as layout
from genarium.conditioning.prompts import PromptEncoder
from genarium.data.images import cover, to_images, to_tensor
from genarium.devices import pick_device
from genarium.diffusion.guidance import guided
from genarium.diffusion.samplers import SAMPLERS, Denoise, inpaint
from genarium.diffusion.schedules import draw_noise
from genarium.engines.drawing import STRENGTH, Size, tell
from genarium.engines.image.protocol import ELSEWHERE, GeneratedImage, ImageRequest, Limits, with_unmasked
from genarium.engines.trained import is_shown, load_parts, read_index, read_prompts, watched
from genarium.engines.vision.word_maps import Attribution, of_tokens, spans_of
from genarium.models.text_to_image import Conditioning, TextToImage
from genarium.progress import emit, note
from genarium.scenes import worlds


class LatentImage:
    """Makes pictures with a folder that `genarium train diffusion` wrote. Raises BadCheckpoint."""

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        self.path, self.name = path, name or str(path)
        self.device = device or pick_device("auto")
        self.index = read_index(path)
        self.config = layout.read_config(path)  # refused before anything is loaded
        process = scheduler.read(path / "scheduler")
        self.process = replace(process, sampler=self.index.get("sampler", process.sampler))

    @property
    def limits(self) -> Limits:
        side = self.config.sample_size
        return Limits(
            size=(side, side),
            multiple=self.config.factor,
            enlarges=self.config.enlarges,
            options={
                "steps": int(self.index["steps"]),
                "sampler": self.process.sampler,
                "guidance": float(self.index["guidance"]),
                "strength": STRENGTH,
            },
            samplers=(self.process.sampler, *(name for name in SAMPLERS if name != self.process.sampler)),
            negative=True,
            init=True,
            mask=True,
            explain=True,
        )

    def memory(self, request: ImageRequest) -> int:
        width, height = self._drawn_at(request)
        weights = sum(file.stat().st_size * 2 for file in self.path.glob("*/*.safetensors"))
        return weights + self.config.working_memory(width, height, int(self.index["context"]))

    def generate(self, request: ImageRequest) -> Iterator[GeneratedImage]:
        """As the protocol says."""
        if request.explain:
            spans_of(request.prompt)  # a prompt without a word is refused before anything is loaded
        for remark in worlds.remarks(self.index.get("world"), request.prompt, name=self.name, elsewhere=ELSEWHERE):
            tell(remark.sentence, request.strict and remark.outside)
        whole, request = request, self._as_drawn(request)
        model, prompts = self._parts
        both = read_prompts(request, prompts, self.name)
        guidance = request.option("guidance", self.limits.options["guidance"])
        width, height = request.size or self.limits.size
        for row, seed in enumerate(request.seeds):
            began = time.perf_counter()
            source = torch.Generator().manual_seed(seed)
            asked, not_asked = both.rows(slice(1)), both.rows(slice(1, None))
            if request.init is None:  # what is there already is not planned
                with torch.inference_mode():
                    asked, not_asked = model.planned(asked, not_asked, source)
            # At 1 and below nothing is compared (0 would be a picture of the negative prompt).
            denoise = guided(model.denoiser, asked, not_asked, max(1.0, float(guidance or 0)))
            looked = Attribution((height // self.config.factor, width // self.config.factor))
            looking = watched(denoise, model, looked) if request.explain else denoise
            with torch.inference_mode():
                pixels = self._paint(request, row, source, looking, model, asked)
            if whole is not request:
                pixels = _enlarged(pixels, whole)
            explained = of_tokens(request.prompt, prompts.tokenizer, looked.maps()) if request.explain else None
            yield GeneratedImage(row, seed, pixels, {"seconds": time.perf_counter() - began}, explained)

    def _drawn_at(self, request: ImageRequest) -> Size:
        """The size that is drawn at: thumbnails know their own, and where a picture is begun from about its area."""
        size = request.size or self.limits.size
        return self.limits.size if self.limits.enlarges and size[0] == size[1] else size

    def _as_drawn(self, request: ImageRequest) -> ImageRequest:
        """The request at the size that is drawn; the same object where that is the size asked for. Says which."""
        size, own = self._drawn_at(request), "x".join(map(str, self.limits.size))
        if size == request.size:
            if size != self.limits.size:
                note(f"{self.name} learned at {own} pixels: of other sizes it knows less, and repeats or leaves out")
            return request
        asked = "x".join(map(str, request.size or ()))
        note(f"{self.name} draws {own} pixels; {asked} is that enlarged, without more detail")
        init, mask = (None if image is None else cover(image, size) for image in (request.init, request.mask))
        return replace(request, size=size, init=init, mask=mask)

    def _paint(
        self,
        request: ImageRequest,
        row: int,
        generator: torch.Generator,
        denoise: Denoise,
        model: TextToImage,
        asked: Conditioning,
    ) -> np.ndarray:
        width, height = request.size or self.limits.size
        factor = self.config.factor
        source = [generator]
        shape = (self.config.latent_channels, height // factor, width // factor)
        noise = draw_noise(source, shape, device=self.device)
        steps = request.option("steps", self.limits.options["steps"])
        sampler = request.option("sampler")
        levels = self.process.levels(steps, sampler=sampler)
        x, at_level = noise, None
        if request.init is not None:
            known = model.to_latents(to_tensor(np.array(request.init)[None]).to(self.device))
            if (strength := request.option("strength")) is not None:
                levels = levels.tail(strength)
            x = levels.add_noise(known, noise)
            if request.mask is not None:
                mask = _mask(request.mask, factor, self.device)
                at_level = inpaint(known, mask, noise, levels)

        def on_step(step: int, total: int, x0: Tensor) -> None:
            shown = to_images(model.from_latents(x0, asked))[0] if is_shown(step, total) else None
            emit("denoising", step, total, preview=shown, item=row)

        latents = self.process.sample(
            denoise, x, levels, sampler=sampler, generators=source, on_step=on_step, at_level=at_level
        )
        pixels = to_images(model.from_latents(latents, asked))[0]
        return np.asarray(with_unmasked(Pillow.fromarray(pixels), request))

    @cached_property
    def _parts(self) -> tuple[TextToImage, PromptEncoder]:
        return load_parts(self.path, self.index, self.name, self.config, self.device)


def _enlarged(pixels: np.ndarray, request: ImageRequest) -> np.ndarray:
    """The picture at the size asked for, and outside of a mask the one that was given."""
    assert request.size is not None
    made = Pillow.fromarray(pixels).resize(request.size, Pillow.Resampling.LANCZOS)
    return np.asarray(with_unmasked(made, request))


def _mask(mask: Any, factor: int, device: str) -> Tensor:
    """A latent is painted where any of its pixels is to be: (1, 1, h, w) of 0 and 1."""
    pixels = torch.from_numpy(np.asarray(mask.convert("L"), dtype=np.float32).copy())[None, None]
    return (torch.nn.functional.max_pool2d(pixels, factor) > 127).float().to(device)
